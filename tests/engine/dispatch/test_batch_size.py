"""Tasks must be short enough to stop soon, and long enough that a slow share is asked for many files at a time."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.dispatch.batch_size import BatchSize


def after(tasks: int, seconds_a_file: float, at_a_time: int = 1, size: int = 0) -> int:
    batch = BatchSize()
    for _ in range(tasks):
        batch.note_task(seconds_a_file * batch.files, batch.files, size, at_a_time)
    return batch.files


@pytest.mark.parametrize(("seconds", "files"), [(0.001, 40), (1e-5, 512), (1.0, 1)])
def test_a_task_takes_a_moment_however_long_a_file_takes(seconds: float, files: int) -> None:
    assert after(60, seconds) == pytest.approx(files, abs=1)


def test_a_share_that_answers_slowly_gets_as_many_files_in_a_task_as_it_takes_at_a_time() -> None:
    assert after(20, 0.12, at_a_time=16) == 16


def test_large_files_are_not_kept_waiting_for_each_other_in_one_task() -> None:
    assert after(20, 2.0, at_a_time=16, size=256 << 20) == 1


def test_after_a_worker_has_died_the_next_tasks_have_one_file_each() -> None:
    batch = BatchSize()
    batch.note_task(0.12, 16, at_a_time=16)
    batch.shrink()
    assert batch.files == 1
