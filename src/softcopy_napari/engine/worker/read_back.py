"""Reads the files of a task back from the destination: to verify what was copied, or to learn missing digests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult, ContentChecker
from softcopy_napari.engine.worker.tasks import VerifyDone, VerifyTask


def read_back(
    checker: ContentChecker,
    task: VerifyTask,
    should_end: Callable[[], bool],
    change_times: Callable[[Sequence[str]], Sequence[tuple[int, int] | None]],
) -> VerifyDone:
    """Check files until all are checked or `should_end` says so; the rest is STOPPED then.

    `change_times` gives size and change time (ns) of files at the destination that are regular, None for others.
    """
    found = change_times(task.paths) if task.known and not task.against_source else [None] * len(task.paths)
    results: list[CheckResult] = []
    for number, path in enumerate(task.paths):
        results.append(_check(checker, task, number, path, found[number]))
        if should_end():
            break
    return sum_up(task, results)


def _check(
    checker: ContentChecker, task: VerifyTask, number: int, path: str, found: tuple[int, int] | None
) -> CheckResult:
    part = slice(number * DIGEST_SIZE, (number + 1) * DIGEST_SIZE)
    if (digest := task.digests[part]) != NO_DIGEST:
        return checker.compare_with_digest(path, digest, task.chunk_format)
    if task.against_source:
        return checker.compare_with_source(path, task.chunk_format)
    known = [(since, digests[part]) for since, digests in task.known]
    return checker.find_digest(path, known, task.chunk_format, found)


def sum_up(task: VerifyTask, results: list[CheckResult]) -> VerifyDone:
    """Return the answer to a task by the results of its first files; the others are STOPPED."""
    results = [*results, *[CheckResult(CheckOutcome.STOPPED)] * (len(task.paths) - len(results))]
    return VerifyDone(
        bytes([one.outcome for one in results]),
        b"".join([one.digest for one in results]),
        sum(one.size for one in results),
        {number: reason for number, one in enumerate(results) if (reason := _why_not_right(one))},
    )


def _why_not_right(result: CheckResult) -> Reason | None:
    """Return what is wrong with a file; of one that is as it should be, what is wrong with it at the source, too."""
    match result.outcome:
        case CheckOutcome.CHANGED | CheckOutcome.TRUNCATED:
            return make_reason(ReasonCode.CAME_BACK_DIFFERENT, damage=result.damage)
        case CheckOutcome.UNREADABLE:
            return make_reason(ReasonCode.READ_BACK_FAILED, problem=result.detail)
        case _:
            return result.damage
