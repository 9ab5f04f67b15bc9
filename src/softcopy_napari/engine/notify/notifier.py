"""Watches an engine's targets in a thread of its own, and has notifications sent: no job knows of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.decisions import Trace, advance, find_conditions
from softcopy_napari.engine.notify.failure_record import note_problem
from softcopy_napari.engine.notify.message_text import compose, describe_condition
from softcopy_napari.engine.notify.outbox import Outbox, Parcel, Urls
from softcopy_napari.engine.notify.preferences_file import preferences_path, read_preferences
from softcopy_napari.engine.notify.sending import LONGEST, Sending
from softcopy_napari.engine.notify.trace_store import read_traces, remove_old_traces, write_traces
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.targets.notify import Notify, notify_rules
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe

_TICK = 2.0
"""Seconds between two looks."""
_SAVE = 300.0
"""Seconds after which what is remembered is written, if all that changed is when it was seen last."""

log = logging.getLogger(__name__)


class Notifier:
    """Notifications about the targets of one engine.

    Parameters
    ----------
    targets : sequence of Target
    snapshots : callable
        Returns what is known of the targets now, in their order.
    outbox : Outbox, optional
    """

    def __init__(
        self,
        targets: Sequence[Target],
        snapshots: Callable[[], Sequence[TargetSnapshot]],
        outbox: Outbox | None = None,
    ) -> None:
        self._targets = targets
        self._snapshots = snapshots
        self._outbox = outbox or Outbox()
        self._preferences = _Preferences()
        self._traces: dict[int, dict[str, Trace]] = {}
        """What was said, by the number of the target; only of those that have somewhere to say it."""
        self._identities: dict[int, str] = {}
        self._under_way: list[tuple[Sending, Parcel]] = []
        self._checked: set[Urls] = set()
        self._logged: set[tuple[str, str]] = set()
        """Problems in the log, by URL and code, until a notification gets through: each is said once."""
        self._saved = 0.0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look.

        Raises
        ------
        RuntimeError
            The system gives no thread.
        """
        if any(not target.check for target in self._targets):
            self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
            self._thread.start()

    def close(self, timeout: float = LONGEST) -> bool:
        """Say what is left to be said, and wait until it is sent; returns whether it is, or cannot be.

        Only when the copies have ended is there somebody who waits.
        """
        if self._thread is None:
            return True
        self._closing.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._identities = {number: destination_id(one.destination) for number, one in enumerate(self._targets)}
            remove_old_traces()
            while not (self._closing.wait(_TICK) or all(one.over for one in self._snapshots())):
                self._check_targets(check_urls=True)
                self._send_due()
            self._check_targets(check_urls=False)
            self._send_due(everything=True)
            self._collect(LONGEST)
            self._save()
        except Exception:
            log.exception("unexpected error: no more notifications are sent")

    def _check_targets(self, check_urls: bool) -> None:
        """See what is the case now, and put what is worth it into the outbox."""
        wall, now = time.time(), time.monotonic()
        preferences = self._preferences.now()
        has_new = False
        for number, (target, snapshot) in enumerate(zip(self._targets, self._snapshots(), strict=True)):
            rules = notify_rules(target.notify, preferences)
            if target.check or not rules.urls:
                continue
            if check_urls:
                self._check_urls(rules.urls)
            before = self._traces.get(number)
            if before is None:
                before = read_traces(self._identities[number])
            self._traces[number], to_say = advance(before, find_conditions(snapshot, rules), wall)
            for condition in to_say:
                self._outbox.add(rules.urls, describe_condition(condition, snapshot), now)
                has_new = True
        if has_new or (self._traces and now - self._saved >= _SAVE):
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        for number, traces in self._traces.items():
            if traces:
                write_traces(self._identities[number], traces)

    def _check_urls(self, urls: Urls) -> None:
        """Have URLs looked at before they are needed: a mistake in one is to be known while somebody is there."""
        if urls not in self._checked:
            self._checked.add(urls)
            self._start_sending(Parcel(urls, ()))

    def _send_due(self, everything: bool = False) -> None:
        self._collect(0.0)
        for parcel in self._outbox.pop_due_parcels(time.monotonic(), everything):
            self._start_sending(parcel)

    def _start_sending(self, parcel: Parcel) -> None:
        try:
            sending = Sending(parcel.urls, compose(parcel.items) if parcel.items else None)
        except OSError as error:
            self._log_problem("all", quote_text(error.strerror or "no process can be started"))
            self._outbox.put_back(parcel, parcel.urls, time.monotonic())
            return
        self._under_way.append((sending, parcel))

    def _collect(self, seconds: float) -> None:
        """Take in what became of notifications; wait so long for those that are on their way."""
        deadline = time.monotonic() + seconds
        left = []
        for sending, parcel in self._under_way:
            if not (sending.ended or seconds):
                left.append((sending, parcel))
                continue
            refusals = sending.wait(max(0.1, deadline - time.monotonic()))
            for refusal in refusals:
                self._log_problem(refusal.name, refusal.problem)
            if parcel.items and not refusals:
                self._logged.clear()
            if parcel.items and not seconds:
                again = tuple(refusal.url for refusal in refusals if refusal.again)
                self._outbox.put_back(parcel, again, time.monotonic())
        self._under_way = left

    def _log_problem(self, url: str, problem: Reason) -> None:
        if (url, problem.code) not in self._logged:
            self._logged.add((url, problem.code))
            reason = make_reason(ReasonCode.NOTIFICATION_FAILED, url=url, at=time.time(), problem=problem)
            log.error("%s. Try it: softcopy notify-test", describe(reason))


class _Preferences:
    """The user's preferences, read again when their file has changed."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None
        self._said: Notify | None = None

    def now(self) -> Notify | None:
        path = preferences_path()
        try:
            found = path.stat() if path is not None else None
            stamp = (found.st_mtime_ns, found.st_ino) if found is not None else None
        except OSError:
            stamp = None
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._said = read_preferences() if stamp is not None else None
            except TargetsError as error:
                self._said = None
                unusable = make_reason(ReasonCode.NOTIFY_FILE_UNUSABLE, problem=str(error))
                log.error("%s", describe(unusable))
                note_problem(unusable)
        return self._said
