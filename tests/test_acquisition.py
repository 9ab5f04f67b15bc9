"""Following acquisition software: its data are copied from the start of each acquisition to its end.

The tests with pymmcore-plus' demo camera and ome-writers need the dependency group `acquisition`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psygnal
import pytest

from softcopy_napari import Following, TargetState, follow
from softcopy_napari.acquisition import find_output
from tests.engine.support import until
from tests.support.trees import assert_same


class Events(psygnal.SignalGroup):
    """The signals of a runner that are listened to."""

    sequenceStarted = psygnal.Signal(object, object)
    sequenceFinished = psygnal.Signal(object)


class Runner:
    """What is used of a runner, for what a real one cannot be made to do."""

    def __init__(self, *handlers: object) -> None:
        self.events = Events()
        self._handlers = handlers

    def run(self, sequence: object = None) -> None:
        self.events.sequenceStarted.emit(sequence, {})
        self.events.sequenceFinished.emit(sequence)


class Handler:
    """An older handler of pymmcore-plus, which says where it writes in its own way."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


@pytest.fixture
def followed() -> Iterator[list[Following]]:
    """Stop following, and end the copies, however a test ends."""
    found: list[Following] = []
    yield found
    for following in found:
        following.stop()
        following.wait(30)
        for copy in following.copies:
            copy.stop()


@pytest.fixture(scope="module")
def core() -> Any:
    """Micro-Manager with its demo camera."""
    pytest.importorskip("pymmcore_plus")
    adapters = pytest.importorskip("mm_test_adapters")
    from pymmcore_plus import CMMCorePlus

    logging.getLogger("pymmcore-plus").setLevel(logging.CRITICAL)
    core = CMMCorePlus()
    folder = adapters.device_adapter_path()
    core.setDeviceAdapterSearchPaths([folder])
    core.loadSystemConfiguration(os.path.join(folder, "MMConfig_demo.cfg"))
    core.setExposure(1)
    return core


def sequence(**settings: Any) -> Any:
    import useq

    return useq.MDASequence(time_plan={"interval": 0, "loops": 4}, **settings)


def test_each_sequence_of_the_demo_camera_is_copied_to_its_end(
    core: Any, followed: list[Following], tmp_path: Path
) -> None:
    following = follow(core, f"{tmp_path}/nas/{{name}}")
    followed.append(following)
    core.mda.run(sequence(), output=tmp_path / "embryo.ome.zarr")
    core.mda.run(sequence(stage_positions=[(0, 0, 0), (1, 1, 0)]), output=tmp_path / "plate.ome.tiff")
    zarr, tiff = following.wait(30)
    assert zarr.state is tiff.state is TargetState.COMPLETE
    assert zarr.chunk_files_copied == 4 and tiff.any_files and tiff.other_files == 2
    for name in ("embryo.ome.zarr", "plate"):
        assert_same(tmp_path / name, tmp_path / "nas" / name)


def test_a_cancelled_sequence_is_over_too(core: Any, followed: list[Following], tmp_path: Path) -> None:
    following = follow(core, f"{tmp_path}/nas/{{name}}")
    followed.append(following)
    core.mda.events.frameReady.connect(core.mda.cancel)
    try:
        core.mda.run(sequence(), output=tmp_path / "cut.ome.zarr")
    finally:
        core.mda.events.frameReady.disconnect(core.mda.cancel)
    (told,) = following.wait(30)
    assert told.state is TargetState.COMPLETE and told.chunk_files_copied == 1
    assert_same(tmp_path / "cut.ome.zarr", tmp_path / "nas" / "cut.ome.zarr")


def test_a_single_tiff_is_told_how_it_can_be_copied(
    core: Any, followed: list[Following], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed += [follow(core, f"{tmp_path}/nas/{{name}}")]
    core.mda.run(sequence(), output=tmp_path / "one.ome.tiff")
    assert "one.ome.tiff is a single file" in caplog.text and not followed[0].copies
    followed[0].stop()
    (tmp_path / "run").mkdir()
    followed += [follow(core, f"{tmp_path}/nas/{{name}}", source=tmp_path / "run")]
    core.mda.run(sequence(), output=tmp_path / "run" / "one.ome.tiff")
    assert [told.state for told in followed[1].wait(30)] == [TargetState.COMPLETE]
    assert_same(tmp_path / "run", tmp_path / "nas" / "run")


def test_a_stream_of_ome_writers_is_copied_until_it_is_closed(followed: list[Following], tmp_path: Path) -> None:
    writers = pytest.importorskip("ome_writers")
    sizes = (("t", 5), ("y", 32), ("x", 32))
    settings = writers.AcquisitionSettings(
        root_path=str(tmp_path / "s.ome.zarr"),
        dimensions=[writers.Dimension(name=name, count=count, chunk_size=1 if name == "t" else count)
                    for name, count in sizes],
        dtype="uint16",
    )  # fmt: skip
    with writers.create_stream(settings) as stream:
        followed.append(follow(stream, tmp_path / "copy.ome.zarr", settle=1000.0))
        for number in range(5):
            stream.append(np.full((32, 32), number, np.uint16))
    source, destination = tmp_path / "s.ome.zarr", tmp_path / "copy.ome.zarr"
    assert until(lambda: followed[0].copies)
    (told,) = followed[0].wait(30)
    assert told.state is TargetState.COMPLETE
    assert_same(source, destination)


def test_a_program_that_ends_when_its_stream_is_closed_has_told_its_copy(tmp_path: Path) -> None:
    code = """
import sys
from softcopy_napari import follow
class Stream:
    closed = False
    def append(self, frame): ...
stream = Stream()
following = follow(stream, sys.argv[2], source=sys.argv[1])
stream.closed = True
"""
    source = tmp_path / "run"
    source.mkdir()
    (source / "a.tif").write_bytes(b"data")
    sides = str(source), str(tmp_path / "copy")
    done = subprocess.run([sys.executable, "-c", code, *sides], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr
    from softcopy_napari.engine.client import engines

    for engine in engines():
        if any(target.destination == sides[1] for target in engine.snapshot().targets):
            from softcopy_napari.engine.client import Copy

            copy = Copy(engine, "1")
            assert copy.wait(30).state is TargetState.COMPLETE
            copy.stop()
            return
    raise AssertionError("no engine copies it")


# -- what a real runner cannot be made to do -----------------------------------------------------------------


def test_the_folder_can_be_told_and_each_sequence_have_its_own(followed: list[Following], tmp_path: Path) -> None:
    runner = Runner()
    followed.append(follow(runner, f"{tmp_path}/nas/{{name}}", source=lambda number: tmp_path / f"run{number}"))
    for number in range(2):
        (tmp_path / f"run{number}").mkdir()
        (tmp_path / f"run{number}" / "a.tif").write_bytes(b"data")
        runner.run(number)
    assert [told.state for told in followed[0].wait(30)] == [TargetState.COMPLETE] * 2
    assert (tmp_path / "nas" / "run1" / "a.tif").read_bytes() == b"data"


def test_nothing_is_raised_in_an_acquisition(
    followed: list[Following], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = Runner()
    broken = follow(runner, tmp_path / "a", source=lambda _: 1 / 0)
    unknown = follow(runner, tmp_path / "b")
    wrong = follow(runner, tmp_path / "c", source=tmp_path / "x", no_such_setting=1)
    inside = follow(runner, tmp_path / "x" / "c", source=tmp_path / "x")
    followed += [broken, unknown, wrong, inside]
    runner.run()
    assert not any(following.wait(30) for following in followed)
    for words in ("could not be found out", "not known where", "there is no setting no_such_setting", "lies inside"):
        assert words in caplog.text


def test_after_stop_nothing_more_is_copied(tmp_path: Path) -> None:
    runner = Runner()
    with follow(runner, tmp_path / "copy", source=tmp_path / "run") as following:
        pass
    runner.run()
    assert not following.wait(30)


@pytest.mark.parametrize(
    ("handler", "path"),
    [
        (Handler(_directory=Path("/data/images")), "/data/images"),
        (Handler(_filename="/data/run.ome.tif"), "/data/run.ome.tif"),
        (Handler(kvstore="file:///data/run.zarr"), "/data/run.zarr"),
        (Handler(kvstore={"driver": "file", "path": "/data/run.zarr"}), "/data/run.zarr"),
        (Handler(kvstore="memory://"), None),
        (Handler(group=Handler(store=Handler(root="/data/run.zarr"))), "/data/run.zarr"),
        (Handler(path="/data/own"), "/data/own"),
        (Handler(), None),
    ],
)
def test_older_handlers_tell_where_they_write(handler: Handler, path: str | None) -> None:
    assert find_output(Runner(handler)) == path


def test_what_cannot_be_followed_is_a_mistake_in_words() -> None:
    with pytest.raises(TypeError, match="list cannot be followed"):
        follow([], "/nas/{name}")


def test_nothing_of_acquisition_software_is_imported() -> None:
    code = (
        "import sys, softcopy_napari.acquisition; sys.exit(bool({'pymmcore_plus', 'ome_writers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
