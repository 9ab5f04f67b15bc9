"""The process of a `FaultFs`: shows a folder at another place, and fails there as the test says.

`python -m tests.support.faultfs_process FOLDER PLACE OPTIONS`: orders come in on standard input, a line of JSON each;
what happened goes out on standard output. When the input ends, what hangs is let go and the place is free again.
"""

from __future__ import annotations

import ctypes
import errno
import fnmatch
import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import mfusepy

_fuse = ctypes.CDLL(os.environ["FUSE_LIBRARY_PATH"])
_POLL = 0.02


@dataclass
class Rule:
    """What is to go wrong, and where. `FaultFs` tells what the fields mean."""

    id: int
    do: str
    op: str
    path: str
    when: str = "before"
    error: int = errno.EIO
    size: int = 0
    offset: int = 0
    seconds: float = 0.0
    skip: int = 0
    times: int = 0
    chance: float = 1.0
    since: str = ""
    met: int = 0
    over: threading.Event = field(default_factory=threading.Event)


class Desk:
    """The rules in force, and the way to the test."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
        self._lock = threading.Lock()
        self._answers: dict[int, threading.Event] = {}
        self._tokens = 0
        self._random = random.Random(1)

    def say(self, **words: Any) -> None:
        """Tell the test something."""
        with self._lock:
            sys.stdout.write(json.dumps(words) + "\n")
            sys.stdout.flush()

    def listen(self) -> None:
        """Do as the test says, until it says no more."""
        for line in sys.stdin:
            order = json.loads(line)
            match order.pop("do"):
                case "add":
                    rule = Rule(**order["rule"])
                    self._rules[rule.id] = rule
                case "lift":
                    self._lift([order["id"]] if "id" in order else list(self._rules))
                case "go":
                    self._answers.pop(order["token"]).set()
                    continue
            self.say(done=True)

    def _lift(self, ids: list[int]) -> None:
        for number in ids:
            if rule := self._rules.pop(number, None):
                rule.over.set()

    def meet(self, op: str, path: str, when: str) -> Rule | None:
        """Let the rules for a step have their way; returns one that has to do with the data, if there is one.

        Raises
        ------
        OSError
            As a rule says.
        """
        about_data = None
        for rule in list(self._rules.values()):
            if not self._fits(rule, op, path, when):
                continue
            if rule.do == "call":
                self._call(rule, op, path)
                continue
            self.say(met=rule.id, path=path, pid=mfusepy.fuse_get_context()[2])
            match rule.do:
                case "fail":
                    raise OSError(rule.error, os.strerror(rule.error))
                case "delay":
                    time.sleep(rule.seconds)
                case "hang" | "hang for good":
                    self._hang(rule)
                case _:
                    about_data = rule
        return about_data

    def _fits(self, rule: Rule, op: str, path: str, when: str) -> bool:
        if not fnmatch.fnmatchcase(path, rule.path):
            return False
        if rule.since:
            if op == rule.since and when == "after":
                rule.since = ""
            return False
        if rule.when != when or op not in rule.op.split():
            return False
        if rule.chance < 1 and self._random.random() >= rule.chance:
            return False
        with self._lock:
            rule.met += 1
            return rule.skip < rule.met and (not rule.times or rule.met <= rule.skip + rule.times)

    def _call(self, rule: Rule, op: str, path: str) -> None:
        """Have the test do something, and wait until it has."""
        answer = threading.Event()
        with self._lock:
            self._tokens += 1
            token = self._tokens
            self._answers[token] = answer
        self.say(met=rule.id, path=path, pid=mfusepy.fuse_get_context()[2], token=token)
        answer.wait()

    def _hang(self, rule: Rule) -> None:
        while not rule.over.wait(_POLL):
            # As with network shares, who waits can be killed, unless they are told otherwise.
            if rule.do == "hang" and _fuse.fuse_interrupted():
                raise OSError(errno.EINTR, os.strerror(errno.EINTR))


class Shown(mfusepy.Operations):
    """A folder as it is shown."""

    use_ns = True

    def __init__(
        self, folder: str, desk: Desk, unit: int, behind: int, nfd: bool, times: str, folds_case: bool, padding: int
    ) -> None:
        self._folder = folder
        self._desk = desk
        self._unit = unit
        self._behind = behind
        self._nfd = nfd
        self._times = times
        self._folds_case = folds_case
        self._padding = padding
        self._looks = 0
        self._open: dict[int, str] = {}
        """Files that are open, and their names: those that were deleted come without."""

    def _step(self, op: str, path: str, act: Any) -> Any:
        """Do what is asked for, between what is to happen before and after it."""
        name = path.lstrip("/")
        self._desk.meet(op, name, "before")
        result = act(self._real(path))
        self._desk.meet(op, name, "after")
        return result

    def _real(self, path: str) -> str:
        """Where something lies."""
        if self._folds_case:
            path = self._as_it_is_there(path)
        return self._folder + (unicodedata.normalize("NFD", path) if self._nfd else path)

    def _as_it_is_there(self, path: str) -> str:
        """A path with the names that are there already, whatever their case."""
        found = ""
        for name in path.strip("/").split("/"):
            try:
                there = os.listdir(self._folder + found)
            except OSError:
                there = []
            found += "/" + next((other for other in there if other.casefold() == name.casefold()), name)
        return found if path != "/" else path

    def init(self, path: str) -> None:
        self._desk.say(ready=True)

    # -- names ----------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        if path is None:
            path = self._open[fh] if fh is not None else ""
        found = self._step("stat", path, lambda real: os.lstat(real) if fh is None else os.fstat(fh))
        names = [name for name in dir(found) if name.startswith("st_")]
        times = {name: self._time(getattr(found, f"{name}_ns")) for name in ("st_atime", "st_mtime", "st_ctime")}
        if stat.S_ISREG(found.st_mode) and self._times == "flapping":
            self._looks += 1
            times["st_mtime"] += self._looks * 1_000_000_000
        size = found.st_size + self._padding * stat.S_ISREG(found.st_mode)
        return {name: getattr(found, name) for name in names} | times | {"st_size": size}

    def _time(self, time_ns: int) -> int:
        time_ns -= self._behind
        return time_ns - time_ns % self._unit

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with self._step("listing", path, os.scandir) as entries:
            # Names without an inode are passed over by those who list.
            return [
                (entry.name, {"st_mode": entry.stat(follow_symlinks=False).st_mode, "st_ino": entry.inode()}, 0)
                for entry in entries
            ]

    def readlink(self, path: str) -> str:
        return self._step("readlink", path, os.readlink)

    def mkdir(self, path: str, mode: int) -> int:
        return self._step("mkdir", path, lambda real: os.mkdir(real, mode))

    def rmdir(self, path: str) -> int:
        return self._step("rmdir", path, os.rmdir)

    def unlink(self, path: str) -> int:
        return self._step("unlink", path, os.unlink)

    def rename(self, old: str, new: str) -> int:
        def rename(real: str) -> None:
            os.rename(self._real(old), real)
            if self._times == "set at rename":
                os.utime(real)

        return self._step("rename", new, rename)

    def symlink(self, target: str, source: str) -> int:
        return self._step("symlink", target, lambda real: os.symlink(source, real))

    def chmod(self, path: str, mode: int) -> int:
        return self._step("chmod", path, lambda real: os.chmod(real, mode))

    def chown(self, path: str, uid: int, gid: int) -> int:
        return self._step("chown", path, lambda real: os.chown(real, uid, gid, follow_symlinks=False))

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        return self._step("truncate", path, lambda real: os.truncate(real, length))

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if self._times == "refused":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if self._times == "dropped":
            return 0
        there = None if times is None else (times[0] + self._behind, times[1] + self._behind)
        return self._step("utimens", path, lambda real: os.utime(real, ns=there, follow_symlinks=False))

    def statfs(self, path: str) -> dict[str, int]:
        found = self._step("statfs", path, os.statvfs)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_")}

    # -- files ----------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        flags &= ~(os.O_CREAT | os.O_EXCL)
        return self._opened(path, self._step("open", path, lambda real: os.open(real, flags)))

    def create(self, path: str, mode: int, flags: int) -> int:  # type: ignore[override]
        flags |= os.O_CREAT
        return self._opened(path, self._step("create", path, lambda real: os.open(real, flags, stat.S_IMODE(mode))))

    def _opened(self, path: str, fh: int) -> int:
        self._open[fh] = path.lstrip("/")
        return fh

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        rule = self._desk.meet("read", self._open[fh], "before")
        if rule is not None and rule.do == "short":
            size = min(size, rule.size)
        data = os.pread(fh, size, offset)
        if rule is not None and rule.do == "flip" and offset <= rule.offset < offset + len(data):
            at = rule.offset - offset
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        self._desk.meet("read", self._open[fh], "after")
        return data

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        rule = self._desk.meet("write", self._open[fh], "before")
        if rule is not None and rule.do == "short":
            data = data[: rule.size]
        written = os.pwrite(fh, data, offset)
        self._desk.meet("write", self._open[fh], "after")
        return written

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        return self._step("fsync", self._open[fh], lambda real: os.fsync(fh))

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return self._step("fsyncdir", path, lambda real: None)

    def flush(self, path: str, fh: int) -> int:
        return self._step("close", self._open[fh], lambda real: None)

    def release(self, path: str, fh: int) -> int:
        del self._open[fh]
        os.close(fh)
        return 0


def main() -> None:
    """Show the folder until the test has had enough."""
    folder, place, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    cached, inodes, called = (options.pop(name) for name in ("cached", "inodes", "called"))
    desk = Desk()
    os.umask(0)

    def listen() -> None:
        try:
            desk.listen()
        finally:
            # Who still looks at it keeps it, but it is nowhere any more; with this process all that hangs ends.
            subprocess.run(["fusermount3", "-u", "-z", "-q", place], check=False)
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    mfusepy.FUSE(
        Shown(folder, desk, **options),
        place,
        foreground=True,
        fsname=called,
        # Each look, read and write of a program comes here: nothing is answered from a cache, if nothing else is said.
        attr_timeout=cached,
        entry_timeout=cached,
        negative_timeout=0,
        direct_io=True,
        use_ino=inodes,
        hard_remove=True,
    )


if __name__ == "__main__":
    main()
