"""From the microscope to results: copies an acquisition while it is written, works on each time point as soon as it is
verified, and frees the microscope's disk at the end.

    python examples/work_while_it_grows.py FOLDER

FOLDER stands for two disks: the microscope's, and one that a cluster sees. The microscope is simulated, by a process of
its own. The work (here: the brightest and the mean value of each channel) is done by a job for each time point, which
sees nothing but the copy. Where a cluster's scheduler runs the jobs, it takes the place of the pool: `Client(...)` of
dask.distributed has the same `submit`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from softcopy_napari import FreeRefused, TargetState, free, start

QUIET = 60.0
"""Seconds for which nothing must have changed before a source is freed."""


def measure(copy: Path, t: int) -> dict[str, object]:
    """Work on a time point of the copy; called in a process of its own."""
    import zarr

    channels = zarr.open_array(f"{copy}/0", mode="r")[t]
    return {"t": t, "brightest": [int(one.max()) for one in channels], "mean": [float(one.mean()) for one in channels]}


def run_job(copy: Path, t: int) -> dict[str, object]:
    """Run the job for a time point, and return its result."""
    job = subprocess.run([sys.executable, __file__, str(copy), "--job", str(t)], check=True, stdout=subprocess.PIPE)
    found: dict[str, object] = json.loads(job.stdout)
    return found


def work_while_it_grows(source: Path, destination: Path, frames: int) -> list[dict[str, object]]:
    """Copy an acquisition while it is written, and work on each time point as soon as it has been read back."""
    copy = start(source, destination, verify="checksum", linger=0)
    with ThreadPoolExecutor(2) as pool:
        jobs = []
        for t in range(frames):
            if not copy.wait_for(t=t, array="0", verified=True):
                sys.exit(f"time point {t} did not come: {copy.snapshot().reason}")
            print(f"time point {t} is at the destination, and verified", flush=True)
            jobs.append(pool.submit(run_job, destination, t))
        results = [job.result() for job in jobs]
    end = copy.wait()
    if end.state is not TargetState.COMPLETE:
        sys.exit(f"not complete: {end.reason}")
    return results


def free_source(source: Path, destination: Path) -> None:
    """Move what was copied out of the way, once nothing has changed for a minute; it is kept for a week."""
    deadline = time.monotonic() + 2 * QUIET
    while True:
        try:
            plan = free(source, destination, keep_days=7)
            break
        except FreeRefused as reason:
            if time.monotonic() > deadline:
                sys.exit(f"the source is kept: {reason}")
            print(f"not yet: {reason}", flush=True)
            time.sleep(5.0)
    print(f"{plan.files} files moved to {plan.grace}, to be deleted by `softcopy free --expired` in a week")


def main(arguments: list[str] | None = None) -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--job", type=int, metavar="T", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job is not None:
        print(json.dumps(measure(options.folder, options.job)))
        return
    source = options.folder.resolve() / "microscope" / "embryo.zarr"
    destination = options.folder.resolve() / "cluster" / "embryo.zarr"
    source.parent.mkdir(parents=True)
    simulated = "softcopy_napari.simulation.microscope"
    microscope = subprocess.Popen([sys.executable, "-m", simulated, str(source), "--frames", str(options.frames)])
    try:
        results = work_while_it_grows(source, destination, options.frames)
    finally:
        microscope.terminate()
        microscope.wait()
    (destination.parent / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    free_source(source, destination)


if __name__ == "__main__":
    main()
