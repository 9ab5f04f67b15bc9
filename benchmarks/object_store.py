"""Datasets that go into an object store: `softcopy` beside `rclone copy`, into the same server, in turns.

    python benchmarks/object_store.py [--files N] [--large N] [--live SECONDS] [--nprocs N] [--rounds N] [--folder PATH]

The server is `rclone serve s3`, a process of its own on this computer. Times are those of whole processes, and of the
processors for client and server. softcopy hashes in flight, sends a SHA-256 with each request, lists both sides at the
end and stores a receipt; then it is started once more, to find that nothing is left to do ("again").

Live: a writer renames chunk files into place at a steady rate. A chunk file came at its change time, on both sides.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from common import COMMAND, age, environment, percentile, warm_up, workplace, write_zarray

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.object_stores import KEY, SECRET, rclone_server, store_environment

SMALL, LARGE = 16 << 10, 256 << 20
IN_A_FOLDER = 128
LIVE_RATE = 100
"""Chunk files a second."""


def make_dataset(path: Path, files: int, size: int) -> None:
    """Write an array of so many chunk files, settled long ago, and the file that says that it is complete."""
    columns = min(IN_A_FOLDER, files)
    rows = -(-files // columns)
    write_zarray(path, [rows, columns * size], [1, size], "/")
    block = os.urandom(min(size, 1 << 20))
    for number in range(rows * columns):
        file = path / str(number // columns) / str(number % columns)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((number.to_bytes(8, "little") + block[8:]) * (size // len(block)))
    (path / "complete").touch()
    age(path)


def run(command: list[str], variables: Mapping[str, str], server: psutil.Process) -> tuple[float, float, float]:
    """Return the seconds that a command took, and those of processors: its own, and the server's."""
    began, used, served = time.perf_counter(), sum(os.times()[2:4]), sum(server.cpu_times()[:2])
    done = subprocess.run(command, env=dict(variables), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return took, sum(os.times()[2:4]) - used, sum(server.cpu_times()[:2]) - served


def measure(name: str, source: Path, folder: Path, nprocs: int, rounds: int) -> None:
    """Let both copy a dataset in turns, and print what they took, and the ratios."""
    variables = {**environment(folder / "state"), **store_environment()}
    remote = {
        **variables,
        "RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_T_TYPE": "s3", "RCLONE_CONFIG_T_PROVIDER": "Rclone",
        "RCLONE_CONFIG_T_ACCESS_KEY_ID": KEY, "RCLONE_CONFIG_T_SECRET_ACCESS_KEY": SECRET,
        "RCLONE_CONFIG_T_FORCE_PATH_STYLE": "true",
    }  # fmt: skip
    rclone = [str(Path(sys.executable).with_name("rclone")), "copy", "--transfers", "16", "--checkers", "16"]
    found: dict[str, list[tuple[float, float, float]]] = {"rclone": [], "softcopy": [], "again": []}
    for number in range(rounds):
        served = folder / f"served-{number}"
        served.mkdir()
        with rclone_server(served) as store:
            (server,) = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("rclone")]
            store.make_bucket()
            remote["RCLONE_CONFIG_T_ENDPOINT"] = store.endpoint
            mine = [sys.executable, "-m", "softcopy_napari", "copy", str(source), store.url("mine.zarr")]
            mine += ["--nprocs", str(nprocs)]
            steps = [
                ("rclone", [*rclone, str(source), f"t:{store.bucket}/rclone.zarr"], remote),
                ("softcopy", mine, variables),
            ]
            for who, command, given in steps[:: 1 if number % 2 else -1]:
                found[who].append(run(command, given, server))
            found["again"].append(run(mine, variables, server))
        subprocess.run(["rm", "-r", str(served)], check=True)
    middle = {who: [statistics.median(column) for column in zip(*rows, strict=True)] for who, rows in found.items()}
    for who, (seconds, own, of_server) in middle.items():
        print(f"{name:18} {who:9} {seconds:8.2f} s   processors: {own:7.2f} s, server's {of_server:7.2f} s")
    ratios = [mine / theirs for mine, theirs in zip(middle["softcopy"], middle["rclone"], strict=True)]
    print(f"{name:18} ratio     {ratios[0]:8.2f}     processors: {ratios[1]:7.2f},   server's {ratios[2]:7.2f}")


def measure_live(folder: Path, nprocs: int, seconds: int) -> None:
    """Copy while a writer writes, and print how late chunk files come."""
    source, served, count = folder / "live.zarr", folder / "served-live", seconds * LIVE_RATE
    write_zarray(source, [-(-count // IN_A_FOLDER), IN_A_FOLDER * SMALL], [1, SMALL], "/")
    served.mkdir()
    block = os.urandom(SMALL)
    with rclone_server(served) as store:
        store.make_bucket()
        variables = {**environment(folder / "state"), **store_environment()}
        command = [*COMMAND, "copy", str(source), store.url("live.zarr"), "--nprocs", str(nprocs)]
        copy = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        place = served / store.bucket / "live.zarr"
        while not (place / ".zarray").exists():
            if copy.poll() is not None:
                sys.exit("softcopy ended")
            time.sleep(0.05)
        began = time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, began + number / LIVE_RATE - time.perf_counter()))
            file = source / str(number // IN_A_FOLDER) / str(number % IN_A_FOLDER)
            file.parent.mkdir(exist_ok=True)
            temporary = file.with_name(f"{file.name}.__lock")
            with open(temporary, "wb") as opened:  # as tensorstore does
                opened.write(block)
                opened.flush()
                temporary.rename(file)
        (source / "complete").touch()
        if copy.wait(300):
            sys.exit("softcopy failed")
        files = [file for file in source.rglob("*") if file.is_file() and file.name.isdecimal()]
        lags = [(place / file.relative_to(source)).stat().st_ctime - file.stat().st_ctime for file in files]
    told = ", ".join(f"p{share} {percentile(lags, share) * 1000:.0f} ms" for share in (50, 99))
    print(f"live, {LIVE_RATE} a second   {len(lags):,} chunk files: {told}, longest {max(lags) * 1000:.0f} ms")


def main() -> None:
    """Measure both datasets, and a live copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="small chunk files")
    parser.add_argument("--large", type=int, default=16, help="shards")
    parser.add_argument("--live", type=int, default=30, help="seconds that a writer writes")
    parser.add_argument("--nprocs", type=int, default=4, help="copy processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to work; a RAM disk measures the programs alone")
    options = parser.parse_args()
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        for name, files, size in (("16 KiB", options.files, SMALL), ("256 MiB", options.large, LARGE)):
            if files:
                source = folder / f"source-{size}" / "a.zarr"
                make_dataset(source, files, size)
                measure(f"{files:,} x {name}", source, folder, options.nprocs, options.rounds)
        if options.live:
            measure_live(folder, options.nprocs, options.live)


if __name__ == "__main__":
    main()
