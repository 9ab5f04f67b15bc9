"""The summary of each target at the end of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from softcopy_napari.engine.formatting import count_text, size_text, time_text
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Findings, TargetSnapshot
from softcopy_napari.engine.receipt.checksum_file import ReceiptError
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import find_receipt
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl, destination_of
from softcopy_napari.terminal.styled import print_line
from softcopy_napari.terminal.texts import COLOURS
from softcopy_napari.terminal.wording import RUN_AGAIN, explain_state

_SHOWN_FAILURES = 10
_SHOWN_FINDINGS = 5


def show_summary(engine: EngineSnapshot) -> None:
    """Print the result of each target."""
    for target in engine.targets:
        print_line()
        for text, style in _summary(target):
            print_line(text, style)


def _summary(target: TargetSnapshot) -> Iterator[tuple[str, str]]:
    yield f"{target.source} -> {target.destination}", "bold"
    reason = explain_state(target)
    yield f"  {target.state_text}" + (f": {reason}" if reason else ""), COLOURS[target.state]
    if target.any_files:
        has = "file is" if target.other_files == 1 else "files are"
        yield f"  {target.other_files:,} {has} at the destination", ""
    else:
        yield _chunks(target)
    if target.findings is not None:
        yield from _found(target, target.findings)
    else:
        yield from _copied(target)
    for notice in target.notices:
        yield f"  note: {notice}", "dim"


def _chunks(target: TargetSnapshot) -> tuple[str, str]:
    chunks = f"{target.chunk_files_copied:,} of {target.chunk_files:,} chunks are at the destination"
    return f"  {chunks}, and {count_text(target.other_files, 'other file')}", ""


def _copied(target: TargetSnapshot) -> Iterator[tuple[str, str]]:
    yield (
        f"  {count_text(target.files_copied, 'file')} copied, including rewrites: "
        f"{size_text(target.bytes_copied)} in {time_text(target.elapsed)}",
        "",
    )
    if target.state is TargetState.COMPLETE:
        with contextlib.suppress(ReceiptError):
            yield f"  receipt: {_receipt_of(destination_of(target.destination))}", ""
    absent = target.chunk_files_absent
    if absent:
        complete = target.state is TargetState.COMPLETE
        what = "never written (read as empty)" if complete else "not at the source so far"
        yield f"  {count_text(absent, 'chunk')} {what}", ""
    if target.files_left:
        yield f"  left to copy: {count_text(target.files_left, 'file')}. {RUN_AGAIN}", "yellow"
    for failure in target.failures[:_SHOWN_FAILURES]:
        attempts = f" ({failure.attempts} attempts)" if failure.attempts > 1 else ""
        yield f"  failed: {failure.path} {failure.reason}{attempts}", "red"
    if target.failed_files > _SHOWN_FAILURES:
        yield f"  and {target.failed_files - _SHOWN_FAILURES:,} more", "red"


def _receipt_of(destination: Destination) -> Destination:
    """Return where a copy's receipt is; its engine has left word of it here, also of one in an object store."""
    if isinstance(destination, StoreUrl):
        return destination.with_name(find_receipt(FilesBesideStore(destination).destination)[0].name)
    return find_receipt(destination)[0]


def _found(target: TargetSnapshot, found: Findings) -> Iterator[tuple[str, str]]:
    if target.chunk_files_absent:
        yield f"  {count_text(target.chunk_files_absent, 'chunk')} not at the source so far", ""
    kinds = (
        ("missing", found.chunk_files_missing, found.other_missing, found.missing_paths),
        ("different", found.chunk_files_different, found.other_different, found.different_paths),
    )
    for what, chunk_files, others, paths in kinds:
        if chunk_files or others:
            yield f"  {what}: {count_text(chunk_files, 'chunk')}, {count_text(others, 'other file')}", "yellow"
            yield from _paths(paths, chunk_files + others)
    if times := found.chunk_files_times + found.other_times:
        yield f"  of these, {count_text(times, 'file')} only by time. Equal? softcopy check --content", "yellow"
    if found.damaged:
        yield f"  damaged at the source: {count_text(found.damaged, 'chunk')}", "yellow"
        yield from _paths(found.damaged_paths, found.damaged)
    if found.extra:
        what = "file or folder" if found.extra == 1 else "files and folders"
        yield f"  only at the destination: {found.extra:,} {what}", "yellow" if target.kept else ""
        yield from _paths(found.extra_paths, found.extra)


def _paths(paths: Sequence[str], count: int) -> Iterator[tuple[str, str]]:
    for path in paths[:_SHOWN_FINDINGS]:
        yield f"    {path}", ""
    if count > _SHOWN_FINDINGS:
        yield f"    and {count - _SHOWN_FINDINGS:,} more", ""
