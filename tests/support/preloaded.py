"""Starts `python -m MODULE` hundreds of times without importing the same libraries hundreds of times.

A server, one for each process of pytest, has imported them, and forks at each start: what runs is a process of its own
like any other. Where processes cannot be forked safely, or the environment would make another Python of it, a new
Python is started.
"""

from __future__ import annotations

import array
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

REPO = Path(__file__).parents[2]
_LIBRARIES = (
    "numpy", "tensorstore", "zarr", "acquire_zarr", "softcopy_napari.cli", "softcopy_napari.engine.server",
    *(f"softcopy_napari.terminal.{name}" for name in ("live_table", "orders", "run_engine", "status", "verify")),
)  # fmt: skip
_READ_LATE = ("SOFTCOPY_", "PYTEST_", "COLUMNS", "NO_COLOR", "OPENBLAS_NUM_THREADS", "PYDANTIC_DISABLE_PLUGINS")
"""Beginnings of the names of variables that are read when they are needed, not when Python starts or imports."""
_MOST = 1 << 17
"""Bytes of a request: the arguments and the environment."""


class ForkedProcess:
    """What tests need of a `subprocess.Popen` with text, of a process that the server has forked."""

    def __init__(self, pid: int, ending: int, stdout: int, stderr: int | None) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(stdout, encoding="utf-8")
        self.stderr: IO[str] | None = None if stderr is None else os.fdopen(stderr, encoding="utf-8")
        self._ending = ending
        self._read: list[str] = ["", ""]
        self._readers: list[threading.Thread] = []

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code."""
        if self._wait(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ending], [], [], timeout)[0]:
            said = os.read(self._ending, 4)
            self.returncode = int.from_bytes(said, "little", signed=True) if said else -signal.SIGKILL
            os.close(self._ending)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that it prints, and wait for its end."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            streams = [stream for stream in (self.stdout, self.stderr) if stream is not None]
            self._readers = [
                threading.Thread(target=self._keep, args=(number, stream), daemon=True)
                for number, stream in enumerate(streams)
            ]
            for reader in self._readers:
                reader.start()
        for reader in self._readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(reader.is_alive() for reader in self._readers):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self._read[0], self._read[1]

    def _keep(self, number: int, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError), stream:
            self._read[number] = stream.read()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class _Server:
    """The server as its clients see it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = dict(os.environ)
        self._lock = threading.Lock()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.preloaded", str(theirs.fileno())],
                cwd=REPO, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether a Python with this environment would be as the server is."""
        names = environment.keys() | self.environment.keys()
        unlike = [name for name in names if environment.get(name) != self.environment.get(name)]
        return all(name.startswith(_READ_LATE) for name in unlike)

    def start(self, arguments: Sequence[str], folder: str, environment: dict[str, str], both: bool) -> ForkedProcess:
        """Have `python -m ARGUMENTS` started; `both` has its errors come with its output."""
        umask = os.umask(0)
        os.umask(umask)
        request = json.dumps([list(arguments), folder, environment, umask]).encode()
        out, out_there = os.pipe()
        err, err_there = (None, out_there) if both else os.pipe()
        ending, ending_there = os.pipe()
        theirs = [out_there, err_there, ending_there]
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", theirs))
        try:
            with self._lock:
                self._socket.sendmsg([request], [rights])
                pid = int(self._socket.recv(20))
        finally:
            for fd in set(theirs):
                os.close(fd)
        return ForkedProcess(pid, ending, out, err)


@functools.cache
def _server() -> _Server:
    return _Server()


def server_pid() -> int:
    """Return the server's process, which outlives tests; 0 while there is none."""
    return _server().process.pid if _server.cache_info().currsize else 0


def start_module(
    arguments: Sequence[str], folder: str | Path, environment: dict[str, str], both: bool = True
) -> ForkedProcess | subprocess.Popen[str]:
    """Start `python -m ARGUMENTS` in a folder, its output (and its errors, or `both` in one) read as text."""
    if sys.platform == "linux" and _server().fits(environment):
        return _server().start(arguments, os.fspath(folder), environment, both)
    errors = subprocess.STDOUT if both else subprocess.PIPE
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
    )


# -- the server -------------------------------------------------------------------------------------------------------


def _serve(requests: socket.socket) -> list[str]:
    """Fork for each request, until nobody can make any; return in the processes forked, what they are to run."""
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    endings: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            os.read(woken, 100)
            _tell_of_ended(endings)
            continue
        data, ancillary, _, _ = requests.recvmsg(_MOST, socket.CMSG_SPACE(3 * array.array("i").itemsize))
        if not data:
            sys.exit()
        fds = array.array("i")
        fds.frombytes(ancillary[0][2])
        out, err, ending = fds
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(out, 1)
            os.dup2(err, 2)
            for fd in {out, err, ending, woken, wake, *endings.values()}:
                os.close(fd)
            requests.close()
            return _become(*json.loads(data))
        endings[pid] = ending
        for fd in {out, err}:
            os.close(fd)
        requests.send(str(pid).encode())


def _tell_of_ended(endings: dict[int, int]) -> None:
    while endings:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        ending = endings.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(ending, os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))
        os.close(ending)


def _become(arguments: list[str], folder: str, environment: dict[str, str], umask: int) -> list[str]:
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    return arguments


def _main() -> Any:
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        arguments = _serve(requests)
    sys.argv = arguments
    return runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
