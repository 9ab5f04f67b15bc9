"""Where the two files of a receipt lie and what they are called, and how they are put there.

Beside the destination `NAME` they are `NAME.xxh128` and `NAME.receipt.json`; where somebody else has files of these
names, `NAME.softcopy.xxh128` and `NAME.softcopy.receipt.json`. A name that leaves no room for that is shortened. What
lies beside the top of a disk is on another disk, and a folder may not be writable: then both lie in the destination.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from xxhash import xxh3_64_hexdigest

from softcopy_napari.engine.fs.own_files import RECEIPTS, TEMPORARY_PREFIX, TEMPORARY_SUFFIX

_SUMS, _JSON = ".xxh128", ".receipt.json"
_SECOND = ".softcopy"
_LONGEST_NAME = 255


def possible_receipt_files(destination: Path) -> list[tuple[Path, Path]]:
    """Return checksum and JSON file in each place where a destination may have them; the last one is within it."""
    places = []
    if destination.name:
        places = [_beside(destination, ""), _beside(destination, _SECOND)]
    return [*places, (destination / RECEIPTS[0], destination / RECEIPTS[1])]


def _beside(destination: Path, suffix: str) -> tuple[Path, Path]:
    stem = shorten_name(destination, suffix + _JSON)
    return destination.with_name(stem + suffix + _SUMS), destination.with_name(stem + suffix + _JSON)


def shorten_name(folder: Path, suffix: str) -> str:
    """Return the name of a folder, shortened where it leaves no room for something to be put behind it."""
    name = os.fsencode(folder.name)
    room = _longest_name(folder.parent) - len(os.fsencode(suffix))
    if len(name) <= room:
        return folder.name
    digest = xxh3_64_hexdigest(name)
    return name[: room - len(digest) - 1].decode(errors="ignore") + "~" + digest


def _longest_name(folder: Path) -> int:
    """Return how many bytes a file's name may have."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return min(_LONGEST_NAME, os.pathconf(folder, "PC_NAME_MAX"))
    return _LONGEST_NAME


def can_lie_beside(destination: Path) -> bool:
    """Whether what lies beside a destination is on the same disk and can be written there."""
    return (
        bool(destination.name) and not os.path.ismount(destination) and os.access(destination.parent, os.W_OK | os.X_OK)
    )


def facts_path(sums: Path) -> Path:
    """Return the JSON file that belongs to a checksum file."""
    return sums.with_name(sums.name.removesuffix(_SUMS) + _JSON)


def identify_files(*paths: Path) -> list[tuple[int, int, int, int] | None]:
    """Return what tells whether files are still the same, and unchanged."""
    found: list[tuple[int, int, int, int] | None] = []
    for path in paths:
        try:
            there = os.lstat(path)
        except OSError:
            found.append(None)
        else:
            found.append((there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns))
    return found


def find_temporaries(path: Path) -> list[Path]:
    """Return the temporaries of a file that killed runs have left."""
    ending = _ending(path)
    # Not by `Path.glob`: it holds all of a folder's names at once, and the folder may be that of 100,000 chunk files.
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
        return [path.with_name(name) for name in sorted(names) if name.endswith(ending)]
    return []


def _ending(path: Path) -> str:
    return f"-{xxh3_64_hexdigest(os.fsencode(path.name))}{TEMPORARY_SUFFIX}"


def temporary_path(path: Path, run: str) -> Path:
    """Return where a file is written: this run's walks know the name and leave it alone, later ones remove it."""
    return path.with_name(f"{TEMPORARY_PREFIX}{run}{_ending(path)}")
