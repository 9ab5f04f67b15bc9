"""A folder of any files by the command: copied while it is written, checked, and proved by its receipt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.engine.support import until
from tests.support.command import Softcopy, softcopy
from tests.support.trees import assert_same

WRITER = """
import json, sys, time
from pathlib import Path

root, planes = Path(sys.argv[1]), int(sys.argv[2])
root.mkdir()
manifest = open(root / "transfer_manifest.jsonl", "a", buffering=1)

def say(**event):
    manifest.write(json.dumps({**event, "ts": time.time()}) + "\\n")

say(event="start", schema=1, experiment_id="made up", format="OME_TIFF", nt=2)
for t in range(2):
    folder = root / f"{t:05}"
    folder.mkdir()
    for fov in range(3):
        path = folder / f"A1_{fov}.ome.tiff"
        for plane in range(planes):  # as a writer does that keeps no file open
            with open(path, "ab") as file:
                file.write(bytes([plane]) * 50_000)
            time.sleep(0.01)
        say(event="complete", path=f"{t:05}/{path.name}", kind="file", bytes=50_000 * planes, t=t, region="A1", fov=fov)
    say(event="timepoint_done", t=t)
(root / "coordinates.csv").write_text("region,x,y\\n")
say(event="end", reason="completed")
"""
"""A run as such software writes it, with its list of finished files."""


def test_a_run_with_its_own_list_is_copied_live_checked_and_proved(tmp_path: Path) -> None:
    source, destination = tmp_path / "run", tmp_path / "copy"
    halves: set[int] = set()
    with Softcopy("--kind", "folder", "--nprocs", "2", source, destination) as copy:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(source), "10"])

        def watch() -> bool:
            halves.update(path.stat().st_size for path in destination.rglob("*.tiff"))
            return copy.process.poll() is not None

        try:
            assert until(watch, 60) and writer.wait(10) == 0
        finally:
            writer.kill()
            writer.wait()
        assert copy.wait() == 0, copy.output
    assert halves == {500_000}, "a file was copied before it was listed"
    assert "8 files are at the destination" in copy.output
    assert "transfer_manifest.jsonl says that the acquisition is over" in copy.output
    assert "chunk" not in copy.output
    assert_same(source, destination)
    assert softcopy("check", "--kind", "folder", source, destination).returncode == 0
    assert softcopy("verify", destination).returncode == 0
    receipt = json.loads((tmp_path / "copy.receipt.json").read_text())
    assert receipt["files"] == 8
    (destination / "00001" / "A1_2.ome.tiff").write_bytes(b"spoiled")
    assert softcopy("check", "--kind", "folder", source, destination).returncode == 1
    assert "A1_2.ome.tiff" in softcopy("verify", destination).stdout


def test_what_was_refused_before_says_how_it_is_copied(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.tif").write_bytes(b"II*")
    refused = softcopy("--no-wait", tmp_path / "run", tmp_path / "copy")
    assert refused.returncode == 2 and "use --kind folder (kind: folder)" in refused.stderr
    (tmp_path / "targets.yaml").write_text(
        "targets:\n  - {source: run, destination: copy, kind: folder, marker: end.txt}\n"
    )
    (tmp_path / "run" / "end.txt").write_bytes(b"")
    assert softcopy(tmp_path / "targets.yaml").returncode == 0
    assert_same(tmp_path / "run", tmp_path / "copy")
