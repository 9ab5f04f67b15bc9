"""The local connection between an engine and its front ends: a socket in a folder of its user's, a pipe on Windows.

JSON only (messages.py), once each side has proved that it knows the key of the engine's run file; nothing is unpickled.
Sockets are read with code of our own: multiprocessing's `Client` waits for ever for an engine that was halted, and its
`recv_bytes` for a peer that stops amid a message (measured: still waiting after 15 s where 10 s are allowed).
"""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import re
import sys
import time
from multiprocessing.connection import answer_challenge, deliver_challenge
from multiprocessing.context import AuthenticationError
from pathlib import Path

MAX_ORDER = 1 << 16
"""Bytes of an order at most."""
MAX_REPLY = 1 << 28
"""Bytes of a reply at most: a snapshot of several hundred thousand arrays."""
_BACKLOG = 64
"""Front ends that may wait to be let in."""
_RETRY = 0.05

if sys.platform == "win32":
    _ADDRESS = re.compile(r"\\\\\.\\pipe\\softcopy-[0-9]+-[0-9a-f]{32}")
else:
    _ADDRESS = re.compile(r"(?:/[^/\0]+)+/[0-9]+\.socket")


def is_address(text: str) -> bool:
    """Return whether a text is an address as engines have them: no other machine's, and no other program's."""
    return len(os.fsencode(text)) < 256 and _ADDRESS.fullmatch(text) is not None and ".." not in text.split("/")


def authenticate(connection: Connection, key: bytes, *, as_engine: bool) -> None:
    """Let both sides prove that they know the key: the front end first, for strangers are told nothing.

    Raises
    ------
    AuthenticationError
        The other side does not know the key, or says something else.
    """
    steps = (deliver_challenge, answer_challenge)
    try:
        for step in steps if as_engine else reversed(steps):
            step(connection, key)  # type: ignore[arg-type]
    except (AssertionError, ValueError) as error:  # Python before 3.12 asserts that it is spoken to as it expects
        raise AuthenticationError(str(error)) from None


if sys.platform == "win32":

    class Connection:
        """One end of a connection: whole messages, all within a time limit."""

        def __init__(self, pipe: multiprocessing.connection.Connection) -> None:
            self._pipe = pipe
            self._deadline: float | None = None

        def set_time_limit(self, seconds: float | None) -> None:
            self._deadline = None if seconds is None else time.monotonic() + seconds

        def send_bytes(self, data: bytes) -> None:
            self._pipe.send_bytes(data)

        def recv_bytes(self, maxlength: int) -> bytes:
            if self._deadline is not None and not self._pipe.poll(max(0.0, self._deadline - time.monotonic())):
                raise TimeoutError
            return self._pipe.recv_bytes(maxlength)

        def close(self) -> None:
            self._pipe.close()

    def _adopt(connection: multiprocessing.connection.Connection) -> Connection:
        return Connection(connection)

    def connect(address: str, seconds: float) -> Connection:
        if not is_address(address):
            raise OSError("this is not the address of an engine")
        return Connection(multiprocessing.connection.Client(address))
else:
    import socket
    import stat
    import struct
    import tempfile

    _HEADER = struct.Struct("!i")  # as multiprocessing has it
    _BLOCK = 1 << 16
    _MAX_PATH = 100
    """A little less than the bytes of a path that sockets allow."""

    class _Socket(socket.socket):
        """A socket that closes itself without a warning: front ends ask once, and let go."""

        def __del__(self) -> None:
            self.close()

    class Connection:
        """One end of a connection: whole messages, all within a time limit."""

        def __init__(self, channel: socket.socket) -> None:
            self._socket = channel
            self._deadline: float | None = None

        def set_time_limit(self, seconds: float | None) -> None:
            """Limit the time of everything sent and received from now on, together; None for no limit."""
            self._deadline = None if seconds is None else time.monotonic() + seconds

        def send_bytes(self, data: bytes) -> None:
            """Send a message.

            Raises
            ------
            OSError
                It cannot be sent; a TimeoutError if nobody reads it in time.
            """
            self._apply_time_limit()
            self._socket.sendall(_HEADER.pack(len(data)) + data)

        def recv_bytes(self, maxlength: int) -> bytes:
            """Receive a message of at most so many bytes.

            Raises
            ------
            EOFError, OSError
                The other side has hung up, says nothing (TimeoutError), or says too much.
            """
            (size,) = _HEADER.unpack(self._read(_HEADER.size))
            if not 0 <= size <= maxlength:
                self.close()
                raise OSError("a message that is too long")
            return self._read(size)

        def _read(self, size: int) -> bytes:
            data = bytearray()
            while len(data) < size:
                self._apply_time_limit()
                block = self._socket.recv(min(size - len(data), _BLOCK))
                if not block:
                    raise EOFError
                data += block
            return bytes(data)

        def _apply_time_limit(self) -> None:
            """Let the next call take no longer than is left, however slowly the other side talks."""
            left = None if self._deadline is None else self._deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)

        def close(self) -> None:
            """Hang up; doing so again is harmless."""
            self._socket.close()

    def _adopt(connection: multiprocessing.connection.Connection) -> Connection:
        with connection:
            return Connection(_Socket(fileno=os.dup(connection.fileno())))

    def connect(address: str, seconds: float) -> Connection:
        """Connect to an engine.

        Parameters
        ----------
        address : str
        seconds : float
            The time after which a TimeoutError says that it does not answer.

        Raises
        ------
        OSError
            No engine of this user has this address.
        """
        if not is_address(address):
            raise OSError("this is not the address of an engine")
        found = os.lstat(address)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError("this is not a socket of an engine of this user")
        deadline = time.monotonic() + seconds
        while True:
            channel = _Socket(socket.AF_UNIX)
            try:
                channel.settimeout(max(deadline - time.monotonic(), _RETRY))
                channel.connect(address)
                return Connection(channel)
            except BlockingIOError:  # many are waiting already: it is busy, or was halted
                channel.close()
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(_RETRY)
            except BaseException:
                channel.close()
                raise


class Listener:
    """Lets front ends in to an engine; only its user can reach it.

    Parameters
    ----------
    folder : Path
        A folder that is its user's alone; where its path is too long for a socket, a new one is made that is shorter.

    Attributes
    ----------
    address : str
    closed : bool
    """

    def __init__(self, folder: Path) -> None:
        self.closed = False
        self._made = ""
        if sys.platform == "win32":
            self.address = rf"\\.\pipe\softcopy-{os.getpid()}-{os.urandom(16).hex()}"
            self._listener = multiprocessing.connection.Listener(self.address)
            return
        name = f"{os.getpid()}.socket"
        self.address = os.path.join(folder, name)
        if len(os.fsencode(self.address)) >= _MAX_PATH:
            self._made = tempfile.mkdtemp(prefix="softcopy-")
            self.address = os.path.join(self._made, name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.address)
        self._listener = multiprocessing.connection.Listener(self.address, "AF_UNIX", _BACKLOG)
        os.chmod(self.address, 0o600)

    def accept(self) -> Connection:
        """Wait for a front end.

        Raises
        ------
        OSError
            The listener is closed, or there is nothing left for one more connection.
        """
        if not self.closed:
            connection = self._listener.accept()
            if not self.closed:
                return _adopt(connection)
            connection.close()
        raise OSError("closed")

    def close(self) -> None:
        """Let nobody in any more."""
        self.closed = True
        with contextlib.suppress(OSError):
            connect(self.address, 0.0).close()  # wakes whoever waits in accept()
        with contextlib.suppress(OSError):
            self._listener.close()
        if self._made:
            with contextlib.suppress(OSError):
                os.rmdir(self._made)
