"""A source and its complete copy with a receipt, and what is done to free the source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.freeing.expiry import Deleted, delete_expired
from softcopy_napari.engine.freeing.free_rules import FreeOptions, FreePlan
from softcopy_napari.engine.freeing.free_source import FreeJob
from softcopy_napari.engine.freeing.source_scan import PROBE
from softcopy_napari.engine.freeing.undo import Returned, undo_free
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.freed_record import FILES, grace_folder_of
from softcopy_napari.engine.receipt.receipt import Receipt, write_receipt
from softcopy_napari.engine.verify.verify import Interrupted
from softcopy_napari.engine.zarr_layout.probe import identify_folder
from tests.engine.support import make_old, tree, write

NAMES = ("zarr.json", "image/zarr.json", "image/c/0/0", "image/c/0/1", "image/c/1/0", "notes.txt")


class FreeLab:
    """A source, its copy, and the grace folder.

    Attributes
    ----------
    contents : dict of str to bytes
        What the receipt lists.
    """

    def __init__(self, folder: Path, names: tuple[str, ...] = NAMES) -> None:
        self.source, self.destination = folder / "scope" / "s.zarr", folder / "nas" / "d.zarr"
        self.grace = grace_folder_of(self.source)
        self.contents = {name: os.fsencode(name) * 100 for name in names}
        for name, content in self.contents.items():
            write(self.source / name, content, old=True)
        make_old(self.source)
        self.copy()

    def copy(self, **facts: Any) -> None:
        """Make the copy and its receipt anew, of what is at the source now."""
        shutil.rmtree(self.destination, ignore_errors=True)
        shutil.copytree(self.source, self.destination, symlinks=True)
        self.contents = tree(self.source)
        self.sign(**facts)

    def sign(self, **facts: Any) -> None:
        """Write the receipt."""
        lines = [(xxh3_128_digest(content), path) for path, content in sorted(self.contents.items())]
        known: dict[str, Any] = {
            "source": printable(str(self.source)),
            "source_folder": identify_folder(str(self.source)),
        }
        known |= {
            "software": "softcopy-napari 1",
            "destination": printable(str(self.destination)),
            "started": "",
            "finished": "",
        }
        write_receipt(self.destination, lines, Receipt(**{**known, **facts}))

    def job(self, **options: Any) -> FreeJob:
        return FreeJob(self.source, self.destination, FreeOptions(**{"nprocs": 2, **options}))

    def free(self, **options: Any) -> FreePlan:
        return self.job(**options).run()

    def free_half(self, **options: Any) -> None:
        """Free some of the files."""

        def progress(what: ReasonCode, files: int, total: int) -> bool:
            return what is not ReasonCode.FREEING_SOURCE or files < 2

        with pytest.raises(Interrupted):
            self.free(progress=progress, **options)
        assert 0 < len(self.kept) < len(self.contents)

    def undo(self) -> Returned:
        return undo_free(self.source)

    def expire(self) -> Deleted:
        return delete_expired(self.grace)

    @property
    def here(self) -> dict[str, bytes]:
        """What lies at the source, but for the file by which a run that was killed has told both sides apart."""
        return {path: content for path, content in tree(self.source).items() if not path.startswith(PROBE)}

    @property
    def kept(self) -> dict[str, bytes]:
        """What lies in the grace folder."""
        files = self.grace / FILES
        return tree(files) if files.exists() else {}

    @property
    def there(self) -> dict[str, bytes]:
        """What lies at the destination."""
        return tree(self.destination)

    def lost(self) -> list[str]:
        """The files of the receipt of which there is no whole copy anywhere."""
        places = (self.here, self.kept, self.there)
        return [path for path, content in self.contents.items() if all(place.get(path) != content for place in places)]

    def untouched(self) -> bool:
        """Whether the source is as it was, and nothing lies beside it."""
        return self.here == self.contents and not self.grace.exists()

    def spoil(self, path: str, content: bytes) -> None:
        """Change a file at the destination, as a failing disk does: its size and times stay, if the size does."""
        copy = self.destination / path
        before = copy.stat()
        copy.write_bytes(content)
        os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
