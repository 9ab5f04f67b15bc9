"""What lies under the key of a file that is to be copied, where no copy is known to have put it there?

It may be a copy that was made and not noted, because a process was killed, or on another computer; or another version
that a copy brought; or somebody else's, which is not replaced unless the user said so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from softcopy_napari.engine.object_store.object_manifest import DIGEST, MODIFIED, KnownObject
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.sides.object_check import read_digest
from softcopy_napari.engine.worker.sides.source_reader import FileContent
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES


class Existing(NamedTuple):
    """What was found."""

    result: CopyResult | None = None
    """What becomes of the file; None where it is to be stored."""
    etag: str = ""
    """The object's ETag, if it holds the same content."""
    content: FileContent | None = None
    """The file's content then."""


_NOTHING = Existing()


def examine_object(
    store: StoreConnection,
    content: FileContent,
    known: KnownObject | None,
    find_digests: Callable[[], tuple[bytes, str]],
    overwrite: bool,
    go_on: Callable[[int], bool],
) -> Existing:
    """Look at the object that has a file's key.

    Parameters
    ----------
    store : StoreConnection
    content : FileContent
        The file; of a large one the digest is not known yet.
    known : KnownObject or None
        What the manifest says of the object.
    find_digests : callable
        Returns the file's XXH3-128 and its MD5.
    overwrite : bool
        Replace what is somebody else's.
    go_on : callable
        As of `read_digest`.

    Raises
    ------
    OSError
        The store cannot be asked.
    """
    try:
        facts, attributes = store.look_up(content.path)
    except FileNotFoundError:
        return _NOTHING
    digest, md5 = content.digest, content.md5
    if facts.size == content.size:
        own = attributes.get(MODIFIED) == str(content.modified)
        if not (own and digest and attributes.get(DIGEST) == digest.hex()):
            digest, md5 = find_digests()
            own = own and attributes.get(DIGEST, digest.hex()) == digest.hex()
        is_equal = own or md5 == facts.etag
        if digest and not is_equal and not _is_md5(facts.etag):
            is_equal = digest == read_digest(store, content.path, go_on)
        if digest and is_equal:
            equal = content._replace(digest=digest, md5=md5)
            return Existing(equal.result(CopyOutcome.EQUAL), facts.etag, equal)
    if overwrite or MODIFIED in attributes:
        return _NOTHING
    return Existing(_refuse(content, known, digest or find_digests()[0]))


def _refuse(content: FileContent, known: KnownObject | None, digest: bytes) -> CopyResult:
    """Leave alone what is somebody else's: metadata that were edited as edits, all else as a failure."""
    if content.path.rpartition("/")[2] in ANNOTATED_NAMES and known is not None and known.digest:
        reason: Reason | None = None
        if known.digest != digest:
            reason = make_reason(ReasonCode.EDITED_ON_BOTH_SIDES, path=content.path)
        return CopyResult(CopyOutcome.KEPT, reason=reason)
    return CopyResult(CopyOutcome.FAILED, reason=make_reason(ReasonCode.FOREIGN_OBJECT))


def _is_md5(etag: str) -> bool:
    return len(etag) == 32 and all(letter in "0123456789abcdef" for letter in etag)
