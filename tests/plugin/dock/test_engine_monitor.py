"""Finding, starting, polling and ordering real engines from a window, and every way for it to go."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

import psutil
import pytest
from qtpy.QtCore import QCoreApplication, QObject

from softcopy_napari.engine import client
from softcopy_napari.engine.client import EngineHandle, engines
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Order
from softcopy_napari.engine.state_folder.folder import runs_folder
from softcopy_napari.engine.state_folder.run_file import RunFile, read_run, run_files
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.plugin.dock import engine_monitor
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor
from tests.security.support import KEY, Bomb, fake_engine
from tests.support.command import Softcopy, halted
from tests.support.command import until as wait_until
from tests.support.trees import assert_same
from tests.support.writers import Writer, write

TIMEOUT = 30_000
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals")


class Window(QObject):
    """What a monitor's owner sees of it."""

    def __init__(self, qtbot: Any) -> None:
        super().__init__()
        self.seen: tuple[SeenTarget, ...] = ()
        self.refusals: list[str] = []
        self.not_started: list[tuple[Target, str]] = []
        self.started: list[tuple[int, str]] = []
        self.updates = 0
        self.monitor = EngineMonitor()
        self.monitor.interval = 0.05
        self.monitor.updated.connect(self.note_update)
        self.monitor.refused.connect(self.refusals.append)
        self.monitor.not_started.connect(self.not_started.extend)
        self.monitor.started.connect(self.started.extend)
        self._qtbot = qtbot

    def note_update(self, seen: tuple[SeenTarget, ...]) -> None:
        self.seen = seen
        self.updates += 1

    def until(self, condition: Callable[[], object]) -> None:
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=TIMEOUT)

    def state(self) -> TargetState | None:
        return self.seen[0].target.state if self.seen else None

    def sees(self, state: TargetState) -> None:
        self.until(lambda: self.state() is state)


@pytest.fixture
def window(qtbot: Any) -> Iterator[Window]:
    window = Window(qtbot)
    yield window
    window.monitor.close()


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., Target]:
    def make(name: str = "one", **settings: Any) -> Target:
        chosen = Settings(**{"nprocs": 1, "linger": 0.0, **settings})
        return make_target(tmp_path / f"{name}.zarr", tmp_path / f"copy of {name}", chosen)

    return make


def test_a_copy_is_started_watched_and_seen_to_its_end(window: Window, target: Callable[..., Target]) -> None:
    one = target(settle=0.0)
    with Writer("tensorstore", one.source, frames=10, delay=0.02):
        window.monitor.start_targets([one])
        window.until(lambda: window.started)
        window.until(lambda: window.seen and window.seen[0].target.chunk_files_copied > 3)
    window.sees(TargetState.COMPLETE)
    window.until(lambda: not window.seen[0].alive)
    assert not window.seen[0].lost
    assert window.started == [window.seen[0].key]
    assert window.refusals == []
    assert_same(one.source, one.destination)


def test_the_end_of_a_copy_that_ended_between_two_looks_is_seen(window: Window, target: Callable[..., Target]) -> None:
    window.monitor.interval = 4.0
    one = target(settle=0.0)
    write("tensorstore", one.source, frames=2)
    window.monitor.start_targets([one])
    window.until(lambda: window.started)
    psutil.wait_procs([psutil.Process(pid) for pid, _ in window.started if psutil.pid_exists(pid)], timeout=20)
    window.sees(TargetState.COMPLETE)
    assert window.seen[0].target.chunk_files_copied == 8 and not window.seen[0].lost


@pytest.mark.either_binding
def test_copies_that_the_command_started_are_found(window: Window, target: Callable[..., Target]) -> None:
    one = target()
    with Softcopy(one.source, one.destination) as command:
        window.sees(TargetState.WAITING)
        assert window.seen[0].pid == command.process.pid
        assert window.seen[0].target.source == str(one.source)
        window.monitor.order("stop", [window.seen[0].key])
        window.sees(TargetState.STOPPED)
        window.until(lambda: not window.seen[0].alive)
        assert not window.seen[0].lost
        command.wait()


@pytest.mark.either_binding
def test_a_check_is_seen_to_its_end(window: Window, target: Callable[..., Target]) -> None:
    one = target()
    write("tensorstore", one.source, frames=2)
    window.monitor.start_targets([one.model_copy(update={"check": True})])
    window.sees(TargetState.INCOMPLETE)
    window.until(lambda: not window.seen[0].alive)
    assert not window.seen[0].lost and window.refusals == []
    assert window.seen[0].target.findings is not None
    assert not one.destination.exists()


@pytest.mark.either_binding
def test_orders_reach_the_target_that_they_are_for(window: Window, target: Callable[..., Target]) -> None:
    window.monitor.start_targets([target("one"), target("two")])
    window.until(lambda: len(window.seen) == len(window.started) == 2)  # whichever is told first
    one, two = window.started
    assert [seen.key for seen in window.seen] == [one, two]

    def states() -> list[TargetState]:
        return [seen.target.state for seen in window.seen]

    window.monitor.order("pause", [two])
    window.until(lambda: states() == [TargetState.WAITING, TargetState.PAUSED])
    window.monitor.order("resume", [two])
    window.until(lambda: states() == [TargetState.WAITING, TargetState.WAITING])
    window.monitor.order("finish", [one])  # there is no source: it ends
    window.until(lambda: states() == [TargetState.FAILED, TargetState.WAITING])
    window.monitor.order("stop", [two])
    window.until(lambda: states() == [TargetState.FAILED, TargetState.STOPPED])
    assert window.refusals == []


def test_a_copy_that_cannot_be_started_is_explained_and_nothing_is_touched(
    window: Window, target: Callable[..., Target]
) -> None:
    one = target()
    one.source.write_text("no folder")
    window.monitor.start_targets([one])
    window.until(lambda: window.not_started)
    ((refused, words),) = window.not_started
    assert refused == one and "is a file, not a folder" in words
    assert not one.destination.exists()
    assert window.seen == () and window.started == [] and window.refusals == []


def test_one_bad_target_among_good_ones_keeps_none_of_them_from_starting(
    window: Window, target: Callable[..., Target]
) -> None:
    bad, *good = (target(name) for name in ("bad", "one", "two"))
    bad.source.write_text("no folder")
    window.monitor.start_targets([good[0], bad, good[1]])
    window.monitor.order_starting("pause")
    window.until(lambda: window.not_started and len(window.started) == 2)
    assert [refused for refused, _ in window.not_started] == [bad]
    assert len({pid for pid, _ in window.started}) == 1, "one engine is enough for those that can run together"
    window.until(lambda: [one.target.state for one in window.seen] == [TargetState.PAUSED] * 2)
    window.monitor.order("stop", window.started)
    window.until(lambda: all(one.target.over for one in window.seen))


@pytest.mark.either_binding
def test_what_an_engine_alone_can_tell_keeps_the_others_from_nothing_either(
    window: Window, target: Callable[..., Target]
) -> None:
    busy, good = target("busy"), target("good")
    window.monitor.start_targets([busy])
    window.until(lambda: window.started)
    window.monitor.start_targets([busy, good])
    window.until(lambda: window.not_started and len(window.started) == 2)
    ((refused, words),) = window.not_started
    assert refused == busy and str(window.started[0][0]) in words, "another copy writes there"
    window.monitor.order("stop", window.started)
    window.until(lambda: all(one.target.over for one in window.seen))


@pytest.mark.either_binding
def test_an_order_to_an_engine_that_has_ended_is_answered_in_words(
    window: Window, target: Callable[..., Target]
) -> None:
    window.monitor.start_targets([target()])
    window.until(lambda: window.seen)
    key = window.seen[0].key
    window.monitor.order("stop", [key])
    window.until(lambda: not window.seen[0].alive)
    window.monitor.order("pause", [key, (1, "1")])
    window.until(lambda: len(window.refusals) == 2)
    assert window.refusals[0] == f"the copy engine (process {key[0]}) has ended already"


@pytest.mark.either_binding
def test_an_order_about_a_target_that_is_not_there_is_answered_in_words(
    window: Window, target: Callable[..., Target]
) -> None:
    window.monitor.start_targets([target()])
    window.until(lambda: window.seen)
    window.monitor.order("pause", [(window.seen[0].pid, "9")])
    window.until(lambda: window.refusals)
    assert 'refused to pause: there is no target "9"' in window.refusals[0]


@pytest.mark.either_binding
def test_what_is_forgotten_is_not_told_of_again(window: Window, target: Callable[..., Target]) -> None:
    window.monitor.start_targets([target("one"), target("two")])
    window.until(lambda: len(window.seen) == len(window.started) == 2)
    one, two = window.started
    window.monitor.order("stop", [one])
    window.until(lambda: window.seen[0].target.state is TargetState.STOPPED)
    window.monitor.forget([one])
    window.until(lambda: [seen.key for seen in window.seen] == [two])
    window.monitor.order("pause", [two])
    window.sees(TargetState.PAUSED)
    assert [seen.key for seen in window.seen] == [two]


@pytest.mark.either_binding
def test_nothing_is_told_while_nothing_changes(window: Window, target: Callable[..., Target], qtbot: Any) -> None:
    window.monitor.start_targets([target()])
    window.until(lambda: window.seen)
    window.monitor.order("stop", [window.seen[0].key])
    window.until(lambda: not window.seen[0].alive)
    told = window.updates
    asked = []
    window.monitor._collector._search = lambda: asked.append(1)  # type: ignore[method-assign]
    window.until(lambda: len(asked) >= 2)
    assert window.updates == told


@pytest.mark.either_binding
@posix_only
def test_an_engine_that_was_killed_is_lost(window: Window, target: Callable[..., Target]) -> None:
    window.monitor.start_targets([target()])
    window.sees(TargetState.WAITING)
    os.kill(window.seen[0].pid, signal.SIGKILL)
    window.until(lambda: window.seen[0].lost)
    assert not window.seen[0].alive
    assert window.refusals == []


@pytest.mark.either_binding
@posix_only
@pytest.mark.parametrize("found_by", ["start", "search"])
def test_an_engine_that_dies_before_it_is_looked_at_is_lost(
    window: Window, target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch, found_by: str
) -> None:
    """Its row said "starting" for ever: the search, or whoever started it, had just found it, and nothing more came."""
    held = threading.Event()
    ask = EngineHandle.ask

    def dies(handle: EngineHandle) -> EngineSnapshot:
        if found_by == "search":
            wait_until(lambda: handle.run.pid in window.monitor._collector._contacts, 20.0)
        snapshot = ask(handle, Order(do="snapshot"))
        psutil.Process(handle.run.pid).kill()
        wait_until(lambda: not handle.run.alive(), 20.0)
        held.set()
        return snapshot

    def late(handle: EngineHandle, order: Order) -> EngineSnapshot:
        assert held.wait(20)
        return ask(handle, order)

    monkeypatch.setattr(EngineHandle, "snapshot", dies)
    monkeypatch.setattr(EngineHandle, "ask", late)
    if found_by == "start":
        monkeypatch.setattr(engine_monitor, "engines", list)
    window.monitor.start_targets([target()])
    window.until(lambda: window.started)
    window.until(lambda: window.seen and window.seen[0].lost)
    assert [one.key for one in window.seen] == window.started


@pytest.mark.either_binding
@posix_only
def test_the_command_killed_in_a_process_that_nobody_waits_for_is_lost(
    window: Window, target: Callable[..., Target]
) -> None:
    one = target()
    with Softcopy(one.source, one.destination) as command:
        window.sees(TargetState.WAITING)
        os.kill(command.process.pid, signal.SIGKILL)
        window.until(lambda: window.seen[0].lost)  # it is a zombie


@pytest.mark.either_binding
@posix_only
def test_an_engine_that_hangs_is_named_and_holds_up_no_other(
    window: Window, target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 4.0)
    window.monitor.start_targets([target("one")])
    window.until(lambda: len(window.seen) == 1)
    window.monitor.start_targets([target("two")])
    window.until(lambda: len(window.seen) == 2)
    hanging, going = window.seen
    with halted(hanging.pid):
        window.monitor.order("pause", [hanging.key])
        window.monitor.order("pause", [going.key])
        window.until(lambda: window.seen[1].target.state is TargetState.PAUSED)
        assert "does not answer" not in window.seen[0].target.reason, "the other was asked only after this one"
        window.until(lambda: "does not answer" in window.seen[0].target.reason)
        assert window.seen[0].alive and not window.seen[0].lost
        window.until(lambda: window.refusals)
        assert window.refusals == [f"the copy engine (process {hanging.pid}) does not answer"]
    window.until(lambda: "does not exist yet" in window.seen[0].target.reason)
    window.monitor.order("stop", [hanging.key, going.key])
    window.until(lambda: all(seen.target.state is TargetState.STOPPED for seen in window.seen))


@pytest.mark.either_binding
def test_an_engine_of_another_version_is_named_once(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    key = b"k" * 32
    answered = []

    def serve() -> None:
        with contextlib.suppress(OSError, EOFError), listener.accept() as connection:
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            while True:
                connection.recv_bytes()
                connection.send_bytes(b'{"snapshot": {"pid": 1, "colour": "green"}}')
                answered.append(1)

    this = psutil.Process()
    with Listener(str(runs_folder() / f"{this.pid}.socket")) as listener:
        threading.Thread(target=serve, daemon=True).start()
        run = RunFile(pid=this.pid, process_started=this.create_time(), address=str(listener.address), key=key.hex())
        run.write()
        try:
            window.until(lambda: len(answered) > 3)
        finally:
            run.path().unlink()
    window.monitor.close()
    window.until(lambda: window.refusals)
    assert window.refusals == [f"the copy engine (process {this.pid}) is of another version and cannot be shown"]


@pytest.mark.either_binding
def test_a_state_folder_that_cannot_be_made_is_named_once(
    qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SOFTCOPY_STATE_DIR", str(tmp_path / "file" / "state"))
        elsewhere.setattr("softcopy_napari.plugin.dock.engine_monitor._SEARCH_INTERVAL", 0.05)
        window = Window(qtbot)
        window.until(lambda: window.refusals)
        searches = []
        search = window.monitor._collector._search
        window.monitor._collector._search = lambda: searches.append(search())  # type: ignore[method-assign]
        window.until(lambda: len(searches) > 2)
        window.monitor.close()
    assert len(window.refusals) == 1 and "running copies cannot be found" in window.refusals[0]


# -- going -------------------------------------------------------------------------------------------------
# `nothing_is_left_in_qt` fails those tests that leave a thread.


def test_closing_ends_the_threads_but_not_the_engine_and_may_be_done_twice(
    window: Window, target: Callable[..., Target], qtbot: Any
) -> None:
    window.monitor.start_targets([target()])
    window.until(lambda: window.seen)
    thread = window.monitor._collector
    window.monitor.close()
    assert thread.isFinished()
    window.monitor.close()
    told = window.updates
    window.monitor.order("pause", [window.seen[0].key])
    assert len(engines()) == 1
    other = Window(qtbot)  # another napari
    other.until(lambda: other.seen)
    assert other.seen[0].key == window.seen[0].key
    other.monitor.close()
    assert window.updates == told


def test_a_monitor_that_is_deleted_ends_its_threads_and_tells_nobody(
    window: Window, target: Callable[..., Target]
) -> None:
    window.monitor.interval = 0.0
    window.monitor.start_targets([target()])
    window.until(lambda: window.seen)
    thread = window.monitor._collector
    window.monitor.deleteLater()
    window.until(thread.isFinished)
    told = window.updates
    thread.updated.emit(())
    QCoreApplication.processEvents()
    assert window.updates == told


def test_a_monitor_that_nobody_holds_ends_its_threads(qtbot: Any) -> None:
    monitor = EngineMonitor()
    thread = monitor._collector
    del monitor
    qtbot.waitUntil(thread.isFinished)


_LEAVE = """
import sys
from pathlib import Path
from qtpy.QtCore import QCoreApplication, QObject, QTimer
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor

class Owner(QObject):
    def __init__(self):
        super().__init__()
        self.monitor = EngineMonitor(self)
        self.monitor.interval = 0.0
        self.monitor.updated.connect(self.note_update)
        self.monitor.refused.connect(print)

    def note_update(self, seen):
        {leave}

app = QCoreApplication([])
owner = Owner()
owner.monitor.start_targets([make_target(sys.argv[1], sys.argv[2], Settings())])
app.exec()
"""


@pytest.mark.parametrize(
    "leave",
    [
        "app.quit()",
        "self.monitor.close(); app.quit()",
        "self.monitor.start_targets([]); app.quit()",
        "self.deleteLater(); QTimer.singleShot(300, app.quit)",
        "QTimer.singleShot(0, sys.exit)",
        "global owner; del owner, self.monitor; app.quit()",
    ],
)
def test_a_program_that_ends_does_not_crash_and_its_copy_goes_on(
    leave: str, target: Callable[..., Target], tmp_path: Path
) -> None:
    one = target()
    script = tmp_path / "window.py"
    script.write_text(textwrap.dedent(_LEAVE).format(leave=leave))
    done = subprocess.run(
        [sys.executable, str(script), str(one.source), str(one.destination)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (engine,) = engines()
    assert engine.snapshot().targets[0].state is TargetState.WAITING
    engine.close()


@pytest.mark.parametrize("slow", ["nobody", "main thread"])
def test_a_program_that_ends_right_after_it_has_ordered_a_stop_leaves_no_copy_running(
    target: Callable[..., Target], tmp_path: Path, slow: str
) -> None:
    """Also where the monitor's thread has ended before the main thread comes to wait for it."""
    one = target()
    script = tmp_path / "window.py"
    script.write_text(
        "import sys, threading\n"
        "from qtpy.QtCore import QCoreApplication\n"
        "from softcopy_napari.engine.targets.build import make_target\n"
        "from softcopy_napari.engine.targets.target import Settings\n"
        "from softcopy_napari.plugin.dock import engine_monitor\n"
        "engine_monitor._LAST_ORDERS_TIMEOUT = 30.0  # this machine may be busy\n"
        "class Slow(threading.Event):\n"
        "    def set(self):\n"
        "        super().set()\n"
        "        if thread._over.is_set():\n"
        "            assert thread.wait(30_000)\n"
        "app = QCoreApplication([])\n"
        "one = engine_monitor.EngineMonitor()\n"
        "thread = one._collector\n"
        "if sys.argv[3] == 'main thread':\n"
        "    thread._news = Slow()\n"
        "one.start_targets([make_target(sys.argv[1], sys.argv[2], Settings())])\n"
        "one.order_starting('stop')\n"
        "one.close()\n"
    )
    subprocess.run([sys.executable, str(script), str(one.source), str(one.destination), slow], check=True, timeout=60)
    (run,) = run_files()
    wait_until(lambda: run.path().exists() and read_run(run.path()).last is not None)
    last = read_run(run.path()).last
    assert last is not None and last.targets[0].state is TargetState.STOPPED


def test_closing_waits_for_an_order_to_an_engine_that_is_seen_before_it_has_the_order(
    window: Window, target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_monitor, "_LAST_ORDERS_TIMEOUT", 30.0)
    ask, passed_on = EngineHandle.ask, threading.Event()

    def slow(handle: EngineHandle, order: Order) -> EngineSnapshot:
        if order.do != "stop":
            return ask(handle, order)
        wait_until(window.monitor._collector.isFinished, 20.0)
        passed_on.wait(0.3)  # it takes so long
        snapshot = ask(handle, order)
        passed_on.set()
        return snapshot

    monkeypatch.setattr(EngineHandle, "ask", slow)
    window.monitor.start_targets([target()])
    window.monitor.order_starting("stop")
    window.until(lambda: window.seen)
    window.monitor.close()
    assert passed_on.is_set()


def test_a_program_that_ends_without_an_event_loop_does_not_crash(tmp_path: Path) -> None:
    script = tmp_path / "window.py"
    script.write_text(
        "from qtpy.QtCore import QCoreApplication\n"
        "from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor\n"
        "app = QCoreApplication([])\n"
        "monitor = EngineMonitor()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.either_binding
@posix_only
@pytest.mark.parametrize("what", ["silence", "nonsense", "a pickle", "numbers that are none"])
def test_an_engine_that_is_none_is_said_in_words_and_nothing_is_done(
    window: Window, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 0.3)
    monkeypatch.setattr(client, "_END_TIMEOUT", 0.1)
    asked = []

    def talk(connection: Connection) -> None:
        asked.append(1)
        if what == "silence":
            return
        if what == "a pickle":
            connection.send(Bomb(tmp_path / "boom"))
            return
        deliver_challenge(connection, KEY)
        answer_challenge(connection, KEY)
        while True:
            connection.recv_bytes()
            connection.send_bytes(b"\xff" if what == "nonsense" else b'{"snapshot": {"pid": NaN, "started": 1e999}}')

    with fake_engine(talk):
        window.until(lambda: len(asked) > 2 or window.refusals)
    window.monitor.close()
    assert window.seen == () and not (tmp_path / "boom").exists()
    words = "is of another version and cannot be shown"
    assert all(words in refusal for refusal in window.refusals) and len(window.refusals) <= 1
