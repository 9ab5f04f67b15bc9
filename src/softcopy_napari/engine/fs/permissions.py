"""The setting `permissions`: which permissions files and folders get at a destination.

Used by the copy workers: must import nothing heavy.
"""

from __future__ import annotations

import re
import stat

SOURCE, GROUP = "source", "group"
_OCTAL = re.compile(r"0?[4-7][0-7]{2}")


def is_valid_permissions(setting: str) -> bool:
    """Whether this is a value of the setting: its own user must be able to read what is copied."""
    return setting in (SOURCE, GROUP) or _OCTAL.fullmatch(setting) is not None


def modes_for(setting: str, folder: int) -> tuple[int, int]:
    """Return the modes to make files and folders with, in a folder of this mode.

    With `source` the file's is negative: it has that of the source's file, less the umask, as the folder's is. All
    others are not meant to be lessened by the umask; a default ACL of the folder does lessen them.
    """
    if setting == SOURCE:
        return -1, 0o777
    if setting == GROUP:
        return folder & 0o666 | 0o600, folder & 0o777 | 0o700
    mode = int(setting, 8)
    return mode, mode | (mode & 0o444) >> 2 | 0o300


def is_shared(folder: int) -> bool:
    """Whether a folder of this mode is meant for all members of its group."""
    return bool(folder & (stat.S_ISGID | stat.S_IWGRP))
