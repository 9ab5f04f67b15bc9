"""Destinations in object stores, as in `s3://bucket/embryo.zarr`. Copy workers use this too: nothing heavy here.

An address never holds secrets: it stands in logs, run files and receipts. Whoever opens the store finds them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

SCHEMES: Final = ("s3", "gs", "az")
"""Amazon S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage."""
OPTIONS: Final = {"s3": ("endpoint", "profile", "region"), "gs": ("endpoint",), "az": ("account", "endpoint")}
"""What may stand behind the question mark: where the server is, which profile of the shared credentials file, in which
region, whose storage account."""
_EXAMPLE = {scheme: f"{scheme}://{'container' if scheme == 'az' else 'bucket'}/name.zarr" for scheme in SCHEMES}
_ENDPOINT_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_ACCOUNT_VARIABLES = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
_BEGINNING = re.compile(rf"(?i:({'|'.join(SCHEMES)})):(?://)?")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}")
_VALUE = re.compile(r"[A-Za-z0-9._-]+")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile(r"(?i)key|secret|token|password|credential|signature|^(sig|sas|se|sp|sv)$")
"""What options are called that hold credentials, as in a signed URL."""
_LONGEST = 900
"""Bytes of a prefix; a key may have 1024, of which the paths in the dataset need some."""


class StoreUrlError(ValueError):
    """A text that names no place in an object store.

    Attributes
    ----------
    reason : Reason
        Why, as the rest of a sentence that begins with what has the address.
    """

    def __init__(self, code: ReasonCode, **fields: str | int) -> None:
        self.reason: Reason = make_reason(code, **fields)
        super().__init__(code)


class StoreUrl:
    """A prefix in a bucket of an object store, below which a dataset's files are objects.

    Equal addresses name the same place. It is no path: a folder of that name would be filled by mistake.

    Attributes
    ----------
    scheme : {"s3", "gs", "az"}
    bucket : str
        The bucket's, or Azure container's, name.
    prefix : str
        What the keys of all objects begin with, `/` separated, without one at either end; never empty.
    options : mapping of str to str
        Some of `OPTIONS`.
    """

    __slots__ = ("bucket", "options", "prefix", "scheme")

    def __init__(self, scheme: str, bucket: str, prefix: str, options: Mapping[str, str]) -> None:
        self.scheme = scheme
        self.bucket = bucket
        self.prefix = prefix
        self.options = dict(sorted(options.items()))

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] | None = None) -> StoreUrl:
        """Read an address.

        Parameters
        ----------
        text : str
            As in `s3://bucket/embryo.zarr?endpoint=http://nas:9000`.
        environment : mapping of str to str, optional
            Where the endpoint and the account are said that the address lacks. They belong to the place: with another
            endpoint the same bucket is another one. None where the address is one that was made from it.

        Raises
        ------
        StoreUrlError
            It is none, or holds credentials.
        """
        beginning = _BEGINNING.match(text)
        scheme = beginning[1].lower() if beginning else "s3"
        rest, _, query = (text[beginning.end() :] if beginning else text).partition("?")
        bucket, _, key = rest.partition("/")
        options = dict(parse_qsl(query, keep_blank_values=True))
        _refuse_secrets(bucket, options)
        known = {"text": text, "example": _EXAMPLE[scheme]}
        if beginning is None or not text[len(scheme) :].startswith("://") or _CONTROL.search(text):
            raise StoreUrlError(ReasonCode.STORE_URL_INVALID, **known)
        prefix = key.rstrip("/")
        if not _BUCKET.fullmatch(bucket):
            raise StoreUrlError(ReasonCode.STORE_WITHOUT_BUCKET, **known)
        if not prefix:
            raise StoreUrlError(ReasonCode.STORE_WITHOUT_NAME, **known)
        if any(part in ("", ".", "..") for part in prefix.split("/")):
            raise StoreUrlError(ReasonCode.STORE_WITH_ODD_KEY, **known)
        try:
            if len(prefix.encode()) > _LONGEST:
                raise StoreUrlError(ReasonCode.STORE_KEY_TOO_LONG, most=_LONGEST, **known)
        except UnicodeEncodeError:
            raise StoreUrlError(ReasonCode.STORE_URL_INVALID, **known) from None
        _check_options(scheme, options, known)
        return cls(scheme, bucket, prefix, _from_environment(scheme, options, environment or {}))

    def __str__(self) -> str:
        options = "&".join(f"{name}={quote(value, safe='/:[]')}" for name, value in self.options.items())
        return f"{self.scheme}://{self.bucket}/{self.prefix}" + (f"?{options}" if options else "")

    def __repr__(self) -> str:
        return f"StoreUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreUrl) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        """The last part of the prefix, as a folder's name is the last part of its path."""
        return self.prefix.rpartition("/")[2]

    @property
    def label(self) -> str:
        """What it is called where there is little room: the address without its options, and the server's name."""
        host = urlsplit(self.options.get("endpoint", "")).netloc
        return f"{self.scheme}://{self.bucket}/{self.prefix}" + (f" on {host}" if host else "")

    @property
    def place(self) -> str:
        """What identifies the place, however one gets in: the address without profile and region."""
        kept = {name: value for name, value in self.options.items() if name in ("account", "endpoint")}
        return str(StoreUrl(self.scheme, self.bucket, self.prefix, kept))

    def with_name(self, name: str) -> StoreUrl:
        """Return the address beside this one that has another name."""
        folder = self.prefix.rpartition("/")[0]
        return StoreUrl(self.scheme, self.bucket, f"{folder}/{name}" if folder else name, self.options)

    def below(self, path: str) -> StoreUrl:
        """Return the address of something in this one, by its `/` separated path."""
        return StoreUrl(self.scheme, self.bucket, f"{self.prefix}/{path}", self.options)


Destination = Path | StoreUrl
"""Where a copy goes: a folder, or a prefix in an object store."""


def is_store_url(text: str) -> bool:
    """Whether a text is meant as an address of an object store that can be a destination, right or wrong."""
    found = _BEGINNING.match(text)
    return found is not None and text[len(found[1]) + 1 :].startswith("//")


def destination_of(text: str) -> Destination:
    """Return the destination that `str` spelled so: in a snapshot, a record, or on a receipt."""
    if is_store_url(text):
        try:
            return StoreUrl.parse(text)
        except StoreUrlError:
            pass
    return Path(text)


def name_of(text: str) -> str:
    """Return the last name of a destination that `str` spelled so; the whole where it has none."""
    found = destination_of(text)
    return (found.name if isinstance(found, StoreUrl) else PurePath(text).name) or text


def label_of(text: str) -> str:
    """Return what to call a destination that `str` spelled so, where there is little room."""
    found = destination_of(text)
    return found.label if isinstance(found, StoreUrl) else text


def written_store_url(text: str) -> StoreUrl:
    """Read an address that somebody wrote; what it lacks is taken from the environment.

    Raises
    ------
    StoreUrlError
        It is none, or holds credentials.
    """
    found = StoreUrl.parse(text, os.environ)
    if found.scheme == "az" and "account" not in found.options:
        raise StoreUrlError(ReasonCode.STORE_WITHOUT_ACCOUNT, text=text, example=_EXAMPLE["az"])
    return found


def _refuse_secrets(bucket: str, options: Mapping[str, str]) -> None:
    """Refuse credentials; the words do not repeat them."""
    if "@" in bucket or any(_SECRET.search(name) for name in options):
        raise StoreUrlError(ReasonCode.STORE_WITH_SECRET)
    endpoint = options.get("endpoint", "")
    if "@" in endpoint or "?" in endpoint:
        raise StoreUrlError(ReasonCode.STORE_WITH_SECRET)


def _check_options(scheme: str, options: Mapping[str, str], known: Mapping[str, str]) -> None:
    for name, value in options.items():
        if name not in OPTIONS[scheme]:
            options_known = ", ".join(OPTIONS[scheme])
            raise StoreUrlError(ReasonCode.STORE_OPTION_UNKNOWN, option=name, options=options_known, **known)
        if name == "endpoint":
            if not _is_endpoint(value):
                raise StoreUrlError(ReasonCode.STORE_ENDPOINT_INVALID, endpoint=value, **known)
        elif not _VALUE.fullmatch(value):
            raise StoreUrlError(ReasonCode.STORE_OPTION_INVALID, option=name, value=value, **known)


def _is_endpoint(text: str) -> bool:
    try:
        found = urlsplit(text)
        return found.scheme in ("http", "https") and bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:
        return False


def _from_environment(scheme: str, options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Add what the environment says of the place; an endpoint is spelled without a slash at its end."""
    found = dict(options)
    endpoint = next(filter(None, map(environment.get, _ENDPOINT_VARIABLES[scheme])), "")
    if "endpoint" not in found and _is_endpoint(endpoint) and "@" not in endpoint:
        found["endpoint"] = endpoint
    account = next(filter(None, map(environment.get, _ACCOUNT_VARIABLES)), "")
    if scheme == "az" and "account" not in found and _VALUE.fullmatch(account):
        found["account"] = account
    if "endpoint" in found:
        found["endpoint"] = found["endpoint"].rstrip("/")
    return found
