"""Checks one object by content: by what the store tells of it where that proves it, else by reading.

A store that answers with the MD5 of what it holds, as S3 does, has told that it holds what was read at the source, and
tells it again as long as the object's ETag is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from xxhash import xxh3_128

from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.object_store.object_manifest import KnownObject
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult


def check_object(
    store: StoreConnection, path: str, digest: bytes, known: KnownObject | None, go_on: Callable[[int], bool]
) -> CheckResult:
    """Compare an object with an XXH3-128, or find its XXH3-128.

    Parameters
    ----------
    store : StoreConnection
    path : str
    digest : bytes
        What it should be; NO_DIGEST if that is not known.
    known : KnownObject or None
        What the manifest says of the object.
    go_on : callable
        As of `read_digest`.

    Raises
    ------
    StoreError
        Nothing can be read any more.
    """
    size = 0

    def count(read: int) -> bool:
        nonlocal size
        size += read
        return go_on(read)

    if digest == LINK_DIGEST:
        return CheckResult(CheckOutcome.LINK)
    try:
        if known is not None and known.digest and not known.is_foreign:
            if digest == NO_DIGEST:
                return CheckResult(CheckOutcome.HASHED, 0, known.digest)
            if known.proven and digest == known.digest:
                facts, _ = store.look_up(path)
                if (facts.etag, facts.size) == (known.etag, known.size):
                    return CheckResult(CheckOutcome.EQUAL, 0, digest)
        found = read_digest(store, path, count)
    except FileNotFoundError:
        return CheckResult(CheckOutcome.MISSING)
    except OSError as error:
        if isinstance(error, StoreError) and error.kind is not None:
            raise
        return CheckResult(CheckOutcome.UNREADABLE, detail=error.strerror or str(error))
    if found is None:
        return CheckResult(CheckOutcome.STOPPED)
    if digest == NO_DIGEST:
        return CheckResult(CheckOutcome.HASHED, size, found)
    return CheckResult(CheckOutcome.EQUAL if found == digest else CheckOutcome.CHANGED, size, found)


def read_digest(store: StoreConnection, path: str, go_on: Callable[[int], bool]) -> bytes | None:
    """Read an object and return its XXH3-128; None if told to stop.

    Parameters
    ----------
    store : StoreConnection
    path : str
    go_on : callable
        Called with the bytes of each block; false stops.

    Raises
    ------
    OSError
        It is not there, or cannot be read.
    """
    hasher = xxh3_128()
    for block in store.read(path):
        hasher.update(block)
        if not go_on(len(block)):
            return None
    return hasher.digest()
