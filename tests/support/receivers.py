"""Servers for notifications, each in a process of its own: `python -m tests.support.receivers http|smtp FILE ANSWER`.

Each message becomes a line of JSON in the file. A mail server asks for a user and a password.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.engine.support import until


class Receiver:
    """A server in a process of its own; a context manager that ends it.

    Parameters
    ----------
    kind : {"http", "smtp"}
    file : Path
        Where it notes what arrives.
    answer : str
        An HTTP status, or `never` for a server that takes messages and says nothing.
    """

    def __init__(self, kind: str, file: Path, answer: str = "200") -> None:
        self._file = file
        command = [sys.executable, "-m", "tests.support.receivers", kind, str(file), answer]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What has arrived, the first one first."""
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for messages; whoever sends them has the lowest priority."""
        arrived = until(lambda: len(self.messages) >= count, 90.0)
        assert arrived, f"{len(self.messages)} of {count} messages have arrived"
        return self.messages


def note(file: Path, message: dict[str, Any]) -> None:
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(message) + "\n")


def serve_http(file: Path, answer: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            note(file, {"path": self.path, "at": time.time(), **json.loads(body)})
            if answer == "never":
                threading.Event().wait()
            self.send_response(int(answer))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def serve_smtp(file: Path) -> None:
    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

    class Handler:
        async def handle_DATA(self, _: object, session: Session, envelope: Envelope) -> str:
            mail = message_from_bytes(envelope.content or b"", policy=policy.default)
            body = mail.get_body(("plain", "html"))
            text = body.get_content() if body is not None else ""
            note(file, {"to": envelope.rcpt_tos, "subject": str(mail["Subject"]), "text": text})
            return "250 OK"

    def authenticate(_: object, __: object, ___: object, ____: object, given: LoginPassword) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"mika", b"s3cr3t-mail"))

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(Handler(), authenticator=authenticate, auth_required=True, auth_require_tls=False),
            "127.0.0.1",
            0,
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    kind, path, answer = sys.argv[1:]
    serve_http(Path(path), answer) if kind == "http" else serve_smtp(Path(path))
