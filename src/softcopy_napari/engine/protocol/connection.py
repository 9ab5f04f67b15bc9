"""The local connection between an engine and its front ends: where it is, who may talk, for how long and how much.

A socket in a folder of its user's alone; on Windows a named pipe. Used by server.py and client.py, which say on it
nothing but JSON (messages.py) once each has proved to the other that it knows the key of the engine's run file.
Nothing that comes out of it is ever unpickled.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from multiprocessing.connection import answer_challenge, deliver_challenge
from multiprocessing.context import AuthenticationError
from pathlib import Path
from types import TracebackType
from typing import Self

MAX_ORDER = 1 << 16
"""Bytes of an order at most."""
MAX_REPLY = 1 << 28
"""Bytes of a reply at most: a snapshot of several hundred thousand arrays."""
_WAITING = 64
"""Front ends that may wait to be let in."""
_RETRY = 0.05

if sys.platform == "win32":
    _ADDRESS = re.compile(r"\\\\\.\\pipe\\softcopy-[0-9]+-[0-9a-f]{32}")
else:
    _ADDRESS = re.compile(r"(?:/[^/\0]+)+/[0-9]+\.socket")


def is_address(text: str) -> bool:
    """Whether a text is an address as engines have them: no other machine's, and no other program's."""
    return len(os.fsencode(text)) < 256 and _ADDRESS.fullmatch(text) is not None and ".." not in text.split("/")


def admit(wire: Wire, key: bytes) -> None:
    """Let the other side prove that it knows the key, and prove the same to it: the engine's part.

    Raises
    ------
    AuthenticationError
        It does not know the key, or says something else.
    """
    try:
        deliver_challenge(wire, key)  # type: ignore[arg-type]
        answer_challenge(wire, key)  # type: ignore[arg-type]
    except (AssertionError, ValueError) as error:  # Python before 3.12 asserts that it is spoken to as it expects
        raise AuthenticationError(str(error)) from None


def introduce(wire: Wire, key: bytes) -> None:
    """Prove to the other side that one knows the key, and let it prove the same: the front end's part.

    Raises
    ------
    AuthenticationError
        It does not know the key, or says something else.
    """
    try:
        answer_challenge(wire, key)  # type: ignore[arg-type]
        deliver_challenge(wire, key)  # type: ignore[arg-type]
    except (AssertionError, ValueError) as error:
        raise AuthenticationError(str(error)) from None


class _Closing:
    """A context that closes itself."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


if sys.platform == "win32":
    from multiprocessing.connection import Client, Connection, Listener

    class Wire(_Closing):
        """One end of a connection: whole messages, all within a time."""

        def __init__(self, connection: Connection) -> None:
            self._connection = connection
            self._deadline: float | None = None

        def within(self, seconds: float | None) -> None:
            self._deadline = None if seconds is None else time.monotonic() + seconds

        def send_bytes(self, data: bytes) -> None:
            self._connection.send_bytes(data)

        def recv_bytes(self, maxlength: int) -> bytes:
            deadline = self._deadline
            if deadline is not None and not self._connection.poll(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            return self._connection.recv_bytes(maxlength)

        def close(self) -> None:
            self._connection.close()

    class Door(_Closing):
        """Where an engine lets front ends in."""

        def __init__(self, folder: Path) -> None:
            self.address = rf"\\.\pipe\softcopy-{os.getpid()}-{os.urandom(16).hex()}"
            self._listener = Listener(self.address)

        def accept(self) -> Wire:
            return Wire(self._listener.accept())

        def close(self) -> None:
            self._listener.close()

    def connect(address: str, seconds: float) -> Wire:
        if not is_address(address):
            raise OSError("this is no address of an engine")
        return Wire(Client(address))
else:
    import socket
    import stat
    import struct
    import tempfile

    _HEADER = struct.Struct("!i")  # as multiprocessing has it
    _BLOCK = 1 << 16
    _LONGEST = 100
    """A little less than the bytes of a path that sockets allow."""

    class _Socket(socket.socket):
        """Closes itself without complaint: front ends ask once, and let go."""

        def __del__(self) -> None:
            self.close()

    class Wire(_Closing):
        """One end of a connection: whole messages, all within a time.

        Parameters
        ----------
        channel : socket.socket
            Is taken over.
        """

        def __init__(self, channel: socket.socket) -> None:
            self._socket = _Socket(fileno=channel.detach())
            self._deadline: float | None = None

        def within(self, seconds: float | None) -> None:
            """Give all that is sent and received from now on so much time together; None: as much as it takes."""
            self._deadline = None if seconds is None else time.monotonic() + seconds

        def send_bytes(self, data: bytes) -> None:
            """Send a message.

            Raises
            ------
            OSError
                Nobody takes it; a TimeoutError where that is for lack of time.
            """
            self._limit()
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
                self._limit()
                block = self._socket.recv(min(size - len(data), _BLOCK))
                if not block:
                    raise EOFError
                data += block
            return bytes(data)

        def _limit(self) -> None:
            """Let the next call take no longer than is left, however slowly the other side talks."""
            if self._deadline is None:
                self._socket.settimeout(None)
                return
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)

        def close(self) -> None:
            """Hang up; again, it does no harm."""
            self._socket.close()

    class Door(_Closing):
        """Where an engine lets front ends in.

        Parameters
        ----------
        folder : Path
            Its user's alone; where its path is too long for a socket, a new folder is made that is shorter.

        Attributes
        ----------
        address : str
        """

        def __init__(self, folder: Path) -> None:
            name = f"{os.getpid()}.socket"
            self._made = ""
            self.address = os.path.join(folder, name)
            if len(os.fsencode(self.address)) >= _LONGEST:
                self._made = tempfile.mkdtemp(prefix="softcopy-")
                self.address = os.path.join(self._made, name)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address)
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.bind(self.address)
                os.chmod(self.address, 0o600)
                self._socket.listen(_WAITING)
            except BaseException:
                self.close()
                raise

        def accept(self) -> Wire:
            """Wait for a front end."""
            channel, _ = self._socket.accept()
            return Wire(channel)

        def close(self) -> None:
            """Let nobody in any more."""
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept()
            self._socket.close()
            with contextlib.suppress(OSError):
                os.unlink(self.address)
            if self._made:
                with contextlib.suppress(OSError):
                    os.rmdir(self._made)

    def connect(address: str, seconds: float) -> Wire:
        """Call an engine.

        Parameters
        ----------
        address : str
        seconds : float
            After which a TimeoutError tells that it does not answer.

        Raises
        ------
        OSError
            There is no engine of this user's.
        """
        if not is_address(address):
            raise OSError("this is no address of an engine")
        found = os.lstat(address)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError("this is no socket of an engine of this user's")
        deadline = time.monotonic() + seconds
        while True:
            channel = socket.socket(socket.AF_UNIX)
            try:
                channel.settimeout(max(deadline - time.monotonic(), _RETRY))
                channel.connect(address)
                return Wire(channel)
            except BlockingIOError:  # many are waiting already: it is busy, or was stopped
                channel.close()
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(_RETRY)
            except BaseException:
                channel.close()
                raise
