"""Names of the files that softcopy itself makes at a destination: unfinished copies, and receipts."""

from __future__ import annotations

TEMPORARY_PREFIX = ".softcopy-"


TEMPORARY_SUFFIX = ".tmp"


RECEIPTS = ("softcopy.xxh128", "softcopy.receipt.json")
"""Names of a receipt that lies in its destination: no data of anybody's."""


def is_own_temporary(name: str) -> bool:
    """Tell whether a file at a destination is an unfinished copy of softcopy's."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def run_of_temporary(temporary: str) -> str:
    """The run that a temporary of softcopy's belongs to."""
    return temporary.removeprefix(TEMPORARY_PREFIX).partition("-")[0].partition(".")[0]
