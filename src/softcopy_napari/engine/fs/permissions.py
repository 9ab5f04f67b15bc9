"""The setting `permissions`: which permissions files and folders get at a destination."""

from __future__ import annotations

import re
import stat

SOURCE, GROUP = "source", "group"
_OCTAL = re.compile(r"0?[4-7][0-7]{2}")


def is_valid_permissions(setting: str) -> bool:
    """Whether this is a value of the setting; an octal mode must let the owner read what is copied."""
    return setting in (SOURCE, GROUP) or _OCTAL.fullmatch(setting) is not None


def modes_for(setting: str, folder: int) -> tuple[int, int]:
    """Return the modes for new files and folders in a folder of this mode.

    With `source` the file mode is negative: a file gets its source's mode less the umask. With the other settings the
    umask must not apply; a default ACL of the folder still does.
    """
    if setting == SOURCE:
        return -1, 0o777
    if setting == GROUP:
        return folder & 0o666 | 0o600, folder & 0o777 | 0o700
    mode = int(setting, 8)
    return mode, mode | (mode & 0o444) >> 2 | 0o300


def is_shared(folder: int) -> bool:
    """Whether a folder of this mode is meant to be shared with its group."""
    return bool(folder & (stat.S_ISGID | stat.S_IWGRP))
