"""Says that engines have died: whoever notices it, `softcopy status`, `softcopy watch` or napari; each crash once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from pydantic import SecretStr

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.message_text import compose, describe_crash
from softcopy_napari.engine.notify.preferences_file import read_preferences
from softcopy_napari.engine.notify.sending import send_and_leave
from softcopy_napari.engine.notify.trace_store import claim_report
from softcopy_napari.engine.state_folder.history import Ending
from softcopy_napari.engine.targets.notify import Notify, NotifyEvent, notify_rules


def report_crashes(endings: Iterable[Ending], own: Notify | None = None) -> list[Ending]:
    """Have a notification sent of copies whose engine died, unless another process has seen to that.

    Parameters
    ----------
    endings : iterable of Ending
        The latest results, crashes among them.
    own : Notify, optional
        Where the notifications of whoever asks go, besides.

    Returns
    -------
    list of Ending
        The crashes that nobody had told of.
    """
    crashed = [one for one in endings if one.crashed and not (one.check or one.dismissed)]
    if not crashed:
        return []
    preferences = None
    with contextlib.suppress(TargetsError):  # engines say what is wrong with the file
        preferences = read_preferences()
    told = []
    by_urls: dict[tuple[SecretStr, ...], list[Ending]] = {}
    for one in crashed:
        settings = one.target.settings
        said = settings.notify if settings is not None else None
        found = [notify_rules(said, preferences)] + ([notify_rules(own, said, preferences)] if own else [])
        urls = tuple(dict.fromkeys(url for one in found if NotifyEvent.DIED in one.events for url in one.urls))
        with contextlib.suppress(OSError):
            if urls and claim_report(f"died-{one.pid}-{int(one.process_started)}-{one.name.partition('.')[0]}"):
                told.append(one)
                by_urls.setdefault(urls, []).append(one)
    for urls, together in by_urls.items():
        send_and_leave(urls, compose([describe_crash(one) for one in together]))
    return told
