"""What the errors of an object store mean: for one object, or for the destination as a whole."""

from __future__ import annotations

import errno
import re

from softcopy_napari.engine.fs.destination_problem import DestinationProblem, ProblemKind

_CODE = re.compile(r"<Code>([^<]+)</Code>|request failed for key .*\(code: (\w+)\)")
_MESSAGE = re.compile(r"<Message>([^<\n]+)")
_STATUS = re.compile(r"status(?: code)?:? (\d{3})")
_SYSTEM = re.compile(r'message: "([^"]+)"')
_PROFILE = re.compile(r"(profile \S+ gives no keys: [^\n\"]+)")
_EXPIRED = ("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "ExpiredTokenException")
_WRONG_KEYS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "InvalidToken",
    "InvalidSecurity",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
)
_WRONG_CLOCK = ("RequestTimeTooSkewed", "Request date header too old")
_NO_KEYS = ("169.254.169.254", "MissingAccessKeyId", "MissingSecretAccessKey", "MissingCredential", "metadata.google")
_BUSY = ("SlowDown", "TooManyRequests", "ServiceUnavailable", "Throttl", "RequestLimitExceeded")
_FULL = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageQuota")
_LONGEST = 200


class StoreError(OSError):
    """A request failed.

    Parameters
    ----------
    kind : ProblemKind or None
        Why the store takes or gives nothing at all; None where only one object is concerned.
    words : str
        What the store, or the system, said.
    denied : bool
        Whether the store knows who asks, and does not let them.
    """

    def __init__(self, kind: ProblemKind | None, words: str, denied: bool = False) -> None:
        super().__init__(errno.EIO, words)
        self.kind = kind
        self.denied = denied

    @property
    def problem(self) -> DestinationProblem | None:
        """What is wrong with the destination as a whole."""
        return None if self.kind is None else DestinationProblem(self.kind, self.strerror or "")


def explain_error(error: Exception) -> OSError:
    """Return what an exception of the client library means: a `FileNotFoundError` or a `StoreError`."""
    text = str(error)
    code = _first(_CODE, text)
    status = int(_first(_STATUS, text) or 0)
    if code == "NoSuchBucket" or "ContainerNotFound" in text or "bucket does not exist" in text:
        return StoreError(ProblemKind.NO_BUCKET, _first(_MESSAGE, text) or "there is no such bucket")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such object")
    if profile := _first(_PROFILE, text):
        return StoreError(ProblemKind.REFUSED, profile[:_LONGEST])
    if code in _EXPIRED or any(word in text for word in _EXPIRED):
        return StoreError(ProblemKind.REFUSED, "the credentials have expired")
    if any(word in text for word in _WRONG_CLOCK):
        return StoreError(ProblemKind.CLOCK, _words(text, code, status))
    if any(word in text for word in _NO_KEYS):
        return StoreError(ProblemKind.REFUSED, "there are no credentials")
    if code in _WRONG_KEYS:
        return StoreError(ProblemKind.REFUSED, f"the credentials are not valid: {_words(text, code, status)}")
    if (
        status in (401, 403)
        or code == "AccessDenied"
        or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError")
    ):
        return StoreError(ProblemKind.REFUSED, _words(text, code, status), denied=status != 401)
    if code in _FULL or status == 507:
        return StoreError(ProblemKind.QUOTA, _words(text, code, status))
    if status in (429, 503) or any(word in code for word in _BUSY):
        return StoreError(ProblemKind.OVERLOADED, _words(text, code, status))
    if code == "EntityTooLarge":
        return OSError(errno.EFBIG, _words(text, code, status))
    if status >= 500 or not status:  # no answer at all
        return StoreError(ProblemKind.GONE, _words(text, code, status))
    return StoreError(None, _words(text, code, status))


def _words(text: str, code: str, status: int) -> str:
    """Return what was said, short."""
    said = _first(_MESSAGE, text) or code
    if said or status:
        return f"{said or 'error'} (HTTP {status})" if status else said
    if "TimedOut" in text or "timed out" in text:
        return "no answer in time"
    system = _SYSTEM.findall(text)
    if system:
        return str(system[-1])
    if "dns" in text.lower():
        return "the name of its server is not known"
    return " ".join(text.split())[:_LONGEST]


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[found.lastindex or 0] if found else ""
