"""Reads files of the source to be sent somewhere, in a copy process: whole, and checked as file_copier.py does.

The identity, size and times of a file are the same before the first byte is read and after the last; otherwise, and
where its own bytes show that it is not whole, it is `NotPublished`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from xxhash import xxh3_128, xxh3_128_digest

from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.files import read_into
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.object_manifest import DIGEST, MODIFIED
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.file_streams import BLOCK_SIZE, Stopped
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.worker.source_files import NotPublished, check_after_reading, unreadable
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum, needs_checksum


class FileContent(NamedTuple):
    """A version of a file of the source."""

    path: str
    size: int
    modified: int
    """Modification time, ns."""
    digest: bytes = b""
    """XXH3-128; empty where it has not been read yet."""
    md5: str = ""
    """In hexadecimal; empty where nobody asks for it."""
    data: bytes = b""
    damage: Reason | None = None
    """Why it cannot be a whole chunk file."""

    @property
    def attributes(self) -> dict[str, str]:
        """What is stored with the object."""
        facts = {MODIFIED: str(self.modified)}
        return facts | {DIGEST: self.digest.hex()} if self.digest else facts

    def result(self, outcome: CopyOutcome) -> CopyResult:
        """Return the result for one that is at the destination."""
        outcome = CopyOutcome.DAMAGED if self.damage else outcome
        return CopyResult(outcome, self.size, self.digest, self.damage, modified=self.modified)


class SourceReader:
    """Reads files of one source.

    Parameters
    ----------
    source : RootFolder
        Open while files are read.
    should_stop : callable
        True ends the reading of a large file.
    note_block : callable
        Called with the bytes of each block of a large file.
    proves : bool
        Find out the MD5 as well.
    """

    def __init__(
        self,
        source: RootFolder,
        should_stop: Callable[[], bool],
        note_block: Callable[[int], None],
        proves: bool = False,
    ) -> None:
        self._source = source
        self._should_stop, self._note_block, self._proves = should_stop, note_block, proves
        self._view = memoryview(bytearray(BLOCK_SIZE))

    def read_whole(self, fd: int, before: os.stat_result, path: str, rules: PublishRules) -> FileContent:
        """Read a small file, opened and stat'ed by the caller.

        Raises
        ------
        NotPublished
        """
        data = bytearray()
        try:
            while len(data) <= before.st_size and (block := os.read(fd, before.st_size + 1 - len(data))):
                data += block
        except OSError as error:
            raise NotPublished(unreadable(error)) from None
        content = bytes(data)
        checksum = None
        if needs_checksum(rules.chunk_format):
            checksum = Checksum(rules.chunk_format, before.st_size)
            checksum.update(memoryview(content))
        damage = check_after_reading(self._source, fd, before, path, len(content), rules, checksum)
        md5 = find_md5(content) if self._proves else ""
        return FileContent(path, len(content), before.st_mtime_ns, xxh3_128_digest(content), md5, content, damage)

    def read_blocks(
        self, fd: int, before: os.stat_result, path: str, rules: PublishRules, size: int, found: list[FileContent]
    ) -> Iterator[bytes]:
        """Read a large file in blocks of a size; what was read is put into `found` before the last one is yielded.

        Raises
        ------
        NotPublished, Stopped
        """
        hasher, md5 = xxh3_128(), hashlib.md5(usedforsecurity=False) if self._proves else None
        checksum = Checksum(rules.chunk_format, before.st_size) if needs_checksum(rules.chunk_format) else None
        count, block = 0, bytearray()
        while count <= before.st_size and (data := self._read(fd)):
            for each in (hasher, md5, checksum):
                if each is not None:
                    each.update(data)
            count += len(data)
            block += data
            self._note_block(len(data))
            if self._should_stop():
                raise Stopped
            if len(block) >= size and count < before.st_size:
                yield bytes(block)
                block.clear()
        damage = check_after_reading(self._source, fd, before, path, count, rules, checksum)
        whole = md5.hexdigest() if md5 is not None else ""
        found.append(FileContent(path, count, before.st_mtime_ns, hasher.digest(), whole, damage=damage))
        yield bytes(block)

    def _read(self, fd: int) -> memoryview:
        try:
            return self._view[: read_into(fd, self._view)]
        except OSError as error:
            raise NotPublished(unreadable(error)) from None

    def find_digests(self, path: str) -> tuple[bytes, str]:
        """Read a large file through and return its XXH3-128 and its MD5; nothing where it changes or cannot be read."""
        hasher, md5 = xxh3_128(), hashlib.md5(usedforsecurity=False)
        try:
            before = self._source.stat(path)
            fd = self._source.open_for_reading(path)
            try:
                while count := read_into(fd, self._view):
                    hasher.update(self._view[:count])
                    md5.update(self._view[:count])
                    self._note_block(0)
                    if self._should_stop():
                        return b"", ""
            finally:
                os.close(fd)
            if is_same_version(before, self._source.stat(path)):
                return hasher.digest(), md5.hexdigest()
        except OSError:
            pass
        return b"", ""


def find_md5(data: bytes) -> str:
    """Return the MD5 of some bytes, in hexadecimal."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
