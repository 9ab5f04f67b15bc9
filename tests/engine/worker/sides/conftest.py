"""A destination of each kind, with a source: what every side must do is tested with all of them."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine import native_library
from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.copy_outcome import CopyResult
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.numbered_folders import ALL_BELOW
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.worker.sides.destination_side import DestinationSide, WorkerControl
from softcopy_napari.engine.worker.sides.local_side import LocalSide
from softcopy_napari.engine.worker.sides.store_side import StoreSide
from softcopy_napari.engine.worker.tasks import CompareTask, CopyTask, Setup, VerifyDone, VerifyTask
from tests.engine.support import tree
from tests.support.object_stores import ObjectStore


class Sides:
    """A source and one kind of destination, driven as a copy worker does.

    Attributes
    ----------
    source : Path
    stopping : bool
        What the worker is told when it asks whether to stop.
    on_block : callable
        Called for each block of a large file.
    """

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.stopping = False
        self.on_block: Callable[[int], None] = lambda size: None
        self.control = WorkerControl(
            lambda: self.stopping, lambda size: self.on_block(size), lambda size: not self.stopping, lambda: False
        )
        self.runs = 0
        self._root = RootFolder(str(self.source))

    def make_side(self, setup: Setup, root: RootFolder) -> DestinationSide:
        raise NotImplementedError

    def setup(self, run: str, **settings: Any) -> Setup:
        raise NotImplementedError

    def start(self, **settings: object) -> DestinationSide:
        """Make the side anew, as a worker that has just been started."""
        self.runs += 1
        self.side = self.make_side(self.setup(f"run{self.runs}", **settings), self._root)
        return self.side

    # what lies at the destination, seen by others
    def files(self) -> dict[str, bytes]:
        raise NotImplementedError

    def change(self, path: str, content: bytes) -> None:
        """Write a file there as somebody else would."""
        raise NotImplementedError

    def take_away(self) -> None:
        """Make the destination vanish."""
        raise NotImplementedError

    # what a worker does
    def reach(self, claim: bool = True) -> DestinationProblem | None:
        try:
            return self.side.open(claim=claim)
        finally:
            self.side.close()

    def copy(
        self, *paths: str, rules: PublishRules | None = None, gone: Sequence[str] = (), unsettled: Sequence[str] = ()
    ) -> list[CopyResult]:
        self._root.open()
        problem = self.side.open(to_write=True)
        assert problem is None, problem
        try:
            task = CopyTask(1, list(paths), frozenset(gone), None, rules or PublishRules(), frozenset(unsettled))
            return list(self.side.copy_files(task, True))
        finally:
            self._root.close()
            self.side.close()

    def walk(self) -> dict[str, FolderDiff]:
        """Compare everything, as a walk over all folders does; returns the parts of each folder as one."""
        for listed in self.side.list_everything():
            assert listed.obstacle is None, listed.obstacle
        found: dict[str, FolderDiff] = {}
        waiting = [""]
        while waiting:
            folders, waiting = waiting, []
            for part in self.side.compare_folders(CompareTask(1, [(one, ALL_BELOW) for one in folders], 0.0)):
                parts = part.split() if isinstance(part, FolderBatch) else [part]
                for one in parts:
                    assert one.obstacle is None and not one.error
                    known = found.setdefault(one.folder, one)
                    if known is not one:
                        known.same += one.same
                        known.different += one.different
                        known.extra += one.extra
                    if not isinstance(part, FolderBatch):
                        waiting += [f"{one.folder}/{name}" if one.folder else name for name in one.folders]
        return found

    def verify(self, *paths: str, digests: Sequence[bytes] = (), against_source: bool = False) -> VerifyDone:
        self._root.open()
        assert self.side.open() is None
        try:
            known = b"".join(digests) or bytes(16 * len(paths))
            return self.side.read_back(VerifyTask(1, list(paths), known, against_source))
        finally:
            self._root.close()
            self.side.close()

    def write(self, path: str, content: bytes) -> Path:
        """Write a file of the source, settled long ago."""
        there = self.source / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(content)
        os.utime(there, (1e9 + len(content), 1e9 + len(content)))
        return there


class LocalSides(Sides):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.destination = folder / "destination"

    def setup(self, run: str, **settings: Any) -> Setup:
        setup = Setup(str(self.source), str(self.destination), run, f".softcopy-{run}-1.tmp", 0.0)
        return setup._replace(marker=f".softcopy-{run}-here.tmp", **settings)

    def make_side(self, setup: Setup, root: RootFolder) -> DestinationSide:
        return LocalSide(setup, root, self.control)

    def files(self) -> dict[str, bytes]:
        return {
            path: content for path, content in tree(self.destination).items() if not path.endswith(("-here.tmp", "/"))
        }

    def change(self, path: str, content: bytes) -> None:
        (self.destination / path).write_bytes(content)

    def take_away(self) -> None:
        shutil.rmtree(self.destination)


class StoreSides(Sides):
    def __init__(self, folder: Path, store: ObjectStore) -> None:
        super().__init__(folder)
        self.store, self.manifest = store, folder / "state" / "manifest.sqlite"
        self.endpoint = ""

    def setup(self, run: str, **settings: Any) -> Setup:
        url = self.store.url("lab/copy.zarr", self.endpoint)
        return Setup(str(self.source), url, run, "", 0.0, manifest=str(self.manifest))._replace(**settings)

    def make_side(self, setup: Setup, root: RootFolder) -> DestinationSide:
        return StoreSide(setup, root, self.control)

    def files(self) -> dict[str, bytes]:
        return self.store.objects("lab/copy.zarr")

    def change(self, path: str, content: bytes) -> None:
        self.store.write(f"lab/copy.zarr/{path}", content)

    def take_away(self) -> None:
        client = self.store.client()
        for key in self.store.keys(""):
            client.delete_object(Bucket=self.store.bucket, Key=key)
        client.delete_bucket(Bucket=self.store.bucket)


@pytest.fixture(scope="session", params=["local with the library", "local in Python", "rclone", "moto"])
def side_kind(request: pytest.FixtureRequest) -> str | ObjectStore:
    """Give the name of each kind of local side, and each server, in turn."""
    name: str = request.param
    return name if name.startswith("local") else request.getfixturevalue(f"{name}_store")


@pytest.fixture
def sides(
    side_kind: str | ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_keys: None
) -> Iterator[Sides]:
    """Give a source and each kind of destination in turn."""
    if isinstance(side_kind, ObjectStore):
        side_kind.make_bucket()
        yield from started(StoreSides(tmp_path, side_kind))
        return
    if side_kind == "local in Python":
        monkeypatch.setattr(native_library, "LIBRARY", native_library.LIBRARY + ".nothing")
    yield from started(LocalSides(tmp_path))


def started(sides: Any) -> Iterator[Any]:
    """Start a side, and end what it has running afterwards."""
    sides.start()
    assert sides.reach() is None
    yield sides
    del sides.side
    gc.collect()  # ends the threads of its requests


@pytest.fixture
def store_sides(tmp_path: Path, object_store: ObjectStore) -> Iterator[StoreSides]:
    """Give a source and an object store, on each server in turn."""
    yield from started(StoreSides(tmp_path, object_store))
