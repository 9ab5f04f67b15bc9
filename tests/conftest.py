"""For every test: a state folder of its own, and nothing left running behind it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from softcopy_napari.engine.state_folder.run_file import run_files
from softcopy_napari.virtual_screen import NoScreen, virtual_screen
from tests.support import preloaded
from tests.support.object_store_fixtures import *  # noqa: F403

# Threads that numpy would start, and never use here, cost each of hundreds of processes a tenth of a second.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before napari and pytest-qt are set up: nobody's settings are read or written, and both use one Qt binding.
os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("QT_API", "pyqt6" if find_spec("PyQt6") else "pyside6")
os.environ["PYTEST_QT_API"] = os.environ["QT_API"]

# Tests keep the machine busy: copies at the lowest priority of all would wait for the end of the others.
os.environ["SOFTCOPY_SESSION_PRIORITY"] = "0"

_WITH_WINDOWS = tuple(str(Path(__file__).with_name(name)) for name in ("plugin", "widgets"))
_screen = contextlib.ExitStack()

# A test's time depends on what else the machine does; pytest-timeout ends what hangs.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("soak", deadline=None, max_examples=1500)  # --hypothesis-profile=soak
settings.load_profile("here")

preloaded.fork_own_processes()

_GRACE = 5.0
"""Seconds in which what a test has ended may go: at the lowest priority, on a busy machine."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the share of the tests that this process is to run: SHARE=2/3 is every third from the second on."""
    either = [item for item in items if item.get_closest_marker("either_binding")]
    others = [item for item in items if item not in set(either)]
    kept = {*_share(others, "SHARE"), *_share(either, "SHARE_OF_EITHER")}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _share(items: list[pytest.Item], variable: str) -> list[pytest.Item]:
    first, count = map(int, os.environ.get(variable, "1/1").split("/"))
    return items[first - 1 :: count]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Give tests with windows a screen of their own, where there is none; each process of pytest-xdist has its own."""
    here = sys.platform in ("win32", "darwin") or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if not here and any(str(item.path).startswith(_WITH_WINDOWS) for item in session.items):
        try:
            _screen.enter_context(virtual_screen())
        except NoScreen as error:
            pytest.exit(f"tests with windows need a screen, and {error}", returncode=1)


def pytest_unconfigure() -> None:
    _screen.close()
    preloaded.end_servers()


@pytest.fixture(autouse=True)
def nothing_is_left_running(state_folder_in_tmp: Path) -> Iterator[None]:
    """Fail a test that leaves child processes, engines, or threads that would keep Python from ending."""
    this = psutil.Process()
    children = _descendants(this)
    threads = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _GRACE
    for_all = set(map(psutil.Process, preloaded.server_pids()))
    while True:
        left = [
            *((_descendants(this) | _engines(state_folder_in_tmp, this)) - children - for_all),
            *(t for t in threading.enumerate() if t not in threads and not t.daemon),
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    words = [_describe(one) for one in left]
    for one in left:
        if isinstance(one, psutil.Process) and one.is_running():
            one.kill()
    pytest.fail(f"the test left running: {', '.join(words)}")


def _descendants(this: psutil.Process) -> set[psutil.Process]:
    """Processes below this one; where the system lists them, without a look at every process of the machine."""
    if not os.path.exists(f"/proc/{this.pid}/task/{this.pid}/children"):
        return set(this.children(recursive=True))
    pids = [this.pid]
    for pid in pids:  # which grow
        with contextlib.suppress(OSError):  # it has just ended
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as children:
                    pids += map(int, children.read().split())
    found = set()
    for pid in pids[1:]:
        with contextlib.suppress(psutil.Error):
            found.add(psutil.Process(pid))
    return found


def _engines(state: Path, this: psutil.Process) -> set[psutil.Process]:
    """Engines that the test has started, or had started by another process: those are no children of this."""
    found = set()
    for run in run_files() if state.exists() else ():
        with contextlib.suppress(psutil.Error):
            engine = psutil.Process(run.pid)
            # A test may have put the environment back by now: then these are somebody else's.
            own = engine.environ().get("SOFTCOPY_STATE_DIR") == str(state)
            if own and run.alive() and run.process_started > this.create_time():
                found.add(engine)
    return found


def _describe(one: psutil.Process | threading.Thread) -> str:
    if isinstance(one, threading.Thread):
        return f"thread {one.name}"
    try:
        return f"process {one.pid} ({one.status()}): {' '.join(one.cmdline())}"
    except psutil.Error:
        return f"process {one.pid}"


@pytest.fixture
def nothing_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the program's processes as users do: what they take is measured."""
    monkeypatch.setattr(preloaded, "_OWN_PROCESSES", ())


@pytest.fixture(autouse=True)
def state_folder_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep run files, locks and ledgers of a test away from everybody else's, and its notifications from anybody."""
    folder = tmp_path / "state"
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(folder))
    monkeypatch.setenv("SOFTCOPY_CONFIG_DIR", str(tmp_path / "config"))
    return folder
