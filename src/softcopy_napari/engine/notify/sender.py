"""The process that sends one notification: `python -m softcopy_napari.engine.notify.sender`, driven through its stdin.

Only here is Apprise imported, which takes a third of a second and 35 MB, and only here are `env:NAME` looked up. URLs
arrive on standard input, so that no list of processes shows them. It ends by itself, whatever the network does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from softcopy_napari.engine.dispatch.priority import lower_priority, lower_session
from softcopy_napari.engine.notify.failure_record import note_result
from softcopy_napari.engine.reasons import Reason, ReasonCode, encode_reason, make_reason, quote_text
from softcopy_napari.engine.targets.notify import is_variable, url_name, variable_of

if TYPE_CHECKING:
    from apprise import Apprise

TIME_LIMIT = 30.0
"""Seconds for all URLs together."""
_LONGEST = 300
"""Letters of what a service says of a failure."""
_SHORTEST_SECRET = 4
_LASTING = frozenset(
    {ReasonCode.NOTIFY_URL_UNKNOWN, ReasonCode.NOTIFY_VARIABLE_UNSET, ReasonCode.NOTIFY_VARIABLE_NO_URL}
)
"""Problems that another attempt does not solve."""


class Result(NamedTuple):
    """What became of a notification at one URL."""

    number: int
    """The URL's place among all, from 0."""
    problem: Reason | None


_remarks: ContextVar[list[str]] = ContextVar("remarks")
"""What Apprise says while it sends to one URL, in whatever threads."""


class _Collector(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _remarks.get([]).append(record.getMessage())


def main() -> None:
    """Send what standard input holds, say on standard output what became of it, and end."""
    lower_priority(os.getpid())
    threading.Thread(target=lower_session, args=(os.getpid(),), daemon=True).start()
    request = json.loads(sys.stdin.buffer.read())
    urls, text = request["urls"], request["text"]
    results = deliver(urls, text)
    problems = {url_name(urls[one.number]): one.problem for one in results if one.problem is not None}
    note_result(problems, sent=text is not None)
    answer = [
        {"url": one.number, "problem": encode_reason(one.problem), "again": one.problem.code not in _LASTING}
        for one in results
        if one.problem is not None
    ]
    with contextlib.suppress(OSError):  # nobody may want to know
        print(json.dumps(answer), flush=True)
    os._exit(1 if answer else 0)  # threads that still wait for the network must not keep it


def deliver(urls: Sequence[str], text: dict[str, str] | None) -> list[Result]:
    """Send a notification to each URL at once, and return what became of it.

    Parameters
    ----------
    urls : sequence of str
        Apprise URLs, or `env:NAME`.
    text : dict or None
        Its `title`, `body` and `kind`; None only checks the URLs.
    """
    import apprise  # noqa: F401 - at the lowest priority this takes long on a busy machine: not within the time limit

    logger = logging.getLogger("apprise")
    logger.addHandler(_Collector(logging.WARNING))
    logger.propagate = False
    pool = ThreadPoolExecutor(max(1, min(8, len(urls))))
    under_way: list[Future[Reason | None]] = [pool.submit(_deliver_one, url, text) for url in urls]
    wait(under_way, TIME_LIMIT)
    pool.shutdown(wait=False, cancel_futures=True)
    late = make_reason(ReasonCode.NOTIFY_NO_ANSWER, seconds=TIME_LIMIT)
    done = [one.done() and not one.cancelled() for one in under_way]
    return [Result(index, one.result() if done[index] else late) for index, one in enumerate(under_way)]


def _deliver_one(url: str, text: dict[str, str] | None) -> Reason | None:
    remarks: list[str] = []
    _remarks.set(remarks)
    if is_variable(url):
        name = variable_of(url)
        url = os.environ.get(name, "").strip()
        if not url:
            return make_reason(ReasonCode.NOTIFY_VARIABLE_UNSET, variable=name)
        if "://" not in url:
            return make_reason(ReasonCode.NOTIFY_VARIABLE_NO_URL, variable=name)
    try:
        service = _service()
        if not service.add(url):
            return make_reason(ReasonCode.NOTIFY_URL_UNKNOWN)
        if text is None or service.notify(text["body"], text["title"], text["kind"], body_format="text"):
            return None
        said = remarks[-1] if remarks else ""
    except Exception as error:  # a plugin of Apprise's, or a library below it
        said = str(error)
    return make_reason(ReasonCode.NOTIFY_REFUSED, problem=quote_text(hide_secrets(said, url)) if said else None)


def _service() -> Apprise:
    from apprise import Apprise, AppriseAsset

    own: dict[str, Any] = {"app_id": "softcopy", "app_desc": "softcopy-napari", "app_url": ""}
    return Apprise(
        asset=AppriseAsset(**own, image_url_mask="", image_url_logo="", plugin_paths=[], storage_mode="memory")
    )


def hide_secrets(text: str, url: str) -> str:
    """Take everything that a URL holds but its kind out of a text, and shorten it."""
    parts = {
        part for spelled in (url, unquote(url)) for part in re.split(r"[:/@?&=,#\s]+", spelled.partition("://")[2])
    }
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "...")
    return " ".join(text.split())[:_LONGEST]


if __name__ == "__main__":
    main()
