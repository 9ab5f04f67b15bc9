"""A process that frees, undoes and deletes in children of its own, and kills them at a chosen step.

Its children are forked from a process that has everything imported and no threads, so that each takes milliseconds. A
step is a call that changes something on a disk; the child is killed before it, a write is done by half.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

_REPO = Path(__file__).parents[2]
KILLED = -signal.SIGKILL if os.name == "posix" else -9
REFUSED = 3


class FreeProcess:
    """The process; a context manager that ends it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.free_process"],
            cwd=_REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(self, do: str, source: Path, destination: Path, kill: int = 0, **options: Any) -> int:
        """Have something done, `free`, `undo` or `expire`, and be killed before a step; 0 for never.

        Returns
        -------
        int
            0 if it was done, REFUSED if not, KILLED if it was killed.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"do": do, "source": str(source), "destination": str(destination), "kill": kill, "options": options}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in (0, REFUSED, KILLED), f"{do} ended with {code}"
        return code


_CHANGING = ("rename", "replace", "unlink", "mkdir", "rmdir", "write", "fsync", "utime", "open")


def _kill_at(step: int) -> None:
    """Have this process killed before a step."""
    from softcopy_napari.engine.fs import moving

    count = 0

    def counted(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def step_or_die(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            flags = arguments[1] if name == "open" and len(arguments) > 1 else os.O_CREAT
            if flags & os.O_CREAT:
                count += 1
                if count == step:
                    if name == "write":
                        call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **more)

        return step_or_die

    rename = moving._renameat2()
    if rename is not None:
        counted_rename = counted(rename, "renameat2")
        moving._renameat2 = lambda: counted_rename  # type: ignore[assignment]
    for name in _CHANGING:
        setattr(os, name, counted(getattr(os, name), name))


def _do(order: dict[str, Any]) -> int:
    from softcopy_napari.engine.freeing.expiry import delete_expired
    from softcopy_napari.engine.freeing.free_rules import FreeOptions
    from softcopy_napari.engine.freeing.free_source import FreeJob
    from softcopy_napari.engine.freeing.refusal import FreeRefused
    from softcopy_napari.engine.freeing.undo import undo_free
    from softcopy_napari.engine.receipt.freed_record import grace_folder_of

    if order["kill"]:
        _kill_at(order["kill"])
    source = Path(order["source"])
    try:
        match order["do"]:
            case "free":
                FreeJob(source, Path(order["destination"]), FreeOptions(**order["options"])).run()
            case "undo":
                undo_free(source)
            case "expire":
                delete_expired(grace_folder_of(source))
    except FreeRefused as error:
        if os.environ.get("FREE_PROCESS_TELLS"):
            print(error, file=sys.stderr)
        return REFUSED
    return 0


def main() -> None:
    """Do what is asked for on the standard input, a line each."""
    import numpy  # noqa: F401

    from softcopy_napari.engine.freeing import expiry, free_source, source_scan, undo  # noqa: F401

    source_scan.QUIET = 0.0
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 70
            try:
                code = _do(json.loads(line))
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
