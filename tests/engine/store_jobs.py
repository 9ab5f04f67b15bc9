"""Runs jobs that copy into a place in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.job.copy_job import CopyJob
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.targets.target import Settings, Target
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, tree, until
from tests.support.object_stores import ObjectStore

NAME = "lab/copy.zarr"


class StoreJobs(Jobs):
    """Runs a job over one source and a place in a store."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        super().__init__(folder)
        self.store, self.endpoint = store, ""
        self.number = 0

    @property
    def url(self) -> StoreUrl:
        return StoreUrl.parse(self.store.url(NAME, self.endpoint))

    def start(self, **settings: Any) -> CopyJob:
        known = {"nprocs": 2, "settle": 0.5, "finish_idle": 0.5, **settings}
        target = Target(source=self.source, destination=self.url, **Settings(**known).model_dump())
        self.number += 1
        resources = TargetResources(target, DestinationLock(target.destination))
        self.job = CopyJob(resources, "1", ledger_folder() / str(self.number))
        self.job.start()
        return self.job

    def complete(self, **settings: Any) -> None:
        """Copy to the end."""
        self.start(**settings)
        end = self.ends(60.0)
        assert end.state is TargetState.COMPLETE, str(end.reason)

    def objects(self) -> dict[str, bytes]:
        return self.store.objects(NAME)

    def source_files(self) -> dict[str, bytes]:
        return {path: content for path, content in tree(self.source).items() if not path.endswith("/")}

    def equal(self) -> bool:
        return bool(until(lambda: self.source_files() == self.objects(), 60.0))


def jobs_over(grid: tuple[int, ...]) -> Any:
    """Return a fixture that gives a source with an array of a grid, and a place in a store, on each server in turn."""

    @pytest.fixture
    def jobs(tmp_path: Path, object_store: ObjectStore) -> Iterator[StoreJobs]:
        found = StoreJobs(tmp_path, object_store)
        make_array(found.source, grid)
        yield found
        found.stop()

    return jobs
