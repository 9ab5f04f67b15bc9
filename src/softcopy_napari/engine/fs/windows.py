"""What Windows needs so that the source is left alone: files are opened so that their writer can still replace them.

Written from the documentation of CreateFileW and not tried on Windows, so it is kept to the one call that matters.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import msvcrt
    import os
    from ctypes import wintypes

    _GENERIC_READ = 0x80000000
    # Without FILE_SHARE_DELETE a reader makes the writer's rename over the file fail, and without
    # FILE_SHARE_WRITE its next open: Python's own open() asks for neither, or not for both.
    _FILE_SHARE_ALL = 0x1 | 0x2 | 0x4
    _OPEN_EXISTING = 3
    # The link itself is opened, not what it points to; folders are refused, as os.open does.
    _FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000
    _FILE_FLAG_SEQUENTIAL_SCAN = 0x08000000
    _FILE_ATTRIBUTE_REPARSE_POINT = 0x400
    _INVALID_HANDLE = wintypes.HANDLE(-1).value

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _CreateFileW = _kernel32.CreateFileW
    _CreateFileW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    )
    _CreateFileW.restype = wintypes.HANDLE

    def open_shared(path: str) -> int:
        """Open a file for reading while others may write, rename or delete it.

        Raises
        ------
        OSError
            As `os.open` would; for a link or junction too, which is not followed.
        """
        if os.lstat(path).st_file_attributes & _FILE_ATTRIBUTE_REPARSE_POINT:
            raise OSError(f"{path} is a link")
        handle = _CreateFileW(
            path,
            _GENERIC_READ,
            _FILE_SHARE_ALL,
            None,
            _OPEN_EXISTING,
            _FILE_FLAG_OPEN_REPARSE_POINT | _FILE_FLAG_SEQUENTIAL_SCAN,
            None,
        )
        if handle == _INVALID_HANDLE:
            raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)

    def extended_path(path: str) -> str:
        r"""Spell an absolute path so that it, and what lies deep in it, may be longer than 260 characters."""
        if path.startswith("\\\\?\\"):
            return path
        if path.startswith("\\\\"):
            return "\\\\?\\UNC\\" + path[2:]
        return "\\\\?\\" + path
