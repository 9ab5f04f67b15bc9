"""A proxy before an S3 server that has faults when a test wants them: drops, delays, refuses, truncates.

It hands on what it is not told to spoil, byte for byte, `Host` included, so that signatures stay valid.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

_ALWAYS = 1 << 30


class Fault(Enum):
    """What becomes of a request."""

    SLOW_DOWN = auto()
    """503, as a store says that is asked too much."""
    EXPIRED = auto()
    """403, as for credentials that have expired."""
    DENIED = auto()
    """403, as for a right that is missing."""
    NOT_DELETED = auto()
    """200, and in it, for one object, that it may not be deleted: as S3 answers."""
    SKEWED = auto()
    """403, as for a computer whose clock is wrong."""
    BROKEN = auto()
    """500, and nothing was done."""
    DROP = auto()
    """The connection ends; nothing was done."""
    DROP_ANSWER = auto()
    """The request is carried out, and the connection ends without an answer."""
    TRUNCATE = auto()
    """Half of the answer's body, then the connection ends."""
    DELAY = auto()
    """The request is carried out after `seconds`."""


_ANSWERS = {
    Fault.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    Fault.EXPIRED: (400, "ExpiredToken", "The provided token has expired."),
    Fault.DENIED: (403, "AccessDenied", "Access Denied"),
    Fault.SKEWED: (
        *(403, "RequestTimeTooSkewed"),
        "The difference between the request time and the current time is too large.",
    ),
    Fault.BROKEN: (500, "InternalError", "We encountered an internal error. Please try again."),
}

_NOT_DELETED = b"<Error><Key>%b</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class Request:
    """A request that came by."""

    method: str
    key: str
    """Bucket and key, decoded, as in `bucket/a.zarr/0/c/1`."""
    query: str
    size: int
    """Bytes of its body."""
    at: float = field(default_factory=time.monotonic)
    fault: Fault | None = None
    status: int = 0
    """What the server answered; 0 as long as it has not."""


@dataclass
class _Rule:
    fault: Fault
    method: str
    key: re.Pattern[str]
    skip: int
    left: int
    seconds: float


class FaultProxy:
    """Stands before a server, and hands requests on.

    Parameters
    ----------
    backend : str
        The server's endpoint.

    Attributes
    ----------
    endpoint : str
        Where it listens.
    requests : list of Request
        What came by, in the order in which it came.
    """

    def __init__(self, backend: str) -> None:
        parts = urlsplit(backend)
        self._backend = (parts.hostname or "", parts.port or 80)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def inject(
        self,
        fault: Fault,
        *,
        method: str = "",
        key: str = "",
        after: int = 0,
        times: int = 1 << 30,
        seconds: float = 0.0,
    ) -> None:
        """Spoil requests from now on.

        Parameters
        ----------
        fault : Fault
        method : str
            Of requests with this method only, such as PUT.
        key : str
            Of those only in whose bucket and key this pattern is found.
        after, times : int
            Let so many of them through first, and spoil so many then.
        seconds : float
            How long a delay is.
        """
        with self._lock:
            self._rules.append(_Rule(fault, method, re.compile(key), after, times, seconds))

    def clear(self) -> None:
        """Spoil nothing any more."""
        with self._lock:
            self._rules.clear()

    def count(self, method: str = "", key: str = "", fault: Fault | None = None) -> int:
        """Count requests that came by with this method, pattern and fault."""
        with self._lock:
            return sum(
                method in ("", one.method) and re.search(key, one.key) is not None and fault in (None, one.fault)
                for one in self.requests
            )

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.requests.clear()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _judge(self, request: Request) -> _Rule | None:
        with self._lock:
            self.requests.append(request)
            for rule in self._rules:
                if rule.method not in ("", request.method) or not rule.key.search(request.key) or not rule.left:
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.left -= 1
                request.fault = rule.fault
                return rule
        return None


@contextlib.contextmanager
def fault_proxy(backend: str) -> Iterator[FaultProxy]:
    """Run a proxy before a server."""
    proxy = FaultProxy(backend)
    try:
        yield proxy
    finally:
        proxy.close()


def _make_handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        backend: HTTPConnection | None = None

        def log_message(self, *arguments: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError):
                super().handle()
            if self.backend is not None:
                self.backend.close()

        def _serve(self) -> None:
            body = self._read_body()
            parts = urlsplit(self.path)
            request = Request(self.command, unquote(parts.path).lstrip("/"), parts.query, len(body))
            rule = proxy._judge(request)
            fault = rule.fault if rule is not None else None
            if fault is Fault.NOT_DELETED:
                denied = b"".join(_NOT_DELETED % key for key in re.findall(rb"<Key>([^<]+)</Key>", body))
                self._answer(200, b"<DeleteResult>%b</DeleteResult>" % denied)
            elif fault in _ANSWERS:
                self._refuse(*_ANSWERS[fault])
            elif fault is Fault.DROP:
                self._hang_up()
            else:
                if rule is not None and fault is Fault.DELAY:
                    time.sleep(rule.seconds)
                self._hand_on(request, body, fault)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

        def _read_body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                blocks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    blocks.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                    pass
                return b"".join(blocks)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _hand_on(self, request: Request, body: bytes, fault: Fault | None) -> None:
            skipped = ("transfer-encoding", "connection", "content-length", "expect")
            headers = [(name, value) for name, value in self.headers.items() if name.lower() not in skipped]
            has_body = self.command in ("PUT", "POST")
            try:
                connection = self.backend = self.backend or HTTPConnection(*proxy._backend, timeout=60)
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in headers:
                    connection.putheader(name, value)
                if has_body or body:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                answer = connection.getresponse()
                content = answer.read()
                request.status = answer.status
            except (OSError, HTTPException):
                if self.backend is not None:
                    self.backend.close()
                self.backend = None
                self._hang_up()
                return
            if fault is Fault.DROP_ANSWER:
                self._hang_up()
                return
            length = answer.headers.get("Content-Length", str(len(content)))
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", length)
            self.end_headers()
            if fault is Fault.TRUNCATE:
                self.wfile.write(content[: len(content) // 2])
                self._hang_up()
                return
            self.wfile.write(content)

        def _refuse(self, status: int, code: str, message: str) -> None:
            content = (
                f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
            ).encode()
            self._answer(status, content)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _hang_up(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
