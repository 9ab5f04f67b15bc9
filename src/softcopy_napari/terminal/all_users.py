"""What `softcopy status --all-users` can find out about the copies of other users on this computer.

Each user's state folder is his alone. An administrator (root) may act as any user: a process that has taken on that
user's rights, and has no others, reports for him. So nothing that a user has put in place is read with root's rights.
Everybody else is told which engines there are, as far as the system lists processes, and nothing of what they copy.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.state_folder.folder import STATE_FOLDER_VARIABLE
from softcopy_napari.terminal.status_report import CopyReport, StatusReport

_COMMAND = [sys.executable, "-I", "-P", "-m", "softcopy_napari", "status", "--json"]
_SECONDS = 20.0
"""Seconds for the report of one user."""
_MAX_SIZE = 1 << 26
"""Bytes of such a report at most."""
_AT_A_TIME = 8
_KEPT = ("XDG_STATE_HOME", STATE_FOLDER_VARIABLE)
"""Variables of a user's engine that say where his state folder is."""
_STATE_FOLDERS = (".local/state/softcopy-napari", "Library/Application Support/softcopy-napari")
_ENGINE = "softcopy_napari.engine.server"


class User(NamedTuple):
    """A user of this computer, and what says where his state folder is."""

    uid: int
    gid: int
    name: str
    home: str
    environment: tuple[tuple[str, str], ...] = ()


class OthersReport(NamedTuple):
    """Copies of other users, and what could not be shown."""

    copies: tuple[CopyReport, ...]
    not_shown: tuple[str, ...]


def report_others() -> OthersReport:
    """Return what can be known of other users' copies."""
    if sys.platform == "win32":
        words = "on Windows each user sees only their own copies"
        return OthersReport((), (words,))
    if os.geteuid() != 0:
        return OthersReport((), tuple(_list_engines()))
    others = [user for user in _users() if user.uid != 0 or user.environment]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        reports = list(pool.map(_report_as, others))
    copies = tuple(copy for report in reports for copy in report.copies)
    return OthersReport(copies, tuple(words for report in reports for words in report.not_shown))


def _list_engines() -> Iterator[str]:
    """Say of each engine of another user that it is there: more is not for everybody to know."""
    engines = {
        process.pid: process.uids().real for process in _engine_processes() if process.uids().real != os.getuid()
    }
    for pid, uid in sorted(engines.items()):
        yield f"{_name(uid)}: a copy engine runs (process {pid}). Only that user and root can see what it copies"
    if not engines:
        yield "The system lists no engine of another user. To be sure, run this as root"


def _engine_processes() -> Iterator[psutil.Process]:
    """Yield processes that copy: engines, and commands that are one."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            is_engine = _ENGINE in command
            is_command = any(Path(word).name == "softcopy" or word == "softcopy_napari" for word in command[:4])
            if (is_engine or is_command) and process.pid != os.getpid():
                process.uids()
                yield process


if sys.platform != "win32":
    import pwd

    def _users() -> list[User]:
        """Return users who have a state folder in its usual place, or an engine that uses another one."""
        found: dict[tuple[int, tuple[tuple[str, str], ...]], User] = {}
        for entry in pwd.getpwall():
            for folder in _STATE_FOLDERS:
                with contextlib.suppress(OSError):
                    if (Path(entry.pw_dir) / folder).is_dir():
                        user = User(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)
                        found.setdefault((user.uid, ()), user)
        own = tuple((name, os.environ[name]) for name in _KEPT if name in os.environ)
        for process in _engine_processes():
            with contextlib.suppress(psutil.Error):
                uid, gid, environment = process.uids().real, process.gids().real, process.environ()
                kept = tuple((name, environment[name]) for name in _KEPT if name in environment)
                if uid != os.geteuid() or kept not in ((), own):
                    home = environment.get("HOME", "/")
                    found.setdefault((uid, kept), User(uid, gid, _name(uid), home, kept))
        return list(found.values())

    def _name(uid: int) -> str:
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"user {uid}"

    def _report_as(user: User) -> OthersReport:
        """Have a process that has a user's rights, and no others, report for him."""
        environment = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name, "PATH": os.defpath}
        environment |= dict(user.environment)
        try:
            report = StatusReport.model_validate_json(_run_as(user, environment))
        except (OSError, ValueError, subprocess.SubprocessError):
            words = f"{user.name}: their copies could not be read; can they run {sys.executable}?"
            return OthersReport((), (words,))
        copies = tuple(copy.model_copy(update={"user": user.name}) for copy in report.copies)
        return OthersReport(copies, tuple(f"{user.name}: {printable(words)}" for words in report.not_shown))

    def _run_as(user: User, environment: dict[str, str]) -> bytes:
        """Return what the command prints as a user; it is ended where it takes too long, or prints too much."""
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            start_new_session=True,  # without the terminal, into which it could otherwise type
        )
        assert process.stdout is not None
        limit = threading.Timer(_SECONDS, process.kill)
        limit.start()
        try:
            return process.stdout.read(_MAX_SIZE)
        finally:
            limit.cancel()
            process.kill()
            process.stdout.close()
            process.wait()
else:

    def _name(uid: int) -> str:
        return str(uid)

    def _users() -> Sequence[User]:
        return ()

    def _report_as(user: User) -> OthersReport:
        raise NotImplementedError
