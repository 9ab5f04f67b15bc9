"""A Dask cluster as an administrator starts it: a scheduler and workers, each a command of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

from tests.support.command import until

_START = 180.0
"""Seconds that a process has to import Dask, on a machine with much else to do."""


class DaskCluster:
    """A context manager that starts a scheduler, and ends it with its workers.

    Parameters
    ----------
    folder : Path
        For the scheduler file and what the processes leave.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scheduler_file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = open(folder / "dask.log", "ab")  # noqa: SIM115
        self._started = 0
        self._scheduler = self._run(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.scheduler_file)
        )

    def __enter__(self) -> Self:
        until(lambda: self.scheduler_file.exists() and self.scheduler_file.read_text().endswith("}"), _START)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self._scheduler):
            for one in [*_below(process.pid), process]:
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    one.kill()
            process.wait()
        self._log.close()

    @property
    def address(self) -> str:
        """Where the scheduler can be reached."""
        return str(json.loads(self.scheduler_file.read_text())["address"])

    def add_worker(self, threads: int = 1, before: str = "") -> subprocess.Popen[bytes]:
        """Start a worker; `before` is run by a shell of its own mount namespace first."""
        self._started += 1
        worker = self._run(
            *("worker", "--scheduler-file", str(self.scheduler_file), "--nthreads", str(threads), "--no-nanny"),
            *("--name", f"worker-{self._started}", "--local-directory", str(self._folder)),
            before=before,
        )
        self.workers.append(worker)
        return worker

    def wait(self) -> None:
        """Wait until all workers have come to the scheduler."""
        until(lambda: len(self._come()) >= self._started, _START)

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """End a worker as a system that is out of memory does."""
        worker.kill()
        worker.wait()
        self.workers.remove(worker)

    def _come(self) -> set[str]:
        log = (self._folder / "dask.log").read_text(errors="replace")
        return {line.split("name: ")[1].split(",")[0] for line in log.splitlines() if "Register worker" in line}

    def _run(self, *arguments: str, before: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], "--no-dashboard"]
        if before:
            command = ["unshare", "--mount", "sh", "-c", f"{before} && exec {shlex.join(command)}"]
        # Its own settings, not those that tests of the acquisition would have.
        settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONWARNINGS")}
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, env=settings)


class AdaptiveCluster:
    """A context manager: Dask's own LocalCluster of processes, in a process of its own, with none to begin with.

    Parameters
    ----------
    folder : Path
        For what the processes leave.
    most : int
        Workers that it grows to at most.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._log = open(folder / "adaptive.log", "ab")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ADAPTIVE, str(folder), str(most)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._asks, self._said = self._process.stdin, self._process.stdout
        self.address = ""

    def __enter__(self) -> Self:
        self.address = self._said.readline().strip()
        return self

    def size(self) -> int:
        """Ask how many workers it has now."""
        print(file=self._asks, flush=True)
        return int(self._said.readline())

    def __exit__(self, *_: object) -> None:
        self._asks.close()
        try:
            self._process.wait(_START)
        finally:
            for one in (*_below(self._process.pid), self._process):
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    one.kill()
            self._process.wait()
            self._said.close()
            self._log.close()


_ADAPTIVE = """
import sys
if __name__ == "__main__":
    from distributed import LocalCluster
    folder, most = sys.argv[1:]
    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=folder
    ) as cluster:
        cluster.adapt(minimum=0, maximum=int(most), interval="500ms", wait_count=4)
        print(cluster.scheduler_address, flush=True)
        for _ in sys.stdin:
            print(len(cluster.scheduler.workers), flush=True)
"""


def _below(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []
