"""Finds the engines of this user, starts them, gives them orders and polls their snapshots, all in threads.

A `QThread` collects changes and hands them to the main thread as plain signals. Each engine is polled in a thread of
its own: one that hangs holds up nobody else. Nothing here needs to outlive its window: engines go on without it.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from qtpy.QtCore import QCoreApplication, QObject, QThread, Signal

from softcopy_napari.engine.client import EngineGone, EngineHandle, engines, launch
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import Changes, EngineSnapshot, Order
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.plugin.dock.engine_contact import EngineContact, Key, SeenTarget
from softcopy_napari.plugin.dock.start_check import Refused, split_startable

_INTERVAL = 0.2
_SEARCH_INTERVAL = 1.0
"""Seconds between searches for engines that others have started."""
_END_TIMEOUT = 2_000
"""Milliseconds that the thread has to end; it waits for nothing, so this is never needed."""
_LAST_ORDERS_TIMEOUT = 1.0
"""Seconds that orders have to reach their engines when the window closes, which must not hang."""

_threads: set[_Collector] = set()
"""Threads that may be running: Qt aborts the process when such a one is deleted."""


class EngineMonitor(QObject):
    """Watches and orders the engines of this user on this machine, whoever started them. For the main thread.

    Every call returns at once. `close`, the object's deletion and the application's end all end its threads.
    """

    updated = Signal(object)
    """A tuple of `SeenTarget`, sent when any has changed: all targets of all engines seen so far, oldest first."""
    refused = Signal(str)
    """Why something could not be started or done, in words for users."""
    started = Signal(object)
    """A tuple of `Key`: the targets that a call of `start_targets` has started."""
    not_started = Signal(object)
    """A tuple of pairs of `Target` and str: those that a call of `start_targets` could not start, and why."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        collector = self._collector = _Collector()
        collector.refused.connect(self.refused)
        collector.updated.connect(collector.note_known)  # before the widget, which then sees them running
        collector.updated.connect(self.updated)
        collector.started_targets.connect(self.started)
        collector.not_started.connect(self.not_started)
        # Of the thread's object, which outlives this one: a method of this one would no longer be called.
        self.destroyed.connect(collector.end)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(collector.end)
        _threads.difference_update([thread for thread in _threads if thread.isFinished()])
        _threads.add(collector)
        collector.start()

    @property
    def interval(self) -> float:
        """Seconds between two polls of an engine."""
        return self._collector.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._collector.interval = seconds

    def start_targets(self, targets: Sequence[Target]) -> None:
        """Start those of these targets that can be; answered by `started`, by `not_started`, or by both."""
        self._collector.start_targets(targets)

    def order(self, do: str, keys: Sequence[Key]) -> None:
        """Order targets to pause, resume, finish, unfinish or stop."""
        for pid, target in keys:
            self._collector.order(pid, Order.model_validate({"do": do, "target": target}))

    def order_starting(self, do: str) -> None:
        """Give an order to all targets that are being started, which `updated` has not reported yet."""
        self._collector.order_starting(Order.model_validate({"do": do}))

    def change(self, keys: Sequence[Key], changes: Changes) -> None:
        """Change the settings of targets while they are copied."""
        for pid, target in keys:
            self._collector.order(pid, Order(do="set", target=target, changes=changes))

    def forget(self, keys: Sequence[Key]) -> None:
        """Leave these targets out of `updated` from now on."""
        self._collector.forget(keys)

    def close(self) -> None:
        """End the threads; engines go on."""
        self._collector.end()


class _Launch:
    """Targets that are being started, in a thread of their own: a window must not wait for it."""

    def __init__(self, targets: tuple[Target, ...], collector: _Collector) -> None:
        self.targets = targets
        self.keys: tuple[Key, ...] = ()
        """The keys of the targets, once their engine runs."""
        self.orders: list[Order] = []
        """Orders given before an engine could take them."""
        self.done = False
        """Whether no more engine is going to be started."""
        self.thread = threading.Thread(target=collector.launch, args=(self,), name="softcopy-start", daemon=True)


class _Collector(QThread):
    """The thread that keeps a contact with every engine, and reports their targets."""

    updated = Signal(object)
    refused = Signal(str)
    started_targets = Signal(object)
    not_started = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.interval = _INTERVAL
        self._contacts: dict[int, EngineContact] = {}
        """Contacts by process id, oldest first."""
        self._launches: list[_Launch] = []
        self._known: set[Key] = set()
        """Keys of the targets last reported by `updated`."""
        self._forgotten: set[Key] = set()
        self._changing = threading.RLock()
        self._news = threading.Event()
        self._over = threading.Event()
        self._orders_deadline = 0.0
        """When the program no longer waits for orders on their way, monotonic; 0 while it goes on."""
        self._reported: tuple[SeenTarget, ...] = ()
        self._no_search = ""
        """Why the last search for engines failed; empty if it did not."""
        self._signals: SimpleQueue[Callable[[], None]] = SimpleQueue()
        """Signals that other threads have for the main thread. Only this thread, which is Qt's and waited for, emits
        them: a thread of Python's that ends after sending a signal can crash a program that ends at the same moment."""

    # -- for the main thread ---------------------------------------------------------------------------------

    def start_targets(self, targets: Sequence[Target]) -> None:
        """Start an engine."""
        launch = _Launch(tuple(targets), self)
        with self._changing:
            self._launches.append(launch)
        launch.thread.start()

    def order_starting(self, order: Order) -> None:
        """Pass an order to the targets that are being started, as soon as their engine can take it."""
        with self._changing:
            for launch in self._pending_launches():
                launch.orders.append(order)
                for pid, target in set(launch.keys) - self._known:
                    self.order(pid, order.model_copy(update={"target": target}))

    def note_known(self, seen: Sequence[SeenTarget]) -> None:
        """Note that the main thread knows these targets: they are no longer being started."""
        with self._changing:
            self._known = {one.key for one in seen}
            self._pending_launches()

    def _pending_launches(self) -> list[_Launch]:
        known = self._known
        self._launches = [one for one in self._launches if not (one.done and known.issuperset(one.keys))]
        return self._launches

    def order(self, pid: int, order: Order) -> None:
        """Pass an order to an engine."""
        with self._changing:
            contact = self._contacts.get(pid)
        if contact is not None and contact.alive:
            contact.order(order)
        else:
            self.refuse(f"the copy engine (process {pid}) has ended already")

    def forget(self, keys: Sequence[Key]) -> None:
        """Report these targets no more."""
        with self._changing:
            self._forgotten.update(keys)
        self.wake()

    def end(self) -> None:
        """End this thread and those of the contacts; may be called from any thread, and more than once."""
        with self._changing:
            self._orders_deadline = self._orders_deadline or time.monotonic() + _LAST_ORDERS_TIMEOUT
        self._over.set()
        self._news.set()
        if QThread.currentThread() is not self:
            self.wait(_END_TIMEOUT)
            self._wait_for_orders(self._orders_deadline)

    def _wait_for_orders(self, deadline: float) -> None:
        """Wait a moment for orders on their way: whoever stops all copies and closes the window means both."""
        with self._changing:
            threads = [contact.thread for contact in self._contacts.values() if contact.waiting]
            threads += [launch.thread for launch in self._launches if launch.orders and not launch.done]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # -- for the threads -------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look for changes soon."""
        self._news.set()

    def refuse(self, reason: str) -> None:
        """Report why something was not done."""
        self._emit_soon(lambda: self.refused.emit(reason))

    def _emit_soon(self, emit: Callable[[], None]) -> None:
        self._signals.put(emit)
        self.wake()

    def launch(self, launched: _Launch) -> None:
        """Start one engine for all targets that can run together, which takes a second; else one for each."""
        targets: list[Target] = list(launched.targets)
        refused: list[Refused] = []
        if len(targets) > 1:  # of a single one the engine says all there is to say
            targets, refused = split_startable(targets)
        groups = [targets] if targets else []
        while groups:
            group = groups.pop(0)
            try:
                self._launch_group(launched, group)
            except (TargetsError, EngineGone, OSError, ValueError) as error:
                if len(group) > 1 and isinstance(error, TargetsError):  # nothing was touched
                    groups += [[target] for target in group]
                else:
                    refused += [(target, str(error)) for target in group]
        if refused:
            self._emit_soon(lambda: self.not_started.emit(tuple(refused)))
        with self._changing:
            launched.done = True  # without any key it is forgotten, too
            keys = launched.keys
        if keys:
            self._emit_soon(lambda: self.started_targets.emit(keys))

    def _launch_group(self, launched: _Launch, targets: Sequence[Target]) -> None:
        handle = launch(targets)
        snapshot = handle.snapshot()
        with self._changing:
            keys = tuple((snapshot.pid, target.id) for target in snapshot.targets)
            orders = list(launched.orders)  # those that follow go to the keys
            launched.keys += keys
            added = self._add_contact(handle, snapshot)
        for order in orders:
            try:
                handle.ask(order)
            except (EngineGone, ValueError) as error:
                self.refuse(str(error))
        if not added:  # the search was faster
            handle.close()

    def _add_contact(self, handle: EngineHandle, snapshot: EngineSnapshot | None = None) -> bool:
        """Make contact with an engine; return whether it is a new one.

        An older engine may have had the same process id. The snapshot, where there is one, is kept: the engine may
        end before it gives another.
        """
        with self._changing:
            pid = handle.run.pid
            known = self._contacts.get(pid)
            if known is not None and known.handle.run.process_started == handle.run.process_started:
                known.snapshot = known.snapshot or snapshot
                return False
            if self._over.is_set():
                return False
            if known is not None:
                known.end()
                del self._contacts[pid]
                self._forgotten = {key for key in self._forgotten if key[0] != pid}
            self._contacts[pid] = EngineContact(handle, snapshot, lambda: self.interval, self.refuse, self.wake)
            return True

    def run(self) -> None:
        """Collect until `end` is called; the name is Qt's."""
        next_search = 0.0
        while not self._over.is_set():
            if time.monotonic() >= next_search:
                self._search()
                next_search = time.monotonic() + _SEARCH_INTERVAL
            self._report()
            self._over.wait(self.interval)  # changes that come in a burst are reported together
            self._news.wait(max(0.0, next_search - time.monotonic()))
            self._news.clear()
        with self._changing:
            for contact in self._contacts.values():
                contact.end()

    def _search(self) -> None:
        """Make contact with engines that other front ends have started."""
        try:
            for handle in engines():
                self._add_contact(handle)
        except OSError as error:
            words = f"running copies cannot be found: {error}"
            if words != self._no_search:
                self.refuse(words)
            self._no_search = words
        else:
            self._no_search = ""

    def _report(self) -> None:
        while not self._signals.empty():
            self._signals.get()()
        with self._changing:
            found = [seen for contact in self._contacts.values() for seen in contact.targets()]
            now = tuple(seen for seen in found if seen.key not in self._forgotten)
        if now != self._reported:
            self._reported = now
            self.updated.emit(now)


def _end_all() -> None:
    for thread in list(_threads):
        thread.end()


atexit.register(_end_all)  # a script may end without an event loop, and so without `aboutToQuit`
