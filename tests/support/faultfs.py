"""A file system that fails on purpose, by rules that a test changes while it runs.

It shows a folder at another place, through FUSE, from a process of its own. What is done in the folder itself
passes it by, and causes no events for those who watch the place.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import errno
import functools
import importlib.util
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

_REPO = Path(__file__).parents[2]
_TIMEOUT = 20.0


def why_not() -> str:
    """Why this machine cannot have such a file system; empty where it can."""
    if sys.platform != "linux":
        return "FUSE of Linux is needed"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is not installed"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian: fuse3)"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened: {error.strerror}"
    return ""


@functools.cache
def _library() -> str:
    """Looked for once: that starts other programs."""
    return ctypes.util.find_library("fuse3") or "libfuse3.so.3"


class Rule:
    """A rule in force.

    Attributes
    ----------
    met : list of str
        Paths with which it has had its way, in their order.
    pids : list of int
        The processes that met it.
    """

    def __init__(self, number: int, lift: Callable[[int], None], act: Callable[[str], object] | None) -> None:
        self.met: list[str] = []
        self.pids: list[int] = []
        self.act = act
        self._number = number
        self._lift = lift

    def lift(self) -> None:
        """Take it back; what hangs by it goes on."""
        self._lift(self._number)


class FaultFs:
    """A folder shown at another place; a context manager that ends it, whatever hangs there.

    Steps are called `stat`, `listing`, `open`, `create`, `read`, `write`, `close`, `fsync`, `fsyncdir` (of a folder),
    `utimens`, `rename`, `unlink`, `mkdir`, `rmdir`, `symlink`, `readlink`, `chmod`, `truncate` and `statfs`; several in
    one string are separated by spaces. Paths are patterns, relative to the place; a rename has the new name. `skip`
    lets so many steps that fit pass before the first, and after `times` of them the rule is spent; 0 means never. With
    `since`, the name of a step, it counts only after that one.

    Parameters
    ----------
    folder, place : Path
        The folder with the data, and an empty one at which it is shown.
    unit : int
        In which it keeps times, ns.
    behind : int
        By which its clock is behind, ns.
    nfd : bool
        Whether it spells names in its own way, as HFS+ does: é as e and an accent.
    cached : float
        Seconds for which the system may answer from its cache what was asked for before, as on a network mount.
    times : str
        What becomes of modification times that are set: "kept", "dropped" (without an error), "refused" (EPERM),
        "set at rename" to the present, or "flapping" (another one each time it is asked).
    folds_case : bool
        Whether `IMG` and `img` are one file, which keeps the name that it was made with.
    padding : int
        By how many bytes files seem larger than they are.
    inodes : bool
        Whether files are told by the inodes that they have in the folder with the data.
    called : str
        What it says that it is mounted from.
    """

    def __init__(
        self,
        folder: Path,
        place: Path,
        unit: int = 1,
        behind: int = 0,
        nfd: bool = False,
        cached: float = 0.0,
        times: str = "kept",
        folds_case: bool = False,
        padding: int = 0,
        inodes: bool = True,
        called: str = "softcopy-faultfs",
    ) -> None:
        self.folder = folder
        self.place = place
        self.trouble: BaseException | None = None
        """What an `act` of a rule has raised."""
        self._options = {
            "unit": unit, "behind": behind, "nfd": nfd, "cached": cached, "times": times, "folds_case": folds_case,
            "padding": padding, "inodes": inodes, "called": called,
        }  # fmt: skip
        self._rules: dict[int, Rule] = {}
        self._numbers = itertools.count(1)
        self._done: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._acts: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._ordering = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.support.faultfs_process", str(self.folder), str(self.place)]
        self._process = subprocess.Popen(
            [*command, json.dumps(self._options)],
            cwd=_REPO,
            env={**os.environ, "FUSE_LIBRARY_PATH": _library()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # it ends when told to, not on Ctrl-C
        )
        self._threads = [threading.Thread(target=target) for target in (self._listen, self._act)]
        for thread in self._threads:
            thread.start()
        try:
            assert self._done.get(timeout=_TIMEOUT), "the file system has not come up"
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end()
        if kind is None and self.trouble is not None:
            raise self.trouble

    def end(self) -> None:
        """Let go what hangs, and leave the place as the empty folder that it was."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if os.path.ismount(self.place):
            subprocess.run(["fusermount3", "-u", "-z", str(self.place)], check=True)

    # -- rules ----------------------------------------------------------------------------------------

    def fail(self, op: str, path: str = "*", error: int = errno.EIO, **more: Any) -> Rule:
        """Have steps fail; `more` is `when` ("before", "after"), `skip`, `times`, `since`, `chance`, as everywhere."""
        return self._add("fail", op, path, error=error, **more)

    def short(self, op: str, path: str = "*", size: int = 1000, **more: Any) -> Rule:
        """Have a `read` or a `write` take no more than so many bytes."""
        return self._add("short", op, path, size=size, **more)

    def flip(self, path: str = "*", offset: int = 0, **more: Any) -> Rule:
        """Have a bit read back wrong."""
        return self._add("flip", "read", path, offset=offset, **more)

    def delay(self, op: str, path: str = "*", seconds: float = 0.1, **more: Any) -> Rule:
        """Have steps take longer."""
        return self._add("delay", op, path, seconds=seconds, **more)

    def hang(self, op: str, path: str = "*", for_good: bool = False, **more: Any) -> Rule:
        """Have steps not return until the rule is lifted. Who waits can be killed, but not if it is `for_good`."""
        return self._add("hang for good" if for_good else "hang", op, path, **more)

    def call(self, op: str, path: str, act: Callable[[str], object], **more: Any) -> Rule:
        """Do something with the path of a step, which waits until it is done; once, if nothing else is said.

        It must keep away from the place itself: the system may have locked what it needs there.
        """
        return self._add("call", op, path, act=act, **{"times": 1, **more})

    def lift_all(self) -> None:
        """Take back all rules."""
        self._order(do="lift")

    def _add(self, do: str, op: str, path: str, act: Callable[[str], object] | None = None, **more: Any) -> Rule:
        number = next(self._numbers)
        rule = self._rules[number] = Rule(number, self._lift, act)
        self._order(do="add", rule={"id": number, "do": do, "op": op, "path": path, **more})
        return rule

    def _lift(self, number: int) -> None:
        self._order(do="lift", id=number)

    # -- its process ----------------------------------------------------------------------------------

    def _order(self, **words: Any) -> None:
        with self._ordering:
            self._say(**words)
            assert self._done.get(timeout=_TIMEOUT), "the file system has ended"

    def _say(self, **words: Any) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = json.loads(line)
            if "met" in words:
                rule = self._rules[words["met"]]
                rule.pids.append(words["pid"])
                rule.met.append(words["path"])
            if "token" in words:
                self._acts.put(words)
            if "done" in words or "ready" in words:
                self._done.put(True)
        self._done.put(False)
        self._acts.put(None)

    def _act(self) -> None:
        while (words := self._acts.get()) is not None:
            act = self._rules[words["met"]].act
            assert act is not None
            try:
                act(words["path"])
            except BaseException as error:
                self.trouble = self.trouble or error
            with contextlib.suppress(OSError, ValueError):
                self._say(do="go", token=words["token"])
