"""Names of the files that softcopy itself makes at a destination: temporaries and receipts."""

from __future__ import annotations

TEMPORARY_PREFIX = ".softcopy-"
TEMPORARY_SUFFIX = ".tmp"
RECEIPTS = ("softcopy.xxh128", "softcopy.receipt.json")
"""Names of the receipt files in a destination, which are not data."""


def is_own_temporary(name: str) -> bool:
    """Whether a file at a destination is a temporary of softcopy's."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def run_of_temporary(temporary: str) -> str:
    """Return the run that a temporary belongs to."""
    return temporary.removeprefix(TEMPORARY_PREFIX).partition("-")[0].partition(".")[0]
