"""What hostile things are made of: JSON of any kind, documents with something changed, and engines that are none."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import psutil
from hypothesis import strategies as st

from softcopy_napari.engine.state_folder.folder import runs_folder
from softcopy_napari.engine.state_folder.run_file import RunFile

KEY = bytes(range(32))
ODD_TEXTS = (
    *("", ".", "..", "../..", "../../x", "/", "/etc/passwd", "a/../../b", "a//b", "c/0", "\\\\host\\share\\x", "..\\x"),
    *("C:\\x", "C:x", "CON", "\0", "a\0b", "\ud800", "\udcff", "a\nb", "\x1b[2J", "<img src='//host/x'>", "[/red]"),
    *("9**9**9**9", "x" * 5000, "NaN", "¹", "file:///etc", "~root", "$(id)", "`id`", "%s%s%n", "{0.__class__}"),
)
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, -(10**400), 1e308, 5e-324, -0.0)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_NUMBERS),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)


@st.composite
def changed(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """A document in which up to three things are replaced, removed or added."""
    document = copy.deepcopy(draw(documents))
    for _ in range(draw(st.integers(1, 3))):
        node = document
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
                node = inner
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del node[key]
                case 1 if isinstance(node, list):
                    node.insert(0, draw(JSON))
                case _:
                    node[key] = draw(JSON)
            break
    return document


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._path), "w")

    def pickled(self) -> bytes:
        return pickle.dumps(self)


def listing(folder: Path, *without: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything below a folder: kind and rights, size, time, content; but for what lies in some of its folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not any(path == one or one in path.parents for one in without):
            stat = path.lstat()
            content = os.fsencode(os.readlink(path)) if path.is_symlink() else b""
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
            changed = 0 if path.is_dir() else stat.st_mtime_ns
            found[str(path)] = stat.st_mode, stat.st_size if content else 0, changed, content
    return found


def run_file(**changes: Any) -> dict[str, Any]:
    """The content of a run file of an engine whose process is this one."""
    this = psutil.Process()
    content = {"pid": this.pid, "process_started": this.create_time(), "key": KEY.hex(), "last": None, **changes}
    return content if "address" in content else {**content, "address": str(runs_folder() / f"{this.pid}.socket")}


@contextlib.contextmanager
def fake_engine(talk: Callable[[Connection], object]) -> Iterator[RunFile]:
    """Something that listens where an engine would, and says what it likes to each front end."""
    run = RunFile.model_validate(run_file())
    over = threading.Event()

    def serve(connection: Connection) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            talk(connection)
            over.wait()  # a front end must not depend on being hung up on

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()

    run.write()
    with Listener(run.address, backlog=50) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield run
        finally:
            over.set()
            run.path().unlink(missing_ok=True)
