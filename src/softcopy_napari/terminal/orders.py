"""Finds running copies by name, and gives them orders: `softcopy finish`, `pause`, `resume`, `stop` and `set`.

The name of a copy is its destination, however that is spelled, or its process, which names all copies of its engine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.client import EngineGone, EngineHandle, engines
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.protocol.messages import Changes, Order, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl, destination_of
from softcopy_napari.engine.targets.timeout import call_with_timeout
from softcopy_napari.engine.targets.user_paths import written_destination
from softcopy_napari.terminal.wording import foreign_words

_MOST_LISTED = 8
"""Copies that are listed at most where one has to be chosen."""


class CannotOrder(Exception):
    """An order that cannot be given; the message says why, for the user."""


@dataclass(frozen=True, slots=True)
class RunningCopy:
    """A target of a running engine."""

    engine: EngineHandle
    target: TargetSnapshot

    @property
    def pid(self) -> int:
        """The process id of the engine."""
        return self.engine.run.pid


def choose_copies(names: Sequence[str], everything: bool, command: str) -> list[RunningCopy]:
    """Find the copies that a user means.

    Parameters
    ----------
    names : sequence of str
        Processes and destinations; none for the only one that is running.
    everything : bool
        All of them.
    command : str
        The command, for messages.

    Raises
    ------
    CannotOrder
        There is no such copy, or it is not clear which one is meant.
    """
    running = list(_running(names))
    under_way = [copy for copy in running if not copy.target.state.ended]
    if names and everything:
        raise CannotOrder("give processes and destinations, or --all, not both")
    if names:
        chosen = [copy for name in names for copy in _copies_named(name, running)]
        return list({(copy.pid, copy.target.id): copy for copy in chosen}.values())
    found = running if everything and command == "stop" else under_way or (running if command == "stop" else [])
    if not found:
        raise CannotOrder("no copy is running")
    if len(found) > 1 and not everything:
        listed = [f"  {copy.target.destination} (process {copy.pid})" for copy in found[:_MOST_LISTED]]
        listed += [f"  and {len(found) - _MOST_LISTED:,} more"] if len(found) > _MOST_LISTED else []
        words = f"{len(found):,} copies are running: give a destination or a process, or --all"
        raise CannotOrder("\n".join([words, *listed]))
    return found


def _running(names: Sequence[str]) -> Iterator[RunningCopy]:
    """Yield all copies that engines work on or watch, oldest first."""
    for engine in engines():
        try:
            snapshot = engine.snapshot()
        except EngineGone:
            continue
        except ValueError:
            if str(engine.run.pid) in names:
                raise CannotOrder(foreign_words(engine.run.pid)) from None
            continue
        yield from (RunningCopy(engine, target) for target in snapshot.targets if not target.over)


def _copies_named(name: str, running: Sequence[RunningCopy]) -> list[RunningCopy]:
    """Return the copies with a name."""
    if found := [copy for copy in running if name == str(copy.pid)]:
        return found
    try:
        place = written_destination(name, Path())
        found = [copy for copy in running if copy.target.destination == str(place)]
        if not found and running:  # disks, which may hang, are asked only now
            found = call_with_timeout(
                lambda: [one for one in running if _is_same(place, destination_of(one.target.destination))],
                f"{name} has not answered; write the destination as softcopy status does",
            )
    except ValueError as error:
        raise CannotOrder(f"the path {error}") from None
    except TargetsError as error:
        raise CannotOrder(str(error)) from None
    if not found:
        raise CannotOrder(f"no running copy is called {name}: see softcopy status")
    return found


def _is_same(one: Destination, other: Destination) -> bool:
    """Whether two paths lead to one folder, through links or mounts, or would if it existed, or to one place."""
    if isinstance(one, StoreUrl) or isinstance(other, StoreUrl):
        return isinstance(one, StoreUrl) and isinstance(other, StoreUrl) and one.place == other.place
    if os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other)):
        return True
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(one, other)
    return False


def give_order(do: str, copy: RunningCopy) -> str:
    """Order a copy to finish, pause, resume or stop, and return a message about it.

    Raises
    ------
    CannotOrder
        The order is impossible now, or the engine refuses it.
    """
    target = copy.target
    if target.state.ended and do in ("pause", "resume"):
        raise CannotOrder(f"{target.destination} is {target.state}: there is nothing to {do}")
    _send(copy, Order.model_validate({"do": do, "target": target.id}))
    match do:
        case "finish" if target.state.ended:
            return f"{target.destination} is {target.state}. Comparing once more"
        case "finish":
            missing = _missing(target)
            return f"Finishing {target.destination}" + (f": {'; '.join(missing)}" if missing else "")
        case "pause":
            return f"Pausing {target.destination}. Continue with: softcopy resume"
        case "resume":
            return f"Resuming {target.destination}"
    if target.state.ended:
        return f"{target.destination} is {target.state}. Its source is no longer watched"
    return f"Stopping {target.destination} (process {copy.pid}). Run it again to continue."


def change_settings(copy: RunningCopy, changes: Changes) -> None:
    """Change how fast a copy goes.

    Raises
    ------
    CannotOrder
        The engine refuses the change.
    """
    _send(copy, Order(do="set", target=copy.target.id, changes=changes))


def _send(copy: RunningCopy, order: Order) -> None:
    try:
        copy.engine.ask(order)
    except EngineGone as error:
        if order.do != "stop":  # a copy that has ended needs no stop
            raise CannotOrder(str(error)) from None
    except ValueError as error:
        raise CannotOrder(str(error)) from None


def _missing(target: TargetSnapshot) -> list[str]:
    """Return what a finished acquisition lacks, and what is still to be done."""
    parts = []
    if target.state is TargetState.WAITING:
        parts.append(target.reason)
    if target.chunk_files_absent:
        parts.append(f"{count_text(target.chunk_files_absent, 'chunk')} never written")
    if target.files_left:
        parts.append(f"{count_text(target.files_left, 'file')} still to copy")
    if target.failed_files:
        parts.append(f"{count_text(target.failed_files, 'file')} failed so far")
    if target.state is TargetState.PAUSED:
        parts.append("it is paused: softcopy resume")
    return parts
