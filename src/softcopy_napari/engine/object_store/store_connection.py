"""Requests to an object store, below one prefix: a thin layer over obstore, which speaks S3, GCS and Azure.

Keys are relative to the prefix. Errors are `OSError`s (see store_errors.py); what may pass is tried again by the
library first, after growing pauses with jitter. Any thread may call this. obstore is imported when a store is opened.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from softcopy_napari.engine.object_store.aws_profile import AwsProfile
from softcopy_napari.engine.object_store.store_errors import explain_error
from softcopy_napari.engine.targets.store_url import StoreUrl

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_TIMEOUT, _CONNECT_TIMEOUT = "60s", "10s"
_FIRST_PAUSE, _LONGEST_PAUSE = datetime.timedelta(milliseconds=100), datetime.timedelta(seconds=5)
_PATIENCE = 20.0
"""Seconds after which a request that keeps failing is given up: then the target waits, and says why."""
_RETRIES = 8
PART_SIZE = 8 << 20
"""Bytes of a part of a multipart upload, at least."""
_MOST_PARTS = 9_000
_PARTS_AT_A_TIME = 4
_PAGE = 1000
_USUAL_REGION = "us-east-1"
Block = bytes | memoryview


class ObjectFacts(NamedTuple):
    """What a store says of an object."""

    key: str
    size: int
    etag: str
    modified: float
    """When it was stored, Unix time."""


class StoreConnection:
    """An object store, below one prefix.

    Parameters
    ----------
    url : StoreUrl
        The place. What its address does not say comes from the environment and from the files of AWS's own tools.
    patience : float
        Seconds after which a request that keeps failing is given up.

    Attributes
    ----------
    url
        As given.
    """

    def __init__(self, url: StoreUrl, patience: float = _PATIENCE) -> None:
        self.url = url
        self._patience = datetime.timedelta(seconds=patience)
        self._opened: ObjectStore | None = None

    @property
    def store(self) -> ObjectStore:
        """The library's own object: all of the bucket.

        Raises
        ------
        StoreError
            It cannot be made of what is known.
        """
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> ObjectStore:
        from obstore.store import from_url

        config, provider = _settings(self.url)
        try:
            return from_url(  # type: ignore[call-overload,no-any-return]
                f"{self.url.scheme}://{self.url.bucket}",
                config=config,
                client_options={
                    "timeout": _TIMEOUT,
                    "connect_timeout": _CONNECT_TIMEOUT,
                    "allow_http": self.url.options.get("endpoint", "").startswith("http://"),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": self._patience,
                    "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE},
                },
                credential_provider=provider,
            )
        except Exception as error:
            raise explain_error(error) from None

    def beside(self, name: str) -> StoreConnection:
        """Return what asks for the object beside the prefix that has another name, over the same connections.

        Raises
        ------
        StoreError
            As `store` does.
        """
        other = StoreConnection(self.url.with_name(name))
        other._opened = self.store
        return other

    def _path(self, key: str) -> str:
        """Return the object that a key names; without one that whose whole name the address is."""
        return f"{self.url.prefix}/{key}" if key else self.url.prefix

    # -- single objects -------------------------------------------------------------------------------

    def put(self, key: str, data: Block, attributes: Mapping[str, str] = {}) -> str:
        """Store an object, at once or not at all; returns its ETag."""
        from obstore import put

        try:
            found = put(self.store, self._path(key), data, attributes=dict(attributes), use_multipart=False)
        except Exception as error:
            raise explain_error(error) from None
        return bare_etag(found["e_tag"])

    def put_file(self, key: str, file: IO[bytes]) -> None:
        """Store all that an open file holds, however large it is."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= PART_SIZE:
            self.put(key, file.read())
        else:
            self.put_blocks(key, iter(lambda: file.read(PART_SIZE), b""), size)

    def put_blocks(self, key: str, blocks: Iterable[Block], size: int, attributes: Mapping[str, str] = {}) -> str:
        """Store a large object of several blocks; returns the ETag that the store tells of it afterwards.

        What an iteration raises is raised, and nothing is stored.
        """
        from obstore import put

        path, part = self._path(key), max(PART_SIZE, -(-size // _MOST_PARTS))
        failed: list[Exception] = []

        def watched() -> Iterator[Block]:
            try:
                yield from blocks
            except Exception as error:  # and not that of a generator which is left because a request failed
                failed.append(error)
                raise

        try:
            put(
                self.store, path, watched(), attributes=dict(attributes), use_multipart=True, chunk_size=part,
                max_concurrency=_PARTS_AT_A_TIME,
            )  # fmt: skip
        except Exception as error:
            if failed:
                raise failed[0] from None
            raise explain_error(error) from None
        # A store may tell another one for the whole than it answers for its parts.
        return self.look_up(key)[0].etag

    def look_up(self, key: str) -> tuple[ObjectFacts, dict[str, str]]:
        """Return what the store says of an object, and the attributes that it was stored with.

        Raises
        ------
        FileNotFoundError
            It is not there.
        StoreError
        """
        from obstore import get

        try:
            found = get(self.store, self._path(key), options={"head": True})
            return _facts(found.meta, key), {str(name).lower(): value for name, value in found.attributes.items()}
        except Exception as error:
            raise explain_error(error) from None

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object, block by block; raises as `look_up` does, and a `StoreError` where it ends early."""
        from obstore import get

        try:
            found = get(self.store, self._path(key))
            left = found.meta["size"]
            for block in found.stream(min_chunk_size=1 << 20):
                left -= len(block)
                yield bytes(block)
        except Exception as error:
            raise explain_error(error) from None
        if left:
            raise OSError("the answer ended early")

    def read_small(self, key: str) -> bytes:
        """Read an object as a whole."""
        return b"".join(self.read(key))

    def delete(self, keys: list[str]) -> None:
        """Delete objects; those that are not there are no error."""
        from obstore import delete

        try:
            delete(self.store, [self._path(key) for key in keys])
        except FileNotFoundError:
            pass
        except Exception as error:
            raise explain_error(error) from None

    def check_access(self, probe: str, write: bool) -> None:
        """Raise a `StoreError` where the store is not there, or refuses; if `write`, also to take an object.

        Parameters
        ----------
        probe : str
            What is put behind the prefix, as the name of an object that is made and deleted again.
        write : bool
        """
        tried = self.beside(self.url.name + probe)
        if write:
            tried.put("", b"")
            with contextlib.suppress(OSError):  # who may write may not delete
                tried.delete([""])
        else:
            with contextlib.suppress(FileNotFoundError):
                tried.read_small("")  # the answer to a `look_up` would not say why

    # -- many objects ---------------------------------------------------------------------------------

    def list(self, folder: str = "") -> Iterator[list[ObjectFacts]]:
        """List all objects below the prefix, or below a folder there, a page at a time.

        Raises
        ------
        StoreError
        """
        from obstore import list as list_objects

        below, start = self._path(folder), len(self.url.prefix) + 1
        try:
            for page in list_objects(self.store, below, chunk_size=_PAGE):
                yield [_facts(meta, meta["path"][start:]) for meta in page if len(meta["path"]) > start]
        except Exception as error:
            raise explain_error(error) from None

    def has_objects(self) -> bool:
        """Whether there is any object below the prefix; raises as `list` does."""
        return any(self.list())


def bare_etag(etag: str | None) -> str:
    """Return an ETag without its quotes and the mark of a weak one."""
    return (etag or "").removeprefix("W/").strip('"')


def _facts(meta: Any, key: str) -> ObjectFacts:
    return ObjectFacts(key, meta["size"], bare_etag(meta["e_tag"]), meta["last_modified"].timestamp())


def _settings(url: StoreUrl) -> tuple[dict[str, Any], Callable[[], Any] | None]:
    """Return the library's settings for an address, and where credentials come from that it does not find itself."""
    options, provider = url.options, None
    config: dict[str, Any] = {}
    if url.scheme == "s3":
        profile = AwsProfile(options.get("profile") or os.environ.get("AWS_PROFILE", "default"))
        config["checksum_algorithm"] = "SHA256"
        if endpoint := options.get("endpoint") or profile.settings.get("endpoint_url"):
            config["endpoint"] = endpoint
        region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        config["region"] = region or profile.settings.get("region", _USUAL_REGION)
        if profile.gives_keys and ("profile" in options or "AWS_ACCESS_KEY_ID" not in os.environ):
            provider = profile
    elif "endpoint" in options:
        config["base_url" if url.scheme == "gs" else "endpoint"] = options["endpoint"]
    if "account" in options:
        config["account_name"] = options["account"]
    return config, provider
