"""Where engines keep their ledgers in the state folder, and what is removed of engines that have ended."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from softcopy_napari.engine.state_folder.folder import private_folder, runs_folder
from softcopy_napari.engine.state_folder.run_file import CLOCK_ERROR, is_running, own_start_time, run_files

DIGESTS, VERSIONS, RECEIPT_DIGESTS = "digests", "versions", "receipt_digests"
"""Files that a target keeps beside its ledgers: what this run copied, and what the last receipt lists."""


def ledger_folder() -> Path:
    """Return the folder of this engine process's ledgers, which no earlier process had."""
    return private_folder("ledgers") / f"{os.getpid()}-{round(own_start_time())}"


def find_ledger(path: str) -> Path:
    """Return the path of a ledger that an engine names: always in the state folder, whatever the message says.

    Raises
    ------
    ValueError
        This is no ledger's path.
    """
    parts = path.replace(os.sep, "/").split("/")[-3:]
    folders = [part for name in parts[:-1] for part in name.split("-")]
    digits = [*folders, parts[-1].removesuffix(".npy")]
    if len(digits) != 4 or not parts[-1].endswith(".npy") or None in map(_number, digits):
        raise ValueError(f"{path!r} is no ledger's path")
    return private_folder("ledgers").joinpath(*parts)


def clean_state_folder(keep: int = 20) -> None:
    """Remove what ended and dead engines left, except the last run files and their ledgers."""
    ended = []
    for run in run_files():
        if run.alive():
            continue
        if run.last is None:
            run.path().unlink(missing_ok=True)
        else:
            ended.append(run)
    for run in ended[: max(0, len(ended) - keep)]:
        run.path().unlink(missing_ok=True)
    for path in (*runs_folder().glob("*.socket"), *runs_folder().glob("*.tmp")):
        pid = _number(path.name.partition("-")[0].partition(".")[0])
        if pid is None or not psutil.pid_exists(pid):
            with contextlib.suppress(OSError):
                path.unlink()
    kept = [(run.pid, run.process_started) for run in run_files()]
    ledgers = private_folder("ledgers")
    for folder in () if ledgers.is_symlink() else ledgers.iterdir():
        pid, started = map(_number, folder.name.split("-", 1)) if "-" in folder.name else (None, None)
        if pid is None or started is None:
            continue
        of_kept = any(one == pid and abs(when - started) <= CLOCK_ERROR for one, when in kept)
        # An engine that is just starting has no run file yet.
        if not of_kept and not is_running(pid, started):
            _remove_ledgers(folder)


def _number(text: str) -> int | None:
    """Return the process id or the seconds in a file's name; None where it can be neither."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None


def _remove_ledgers(folder: Path) -> None:
    """Remove an engine's ledgers, but nothing that somebody else has put there; follow no link."""
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            return
        for of_target in folder.iterdir():
            if _number(of_target.name) is not None and not of_target.is_symlink() and of_target.is_dir():
                for path in of_target.iterdir():
                    is_ledger = path.suffix == ".npy" and _number(path.stem) is not None
                    if is_ledger or path.name in (DIGESTS, VERSIONS, RECEIPT_DIGESTS):
                        path.unlink()
                of_target.rmdir()
        folder.rmdir()
