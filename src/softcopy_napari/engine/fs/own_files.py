"""Names of the files that softcopy itself makes at a destination: temporaries, receipts and progress files."""

from __future__ import annotations

TEMPORARY_PREFIX = ".softcopy-"
TEMPORARY_SUFFIX = ".tmp"
RECEIPTS = ("softcopy.xxh128", "softcopy.receipt.json")
"""Names of the receipt files in a destination, which are not data."""
PROGRESS = "softcopy.progress.jsonl"
"""Name of the progress file in a destination."""
OWN_FILES = (*RECEIPTS, PROGRESS)
"""Names at the top of a destination that are not data."""


def is_own_temporary(name: str) -> bool:
    """Whether a file at a destination is a temporary of softcopy's."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


MOST_LANES = 16
"""Files that a copy worker writes at a time at most; as in copy_files.c."""


def temporaries_of(temporary: str) -> list[str]:
    """Return the names of all temporaries of a worker, of which this is one: it may write as many files at a time."""
    stem = temporary.removesuffix(TEMPORARY_SUFFIX)
    return [temporary, *(f"{stem}-{number}{TEMPORARY_SUFFIX}" for number in range(1, MOST_LANES))]


def run_of_temporary(temporary: str) -> str:
    """Return the run that a temporary belongs to."""
    return temporary.removeprefix(TEMPORARY_PREFIX).partition("-")[0].partition(".")[0]
