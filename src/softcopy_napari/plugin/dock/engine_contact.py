"""Talks to one engine in a thread of its own: passes orders on, and polls its snapshots.

engine_monitor.py has one contact for each engine: an engine that hangs holds up nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pydantic import ValidationError

from softcopy_napari.engine.client import EngineGone, EngineHandle
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Order, TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason

Key = tuple[int, str]
"""An engine's process id, and the id of one of its targets."""


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """A target of an engine, as last seen."""

    pid: int
    """The engine's process id."""
    target: TargetSnapshot
    alive: bool
    """Whether the engine runs."""

    @property
    def key(self) -> Key:
        """The key that identifies the target among those of all engines."""
        return self.pid, self.target.id

    @property
    def lost(self) -> bool:
        """Whether the engine died before the target ended."""
        return not self.alive and not self.target.state.ended


class EngineContact:
    """The thread that talks to one engine.

    Parameters
    ----------
    handle : EngineHandle
    snapshot : EngineSnapshot or None
        Its last snapshot, where one is known.
    interval : callable
        Returns the seconds between two polls.
    refuse : callable
        Is given the reason, in words for users, when something was not done.
    wake : callable
        Is called when anything may have changed.
    """

    def __init__(
        self,
        handle: EngineHandle,
        snapshot: EngineSnapshot | None,
        interval: Callable[[], float],
        refuse: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self.handle = handle
        self.snapshot = snapshot
        self.alive = True
        self.silent = False
        self._interval, self._refuse, self._wake = interval, refuse, wake
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._given = self._passed_on = 0
        self._over = False
        self._foreign = False
        self.thread = threading.Thread(target=self._run, name=f"softcopy-engine-{handle.run.pid}", daemon=True)
        self.thread.start()

    @property
    def waiting(self) -> bool:
        """Whether orders wait to be passed on."""
        return self._given > self._passed_on

    def order(self, order: Order) -> None:
        """Have an order passed on soon."""
        self._given += 1
        self._orders.put(order)

    def end(self) -> None:
        """End the thread once the orders given so far have been passed on."""
        self._over = True
        self._orders.put(None)

    def targets(self) -> list[SeenTarget]:
        """Return the engine's targets as last seen."""
        if self.snapshot is None:
            return []
        targets = self.snapshot.targets
        if self.silent and self.alive:
            words = {"why": make_reason(ReasonCode.ENGINE_SILENT, pid=self.handle.run.pid)}
            targets = tuple(target if target.over else target.model_copy(update=words) for target in targets)
        if not self.alive:  # it may have been killed while it watched a source on
            targets = tuple(target.model_copy(update={"watching": False}) for target in targets)
        return [SeenTarget(self.handle.run.pid, target, self.alive) for target in targets]

    def _run(self) -> None:
        self._ask(Order(do="snapshot"))
        while self.alive and (self.waiting or not self._over):
            try:
                order = self._orders.get(timeout=self._interval())
            except Empty:
                self._ask(Order(do="snapshot"))
                continue
            if order is not None:
                self._ask(order)
                self._passed_on += 1
        self.handle.close()

    def _ask(self, order: Order) -> None:
        pid = self.handle.run.pid
        try:
            snapshot = self.handle.ask(order)
        except EngineGone as error:
            self.alive = self.handle.run.alive()
            self.silent = True
            if order.do != "snapshot":
                self._refuse(str(error))
        except ValidationError:
            if not self._foreign:  # once, not at every poll
                self._foreign = True
                self._refuse(f"the copy engine (process {pid}) is of another version and cannot be shown")
        except ValueError as error:
            self._refuse(f"the copy engine (process {pid}) refused to {order.do}: {error}")
        else:
            self.snapshot, self.alive, self.silent = snapshot, not snapshot.ended, False
        self._wake()
