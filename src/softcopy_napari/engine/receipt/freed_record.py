"""What is known of a source that was freed: its record in the grace folder beside it, and where such folders are.

The files of a freed source lie in `SOURCE.freed/files` until they are deleted; `SOURCE.freed/freed.json` is the record,
and stays. The state folder keeps the places of all grace folders of a user, so that they can be listed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from softcopy_napari.engine.formatting import count_text, printable, size_text
from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.receipt.receipt_files import shorten_name
from softcopy_napari.engine.state_folder.folder import private_folder, read_regular_file
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity, identify_folder

RECORD, README, FILES = "freed.json", "README.txt", "files"
"""Names in a grace folder: the record, a text for people, and the folder with the files."""
_SUFFIX = ".freed"
_MAX_SIZE = 1 << 16
"""Bytes of a record at most."""
DAY = 86400.0


def _check_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    return value


_PathText = Annotated[str, PlainValidator(_check_text)]
"""A path, which may hold bytes that are no text."""


class FreedRecord(BaseModel):
    """A source whose files were moved to the grace folder, or are being moved.

    Attributes
    ----------
    begun, ended, deleted : float
        Unix times at which the moving began, at which all files had been moved, and at which all had been deleted; 0
        where that has not happened.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    software: str
    host: str = ""
    user: str = ""
    source: _PathText
    source_folder: FolderIdentity | None = None
    """Inode of the source's folder, and when it was made."""
    destination: _PathText
    checksums: _PathText
    """Path of the checksum file by which all files were compared."""
    checksums_xxh128: str = Field(pattern=r"^[0-9a-f]{32}$")
    files: int = Field(ge=0)
    bytes: int = Field(ge=0)
    keep_days: float = Field(ge=0, allow_inf_nan=False)
    begun: float
    ended: float = 0.0
    deleted: float = 0.0

    @property
    def until(self) -> float:
        """Unix time until which the files are kept; 0 while they are still being moved, as that never expires."""
        return self.ended + self.keep_days * DAY if self.ended else 0.0

    @property
    def expired(self) -> bool:
        """Whether the files may be deleted by now, as far as time goes."""
        return bool(self.ended) and not self.deleted and time.time() >= self.until

    def describe(self) -> Reason:
        """Return what became of the source, for somebody who wants to copy it."""
        fields: dict[str, str | int] = {"source": self.source, "destination": self.destination, "files": self.files}
        grace = str(grace_folder_of(Path(self.source)))
        if self.deleted:
            return make_reason(ReasonCode.SOURCE_WAS_FREED, **fields, ended=self.ended)
        if not self.ended:
            return make_reason(ReasonCode.SOURCE_HALF_FREED, **fields, grace=grace)
        return make_reason(ReasonCode.SOURCE_WAS_FREED, **fields, ended=self.ended, grace=grace, until=self.until)


def grace_folder_of(source: Path) -> Path:
    """Return where the grace folder of a source is, or would be: beside the folder that its path leads to."""
    real = Path(os.path.realpath(source))
    return real.with_name(shorten_name(real, _SUFFIX) + _SUFFIX) if real.name else real / _SUFFIX


def read_record(grace: Path) -> FreedRecord | None:
    """Return the record of a grace folder; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        return FreedRecord.model_validate(json.loads(read_regular_file(grace / RECORD, _MAX_SIZE)))
    return None


def find_freed(source: Path) -> FreedRecord | None:
    """Return the record of a source that was freed, or is being freed, and whose folder is still the same."""
    record = read_record(grace_folder_of(source))
    if record is None or not is_folder_of(record, source):
        return None
    return record


def is_folder_of(record: FreedRecord, source: Path) -> bool:
    """Whether the folder at a source's path, if there is one, is that of a record; also where nobody can tell."""
    now = identify_folder(os.fspath(source))
    return now is None or record.source_folder is None or now == record.source_folder


def write_record(grace: Path, record: FreedRecord) -> None:
    """Write a record and the text for people, each whole or not at all, and flushed."""
    write_atomically(grace / README, _readme(record).encode(errors="backslashreplace"))
    write_atomically(grace / RECORD, json.dumps(record.model_dump(), indent=2).encode() + b"\n")


def _readme(record: FreedRecord) -> str:
    what = f"{count_text(record.files, 'file')} ({size_text(record.bytes)})"
    lines = [
        f"softcopy freed {record.source}",
        "",
        f"Its data are at  {record.destination}",
        f"with the receipt {record.checksums}",
        "Every file was read back there and compared with this receipt, and with the source, before it was moved.",
        "",
    ]
    if record.deleted:
        lines += [f"{what} lay here until {_date(record.deleted)}; they have been deleted.", f"Freed by {record.user}."]
        return "\n".join(map(printable, lines)) + "\n"
    if record.ended:
        lines.append(f"Its {what} lie in {FILES} until {_date(record.until)}. Nothing deletes them before that.")
    else:
        lines.append(f"Its {what} are being moved into {FILES}, since {_date(record.begun)}.")
    lines += [
        f"To get them back:       softcopy free --undo {record.source}",
        "To delete them in time: softcopy free --expired",
        "Leave the other files here alone: they say what each file must hold before it may be deleted.",
        "",
        f"Freed by {record.user} on {record.host} with {record.software}.",
    ]
    return "\n".join(map(printable, lines)) + "\n"


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


# -- all grace folders of a user ----------------------------------------------------------------------


def note_grace_folder(grace: Path) -> None:
    """Remember where a grace folder is; without that it is found by its source only."""
    with contextlib.suppress(OSError):
        write_atomically(_pointer(grace), os.fsencode(grace), flush=False, mode=0o600)


def forget_grace_folder(grace: Path) -> None:
    """Forget a grace folder in which nothing lies any more."""
    with contextlib.suppress(OSError):
        _pointer(grace).unlink()


def list_freed() -> list[tuple[Path, FreedRecord | None]]:
    """Return the grace folders that this user has made on this computer, with their records, oldest first.

    None stands for a record that cannot be read: its disk may be away.
    """
    found = []
    with contextlib.suppress(OSError):
        for pointer in sorted(private_folder("freed").iterdir()):
            with contextlib.suppress(OSError, ValueError):
                grace = Path(os.fsdecode(read_regular_file(pointer, _MAX_SIZE)))
                found.append((grace, read_record(grace)))
    return sorted(found, key=lambda one: one[1].begun if one[1] is not None else 0.0)


def _pointer(grace: Path) -> Path:
    return private_folder("freed") / hashlib.sha256(os.fsencode(grace)).hexdigest()[:32]
