"""Finds out whether there is a screen, and makes a virtual one where there is none: for the demo and for tests."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

SIZE = (1280, 1024)
"""Width and height of the virtual screen in pixels."""

_TIMEOUT = 2.0
_END = 5.0
_WITH_STDIN = '"$@" & exec >&-; read -r _; kill $!; wait $!'
"""A shell script that runs a command until its stdin is closed, be it by the end of the process that holds it."""


class NoScreen(Exception):
    """There is no screen, and none can be made; the message says why."""


def has_screen() -> bool:
    """Whether windows can be shown here."""
    if sys.platform in ("win32", "darwin") or os.environ.get("WAYLAND_DISPLAY"):
        return True
    return _has_server(os.environ.get("DISPLAY", ""))


def _has_server(display: str) -> bool:
    """Whether an X server listens at a display; where none does, Qt ends the process without an exception."""
    match = re.fullmatch(r"(?:unix)?(.*):(\d+)(?:\.\d+)?", display)
    if not match:
        return False
    host, number = match[1], int(match[2])
    places: list[tuple[int, str | tuple[str, int]]] = [(socket.AF_INET, (host, 6000 + number))]
    if not host:
        path = f"/tmp/.X11-unix/X{number}"
        places = [(socket.AF_UNIX, path), (socket.AF_UNIX, f"\0{path}")]
    for family, address in places:
        with socket.socket(family) as tried, contextlib.suppress(OSError):
            tried.settimeout(_TIMEOUT)
            tried.connect(address)
            return True
    return False


@contextlib.contextmanager
def virtual_screen() -> Iterator[None]:
    """Show the windows of this process and its children on a screen in memory (Xvfb).

    Raises
    ------
    NoScreen
        Xvfb is not installed, or does not start.
    """
    program = shutil.which("Xvfb")
    if program is None:
        raise NoScreen("Xvfb is not installed (Debian: apt-get install xvfb)")
    # Xvfb chooses a free display number, and writes it to its stdout when it is ready.
    options = ["-displayfd", "1", "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        ["sh", "-c", _WITH_STDIN, "sh", program, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process; its windows still need their screen
    )
    assert server.stdin is not None and server.stdout is not None
    with server.stdout as answer:
        number = answer.readline().decode().strip()
    before = {name: os.environ.pop(name, None) for name in ("DISPLAY", "WAYLAND_DISPLAY")}
    try:
        if not number:
            raise NoScreen("Xvfb does not start")
        os.environ["DISPLAY"] = f":{number}"
        yield
    finally:
        os.environ.pop("DISPLAY", None)
        os.environ.update({name: value for name, value in before.items() if value is not None})
        server.stdin.close()
        try:
            server.wait(_END)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
