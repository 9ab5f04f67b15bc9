"""Starts `python -m MODULE` hundreds of times without importing the same libraries hundreds of times.

Servers, two for each process of pytest, have imported them, and fork at each start: what runs is a process of its own
like any other. A command or engine that is started so has a server of its own for its copy workers. Where processes
cannot be forked safely, or the environment would make another Python of it, a new Python is started.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import inspect
import json
import os
import pkgutil
import platform
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
from types import SimpleNamespace
from typing import IO, Any

import psutil

REPO = Path(__file__).parents[2]
_LIBRARIES = (
    "numpy", "numpy.ma", "tensorstore", "zarr", "acquire_zarr", "apprise", "ctypes.util", "encodings.utf_8_sig",
    "softcopy_napari.cli", "softcopy_napari.terminal.*", "softcopy_napari.engine.*",
)  # fmt: skip
"""What all processes but copy workers import sooner or later; with `.*`, all modules of a package."""
_WORKER = "softcopy_napari.engine.worker.process"
_OWN_PROCESSES = (_WORKER, "softcopy_napari.engine.server", "softcopy_napari.engine.notify.sender")
"""Modules that the program itself starts as processes."""
_STARTS_WORKERS = ("softcopy_napari", "softcopy_napari.engine.server")
_STARTS_NONE = (
    "--help", "finish", "free", "notify-test", "pause", "resume", "set", "status", "stop", "verify", "wait", "watch",
)  # fmt: skip
"""Commands without copy workers."""
_SERVER_OF_WORKERS = "worker-server"
"""Its name in a list of processes."""
_READ_LATE = ("SOFTCOPY_", "AWS_", "PYTEST_", "COLUMNS", "NO_COLOR", "OPENBLAS_NUM_THREADS", "PYDANTIC_DISABLE_PLUGINS")
"""Beginnings of the names of variables that are read when they are needed, not when Python starts or imports."""
_MOST = 1 << 17
"""Bytes of a request: the arguments and the environment."""
_MOST_FILES = 16
_OUT_OF_THE_WAY = 200
"""A file descriptor above all that a process begins with."""
SETTINGS: dict[str, float] = {}
"""What engines started from here on have in place of the program's own values, by `MODULE.NAME`: they wait less."""
_CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
_CLONE_PARENT = 0x8000


class ForkedProcess:
    """What tests need of a `subprocess.Popen` with text, of a process that a server has forked."""

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
    """A server as its clients see it."""

    def __init__(self, requests: socket.socket, process: subprocess.Popen[bytes] | None = None) -> None:
        self._socket = requests
        self.environment = dict(os.environ)
        self._lock = threading.Lock()
        self.process = process

    def close(self) -> None:
        """Have it end."""
        self._socket.close()
        if self.process:
            self.process.wait()

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether a Python with this environment would be as the server is."""
        names = environment.keys() | self.environment.keys()
        unlike = [name for name in names if environment.get(name) != self.environment.get(name)]
        return all(name.startswith(_READ_LATE) for name in unlike)

    def start(self, arguments: Sequence[str], folder: str, environment: dict[str, str], both: bool) -> ForkedProcess:
        """Have `python -m ARGUMENTS` started; `both` has its errors come with its output."""
        out, out_there = os.pipe()
        err, err_there = (None, out_there) if both else os.pipe()
        ending, ending_there = os.pipe()
        try:
            pid = self._fork(arguments, folder, environment, {1: out_there, 2: err_there}, ending_there)
        finally:
            for fd in {out_there, err_there, ending_there}:
                os.close(fd)
        return ForkedProcess(pid, ending, out, err)

    def start_child(
        self, module: str, folder: str, environment: dict[str, str], files: dict[int, int], own_session: bool
    ) -> int:
        """Have `python -m MODULE` started as a child of this process, with these files under these numbers."""
        return self._fork([module], folder, environment, files, own_session=own_session, settings=SETTINGS)

    def _fork(
        self, arguments: Sequence[str], folder: str, environment: dict[str, str], files: dict[int, int],
        ending: int | None = None, own_session: bool = False, settings: dict[str, float] | None = None,
    ) -> int:  # fmt: skip
        umask = os.umask(0)
        os.umask(umask)
        request = [
            list(files), ending is None, own_session, list(arguments), folder, environment, umask, settings or {},
        ]  # fmt: skip
        sent = [*files.values(), *([] if ending is None else [ending])]
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sent))
        with self._lock:
            self._socket.sendmsg([json.dumps(request).encode()], [rights])
            return int(self._socket.recv(20))


_starting = threading.Lock()
_servers: dict[bool, _Server] = {}
"""The server of copy workers, which is small as they are, and that of all else."""


def _server(module: str) -> _Server:
    """Return the server for a module, started when it is first needed."""
    of_workers = module == _WORKER
    with _starting:
        if of_workers not in _servers:
            libraries = (_WORKER,) if of_workers else _LIBRARIES
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.preloaded", str(theirs.fileno()), *libraries],
                    cwd=REPO, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                )  # fmt: skip
            _servers[of_workers] = _Server(ours, process)
        return _servers[of_workers]


def server_pids() -> set[int]:
    """Return the servers' processes, which outlive tests."""
    return {server.process.pid for server in _servers.values() if server.process}


def end_servers() -> None:
    """End them, after the last test."""
    while _servers:
        _, server = _servers.popitem()
        server.close()


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the copy workers that an engine has: its children, but for what starts them in tests."""
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has died just now
            if child.pid not in server_pids() and child.name() != _SERVER_OF_WORKERS:
                found.append(child)
    return found


def start_module(
    arguments: Sequence[str], folder: str | Path, environment: dict[str, str], both: bool = True
) -> ForkedProcess | subprocess.Popen[str]:
    """Start `python -m ARGUMENTS` in a folder, its output (and its errors, or `both` in one) read as text."""
    if sys.platform == "linux" and _server(arguments[0]).fits(environment):
        return _server(arguments[0]).start(arguments, os.fspath(folder), environment, both)
    errors = subprocess.STDOUT if both else subprocess.PIPE
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
    )


class PreloadedPopen(subprocess.Popen[bytes]):
    """A `Popen` that has the program's own processes forked from a server: children of this process all the same."""

    def _execute_child(self, *arguments: Any) -> None:
        start = subprocess.Popen._execute_child  # type: ignore[attr-defined]
        given = inspect.signature(start).bind(self, *arguments).arguments
        module = _own_module(given["args"])
        environment = dict(os.environ if given["env"] is None else given["env"])
        if not module or not _server(module).fits(environment):
            return start(self, *arguments)
        names = {0: "p2cread", 1: "c2pwrite", 2: "errwrite"}
        files = {number: number if given[name] == -1 else given[name] for number, name in names.items()}
        files |= {fd: fd for fd in given["pass_fds"]}
        folder = os.fspath(given["cwd"] or os.getcwd())
        try:
            self.pid = _server(module).start_child(module, folder, environment, files, given["start_new_session"])
        finally:
            pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]
        self._child_created = True


def fork_own_processes() -> None:
    """Have the program start its copy workers, engines and senders from this process so, from now on."""
    from softcopy_napari.engine import client
    from softcopy_napari.engine.dispatch import local_processes
    from softcopy_napari.engine.notify import sending

    _replace_popen(client, local_processes, sending)


def _replace_popen(*modules: Any) -> None:
    for module in modules:
        module.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": PreloadedPopen})  # type: ignore[attr-defined]


def _own_module(command: Any) -> str:
    """The module of the program's own that a command runs and a server can; empty if none."""
    if sys.platform != "linux" or _CLONE is None or list(command[:-1]) != [sys.executable, "-P", "-m"]:
        return ""
    return command[-1] if command[-1] in _OWN_PROCESSES else ""


# -- the server -------------------------------------------------------------------------------------------------------


def _serve(requests: socket.socket, libraries: Sequence[str]) -> list[str]:
    """Fork for each request, until nobody can make any; return in the processes forked, what they are to run."""
    for name in libraries:
        _import(name)
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
        data, ancillary, _, _ = requests.recvmsg(_MOST, socket.CMSG_SPACE(_MOST_FILES * array.array("i").itemsize))
        if not data:
            os._exit(0)
        fds = array.array("i")
        fds.frombytes(ancillary[0][2])
        numbers, for_parent, own_session, *what = json.loads(data)
        sys.stdout.flush()
        began, begins = os.pipe()
        pid = _fork_brother() if for_parent else os.fork()
        if pid == 0:
            import fcntl

            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for fd in (begins, *fds[: len(numbers)])]
            for fd in {requests.detach(), *fds, woken, wake, began, begins, *endings.values()}:
                os.close(fd)
            begins = kept.pop(0)
            for fd, number in zip(kept, numbers, strict=True):
                os.dup2(fd, number)
                os.close(fd)
            Path("/proc/self/comm").write_text("python")
            if own_session:
                os.setsid()
            os.close(begins)
            return _become(*what, safe_path=for_parent)
        if not for_parent:
            endings[pid] = fds.pop()
        for fd in (*fds, begins):
            os.close(fd)
        os.read(began, 1)  # until it has its session and its files, or was killed before
        os.close(began)
        with contextlib.suppress(BrokenPipeError):
            requests.send(str(pid).encode())


def _import(name: str) -> None:
    with contextlib.suppress(ImportError):
        module = importlib.import_module(name.removesuffix(".*"))
        if name.endswith(".*"):
            for one in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
                _import(f"{one.name}.*" if one.ispkg else one.name)


def _fork_brother() -> int:
    """Fork as `os.fork` does, in a process of one thread; but it is for this process's parent to wait for the child."""
    ctypes.pythonapi.PyOS_BeforeFork()
    numbers = map(ctypes.c_ulong, (_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    pid: int = ctypes.PyDLL(None, use_errno=True).syscall(*numbers)
    if pid:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def _tell_of_ended(endings: dict[int, int]) -> None:
    while endings:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        ending = endings.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(ending, os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))
        os.close(ending)


def _become(
    arguments: list[str], folder: str, environment: dict[str, str], umask: int, settings: dict[str, float],
    safe_path: bool,
) -> list[str]:  # fmt: skip
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:1] = [] if safe_path else [folder]
    for name, value in settings.items():
        module, _, variable = name.rpartition(".")
        setattr(importlib.import_module(module), variable, value)
    starts_workers = arguments[0] in _STARTS_WORKERS and not {*arguments[1:2]} & {*_STARTS_NONE}
    return (_serve_workers() if starts_workers and _CLONE else []) or arguments


def _serve_workers() -> list[str]:
    """Fork a server of copy workers for this process; return in the processes that it forks, what they are to run."""
    from softcopy_napari.engine.dispatch import local_processes

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        _servers[True] = _Server(ours)
        _replace_popen(local_processes)
        return []
    ours.close()
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    Path("/proc/self/comm").write_text(_SERVER_OF_WORKERS)
    return _serve(theirs, ())


def _main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        arguments = _serve(requests, sys.argv[2:])
    sys.argv = arguments
    sys.modules.pop(arguments[0], None)
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    else:
        code = 0
    # As Python ends, but for taking down all modules: each page of them would be copied first.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _main()
