"""Has notifications sent by a process of their own: short-lived, at low priority, and never waited for by a copy."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import SecretStr

from softcopy_napari.engine.notify.message_text import NotificationText
from softcopy_napari.engine.reasons import Reason, decode_reason, quote_text
from softcopy_napari.engine.targets.notify import url_name

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari.engine.notify.sender"]
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
LONGEST = 90.0
"""Seconds after which a process that sends has ended: it takes itself 30, and on a busy machine some to begin."""


class Refusal(NamedTuple):
    """A URL that did not take a notification."""

    url: SecretStr
    problem: Reason
    again: bool
    """Whether another attempt may help."""

    @property
    def name(self) -> str:
        """What the URL may be called where others can read it."""
        return url_name(self.url.get_secret_value())


class Sending:
    """One notification on its way.

    Parameters
    ----------
    urls : sequence of SecretStr
    text : NotificationText or None
        None only checks the URLs.

    Raises
    ------
    OSError
        The process cannot be started.
    """

    def __init__(self, urls: Sequence[SecretStr], text: NotificationText | None) -> None:
        self._urls = tuple(urls)
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback could hold what is secret
            start_new_session=sys.platform != "win32",
            creationflags=_NO_WINDOW,
        )
        plain = [url.get_secret_value() for url in self._urls]
        request = json.dumps({"urls": plain, "text": text._asdict() if text is not None else None})
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(request.encode())
            self._process.stdin.close()
        self._process.stdin = None

    @property
    def ended(self) -> bool:
        """Whether it has been sent, or has failed."""
        return self._process.poll() is not None

    def wait(self, seconds: float = LONGEST) -> list[Refusal]:
        """Wait for its end, and return which URLs did not take it, and why."""
        try:
            output, _ = self._process.communicate(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        with contextlib.suppress(ValueError, LookupError, TypeError):
            said = json.loads(output)
            return [Refusal(self._urls[one["url"]], decode_reason(one["problem"]), bool(one["again"])) for one in said]
        why = quote_text(f"the process that sends has ended ({self._process.returncode})")
        return [Refusal(url, why, True) for url in self._urls]

    def leave_alone(self) -> None:
        """Let it end by itself."""
        threading.Thread(target=self.wait, name=f"reap-{self._process.pid}", daemon=True).start()


def send_and_leave(urls: Sequence[SecretStr], text: NotificationText) -> None:
    """Send a notification without waiting; what goes wrong is noted for `softcopy status`."""
    with contextlib.suppress(OSError):
        Sending(urls, text).leave_alone()
