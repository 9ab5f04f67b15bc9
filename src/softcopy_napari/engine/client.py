"""Starts, finds and talks to engines: what front ends and acquisition software use."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import AuthenticationError
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from softcopy_napari import __version__
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.connection import MAX_REPLY, Connection, authenticate, connect
from softcopy_napari.engine.protocol.messages import Changes, EngineSnapshot, Order, Reply, TargetSnapshot
from softcopy_napari.engine.protocol.snapshot_delta import SnapshotDelta
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import state_folder
from softcopy_napari.engine.state_folder.run_file import RunFile, read_run, run_files
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.store_url import Destination, destination_of
from softcopy_napari.engine.targets.target import Settings, Target, settings_problem, targets_to_json
from softcopy_napari.engine.watermark.progress_reader import Goal, GoalError, Waiter, WaitResult
from softcopy_napari.engine.wording import describe

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari.engine.server"]
_OWN_GROUP: int = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_POLL = 0.1
_ANSWER = 10.0
"""Seconds after which an engine counts as one that does not answer."""
_LAST_LINES = 2.0
"""Seconds that the last lines of a progress file take at most to be there."""
_END_TIMEOUT = 1.0
"""Seconds that an engine which hung up has for its last words."""


class EngineGone(Exception):
    """The engine cannot be reached: it has died, or was ended by force."""


class EngineHandle:
    """One engine, running or ended, that a front end talks to."""

    def __init__(self, run: RunFile) -> None:
        self.run = run
        self._connection: Connection | None = None
        self._delta = SnapshotDelta()
        self._knows = False
        """Whether it is of this version, and knows `only_changes`."""
        self._turn = threading.Lock()

    def ask(self, order: Order) -> EngineSnapshot:
        """Give an order and get a snapshot.

        An engine that has ended answers with its last snapshot.

        Raises
        ------
        EngineGone
            It died without a word.
        ValueError
            It does not know what was asked for, or what it answers is no answer.
        """
        with self._turn:
            for _ in range(2):  # a connection may have broken since it was used last
                try:
                    reply = self._exchange(order)
                    break
                except TimeoutError:
                    self.close()
                    raise EngineGone(f"the copy engine (process {self.run.pid}) does not answer") from None
                except (OSError, EOFError, AuthenticationError):
                    self.close()
            else:
                return self._last()
        if reply.snapshot is None:
            raise ValueError(describe(reply.error))
        return reply.snapshot

    def snapshot(self) -> EngineSnapshot:
        """Return the current state of all targets."""
        return self.ask(Order(do="snapshot"))

    def _exchange(self, order: Order) -> Reply:
        # Not for ever: the engine may be stopped, or hang, or be none.
        if self._connection is None:
            self._connection = connect(self.run.address, _ANSWER)
            self._connection.set_time_limit(_ANSWER)
            authenticate(self._connection, bytes.fromhex(self.run.key), as_engine=False)
            self._delta, self._knows = SnapshotDelta(), False
        self._connection.set_time_limit(_ANSWER)
        # Without what an older engine would not know.
        order = order.model_copy(update={"only_changes": True if self._knows else None})
        self._connection.send_bytes(order.model_dump_json(exclude_none=True).encode())
        reply = Reply.model_validate_json(self._connection.recv_bytes(MAX_REPLY))
        try:
            whole = self._delta.decode(reply)
        except ValueError:
            self.close()  # on a new connection everything is told
            raise
        self._knows = whole is not None and whole.version == __version__
        return reply.model_copy(update={"snapshot": whole})

    def _last(self) -> EngineSnapshot:
        """Return the last snapshot of an engine that no longer answers."""
        deadline = time.monotonic() + _END_TIMEOUT
        while True:
            alive = self.run.alive() and time.monotonic() < deadline
            with contextlib.suppress(OSError, ValueError):
                run = read_run(self.run.path())
                if run.last is not None:
                    return run.last
            if not alive:
                what = "does not answer" if self.run.alive() else "has died; start the copy again to go on"
                raise EngineGone(f"the copy engine (process {self.run.pid}) {what}")
            time.sleep(_POLL)  # it is writing its last words just now

    def close(self) -> None:
        """Hang up; the engine goes on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def engines() -> list[EngineHandle]:
    """Return all running engines of this user on this machine, oldest first."""
    return [EngineHandle(run) for run in run_files() if run.alive()]


def end_watch(pid: int, destination: Destination) -> None:
    """Have an engine let go of a destination that is complete and whose source it only watches on."""
    for engine in engines():
        if engine.run.pid == pid:
            with contextlib.suppress(EngineGone, ValueError):
                for target in engine.snapshot().targets:
                    if destination_id(destination_of(target.destination)) == destination_id(destination):
                        engine.ask(Order(do="stop", target=target.id))
            engine.close()


def launch(targets: Sequence[Target]) -> EngineHandle:
    """Start an engine process that outlives this one, and watches sources on for a day where targets do not say.

    Raises
    ------
    TargetsError
        The targets cannot be copied; nothing was touched.
    """
    targets = [target.model_copy(update={"detached": True}) for target in targets]
    said = state_folder() / "engine.err"  # before it has a log of its own
    with open(said, "wb") as errors:
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=sys.platform != "win32",
            creationflags=_OWN_GROUP,
        )
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.write(targets_to_json(targets))
        process.stdin.close()
    line = process.stdout.readline()
    process.stdout.close()
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    answer = json.loads(line) if line else {"error": f"the copy engine could not be started; {said} says why"}
    if "run" not in answer:
        raise TargetsError(answer["error"])
    return EngineHandle(read_run(Path(answer["run"])))


class Copy:
    """A running copy of one source, in an engine process of its own.

    It goes on when this process ends; `softcopy status` shows it.
    """

    def __init__(self, engine: EngineHandle, target: str) -> None:
        self.engine = engine
        self._target = target

    def snapshot(self) -> TargetSnapshot:
        """Return what is copied and what is not, now.

        Raises
        ------
        EngineGone
            The engine died.
        """
        return self._pick(self.engine.snapshot())

    def pause(self) -> None:
        """Copy nothing more until `resume`; what is under way is finished."""
        self._order("pause")

    def resume(self) -> None:
        """Go on after `pause`."""
        self._order("resume")

    def finish(self, timeout: float | None = None) -> TargetSnapshot:
        """Say that the acquisition is finished, and wait until all of it is copied and checked.

        One that is complete, and whose source is watched on, is compared once more.

        Returns
        -------
        TargetSnapshot
            Its `state` is COMPLETE if the destination equals the source.
        """
        before = self.snapshot()
        self._order("finish")
        return self._wait(timeout, lambda now: now.state.ended and (now.over or now.completed != before.completed))

    def stop(self, timeout: float | None = 10.0) -> TargetSnapshot:
        """End the copy as it is; starting it again continues. One that is complete is no longer watched."""
        self._order("stop")
        return self._wait(timeout, lambda now: now.over)

    def wait(self, timeout: float | None = None) -> TargetSnapshot:
        """Wait until the copy is complete or has ended, or the time is over; returns what is known then.

        A source that is watched on after that is not waited for.
        """
        return self._wait(timeout, lambda now: now.state.ended)

    def _wait(self, timeout: float | None, done: Callable[[TargetSnapshot], bool]) -> TargetSnapshot:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            snapshot = self.snapshot()
            if done(snapshot) or (deadline is not None and time.monotonic() >= deadline):
                return snapshot
            time.sleep(_POLL)

    def wait_for(
        self,
        index: int | None = None,
        *,
        array: str | None = None,
        well: str | None = None,
        verified: bool = False,
        timeout: float | None = None,
        **axis: int,
    ) -> bool:
        """Wait until an index along the slowest axis, and all before it, are at the destination.

        Parameters
        ----------
        index : int, optional
            The index, whatever the axis is called; or give it by the axis's name, as in `t=120`.
        array, well : str, optional
            Path of an array, or of a well; by default all arrays with such an axis count.
        verified : bool
            Whether it must have been read back from the destination, too.
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether it is there. False when the time is over, or the copy has ended without it.

        Raises
        ------
        TargetsError
            It can never come: there is no such axis, or the copy writes no progress file.
        EngineGone
            The engine died.
        """
        given = {"": index, **axis} if index is not None else axis
        if len(given) != 1:
            raise TargetsError("say what to wait for by one index, as in wait_for(t=120)")
        ((name, wanted),) = given.items()
        snapshot = self.snapshot()
        if snapshot.settings is not None and not snapshot.settings.progress_file:
            raise TargetsError("progress_file is off: nothing says what is complete")
        waiter = Waiter(destination_of(snapshot.destination), Goal(wanted, name, array, well, verified))
        deadline = None if timeout is None else time.monotonic() + timeout
        ended: float | None = None
        while True:
            if self.snapshot().state.ended:
                ended = ended or time.monotonic()
            result = WaitResult.WAITING
            try:
                with contextlib.suppress(OSError):
                    result = waiter.check()
            except GoalError as error:
                raise TargetsError(str(error)) from None
            if result is not WaitResult.WAITING:
                return result is WaitResult.REACHED
            now = time.monotonic()
            if (ended is not None and now > ended + _LAST_LINES) or (deadline is not None and now >= deadline):
                return False
            time.sleep(_POLL)

    def set(self, **changes: Any) -> TargetSnapshot:
        """Change `sleep_time`, `max_rate` or `pace` while it runs.

        Raises
        ------
        TargetsError
            A setting is wrong, or cannot be changed.
        """
        try:
            wanted = Changes(**changes)
        except ValidationError as error:
            raise TargetsError(settings_problem(error)) from None
        return self._pick(self.engine.ask(Order(do="set", target=self._target, changes=wanted)))

    def _order(self, do: Any) -> TargetSnapshot:
        return self._pick(self.engine.ask(Order(do=do, target=self._target)))

    def _pick(self, snapshot: EngineSnapshot) -> TargetSnapshot:
        return next(target for target in snapshot.targets if target.id == self._target)


def check(
    source: str | Path, destination: str | Path, nprocs: int = 4, by_content: bool = False, kind: str = "zarr"
) -> TargetSnapshot:
    """Compare a source and a destination, and change nothing in either.

    Parameters
    ----------
    source, destination : str or Path
        Folders; nobody must be copying between them now.
    nprocs : int
        Processes that compare.
    by_content : bool
        Whether to read files of equal size whose times differ: they may have been copied without their times.
    kind : str
        "zarr", or "folder" for a folder of any files.

    Returns
    -------
    TargetSnapshot
        Its `state` is COMPLETE if every file of the source is at the destination, equal in size and time;
        `findings` say what is not.

    Raises
    ------
    TargetsError
        The paths or settings are wrong, or the destination is in use.
    """
    target = _make(source, destination, {"nprocs": nprocs, "kind": kind}).model_copy(
        update={"check": True, "by_content": by_content}
    )
    return Copy(launch([target]), "1").wait()


def start(source: str | Path, destination: str | Path, **settings: Any) -> Copy:
    """Start copying a zarr dataset, or with `kind="folder"` any files, being written now or later.

    Parameters
    ----------
    source : str or Path
        Folder that the microscope writes; it need not exist yet.
    destination : str or Path
        Folder to fill.
    **settings
        `kind`, `marker`, `nprocs`, `sleep_time`, `wait_for_source`, `settle`, `finish_idle`, `linger`, `verify`,
        `max_rate`, `pace`, `overwrite`, `permissions`, `group`, `links`, `notify`, `progress_file`, as in a targets
        file. Without a `linger` the source is watched on for a day after the copy is complete.

    Raises
    ------
    TargetsError
        The paths or settings are wrong; nothing was touched.
    """
    return Copy(launch([_make(source, destination, settings)]), "1")


def _make(source: str | Path, destination: str | Path, settings: dict[str, Any]) -> Target:
    try:
        return make_target(source, destination, Settings(**settings))
    except ValidationError as error:
        raise TargetsError(settings_problem(error)) from None
