"""The source's own list of its finished files: what is on it may be copied, and its end is the acquisition's."""

from __future__ import annotations

import itertools
import json

import pytest

from softcopy_napari.engine.source.transfer_manifest import MANIFEST, TransferManifest
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.tasks import TailDone

RUN = [
    {"event": "start", "schema": 1, "experiment_id": "made up", "format": "OME_TIFF", "nt": 2, "ts": 10.5},
    {
        "event": "complete",
        "path": "t0/well.tif",
        "kind": "file",
        "bytes": 9,
        "t": 0,
        "region": "B2",
        "fov": 1,
        "ts": 11,
    },
    {"event": "timepoint_done", "t": 0, "ts": 12},
    {"event": "complete", "path": "t1", "kind": "dir", "bytes": None, "t": 1, "region": "B2", "fov": None, "ts": 13},
    {"event": "end", "reason": "completed", "ts": 14},
]
"""A run as such a writer records it; made up for this test."""


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


class Reading:
    """A list as workers read it, in pieces."""

    def __init__(self) -> None:
        self.manifest = TransferManifest()
        self.manifest.note_found()
        self.ids = itertools.count().__next__
        self.now = 0.0

    def read(self, content: bytes, identity: tuple[int, int] = (1, 2), most: int = 1 << 20) -> bool:
        """Read on; return whether anything became known."""
        self.now += 10.0
        found = False
        while (task := self.manifest.pop_task(self.now, self.ids)) is not None:
            data = content[task.offset : task.offset + most]
            found |= self.manifest.add_tail(TailDone(data, len(content), 5, identity))
        return found


def test_what_is_not_on_the_list_waits_until_the_end_of_the_run() -> None:
    reading = Reading()
    manifest = reading.manifest
    assert manifest.withholds("t0/well.tif"), "nothing is known before it has been read"
    reading.read(lines(*RUN[:1]))
    assert manifest.open and manifest.withholds("t0/well.tif")
    reading.read(lines(*RUN[:2]))
    assert not manifest.withholds("t0/well.tif") and manifest.pop_new_names() == ["t0/well.tif"]
    assert manifest.withholds("t0/other.tif") and manifest.withholds(MANIFEST) and manifest.withholds("t1/a/b.tif")
    reading.read(lines(*RUN[:4]))
    assert not manifest.withholds("t1/a/b.tif") and manifest.withholds("t10/b.tif")
    assert not manifest.ended
    reading.read(lines(*RUN))
    assert manifest.ended and not manifest.withholds("t0/other.tif") and not manifest.withholds(MANIFEST)


def test_zarr_metadata_do_not_wait_without_which_nobody_sees_a_growing_copy() -> None:
    reading = Reading()
    reading.read(lines(*RUN[:1]))
    assert not reading.manifest.withholds("plate.zarr/zarr.json")
    assert reading.manifest.withholds("plate.zarr/A/1/c/0")


@pytest.mark.parametrize("most", [1, 7, 64])
def test_a_list_that_is_read_in_pieces_says_the_same(most: int) -> None:
    reading = Reading()
    reading.read(lines(*RUN), most=most)
    assert reading.manifest.ended and reading.manifest.names == {"t0/well.tif"} and not reading.manifest.pop_notices()


def test_a_torn_last_line_counts_when_the_rest_of_it_has_come() -> None:
    reading = Reading()
    whole = lines(*RUN[:2])
    for cut in (1, 20, len(lines(RUN[0])) + 30):
        reading.read(whole[:cut])
        assert reading.manifest.withholds("t0/well.tif")
    reading.read(whole)
    assert not reading.manifest.withholds("t0/well.tif") and not reading.manifest.pop_notices()


def test_an_end_without_a_newline_is_an_end() -> None:
    reading = Reading()
    reading.read(lines(*RUN).rstrip(b"\n"))
    assert reading.manifest.ended


def test_another_run_in_the_same_list_opens_it_again() -> None:
    reading = Reading()
    reading.read(lines(*RUN))
    reading.read(lines(*RUN, RUN[0]))
    assert reading.manifest.open and not reading.manifest.ended


@pytest.mark.parametrize("how", ["shorter", "another file"])
def test_a_list_that_was_made_anew_is_read_anew(how: str) -> None:
    reading = Reading()
    reading.read(lines(*RUN))
    if how == "shorter":
        reading.read(lines(RUN[0]))
    else:
        reading.read(lines(RUN[0], *RUN[:1] * 20), identity=(1, 3))
    assert reading.manifest.open and not reading.manifest.ended and reading.manifest.withholds("t0/well.tif")


def test_a_list_that_goes_away_holds_nothing_back() -> None:
    reading = Reading()
    reading.read(lines(*RUN[:1]))
    task = reading.manifest.pop_task(1e9, reading.ids)
    assert task is not None and reading.manifest.add_tail(TailDone())
    assert not reading.manifest.withholds("a.tif") and reading.manifest.pop_task(2e9, reading.ids) is None


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.tif", "a/../../b", "a//b", "", "a\\b", "./a", 5, None])
def test_a_path_that_leads_elsewhere_is_skipped_and_told(path: object) -> None:
    reading = Reading()
    reading.read(lines(RUN[0], {"event": "complete", "path": path}, RUN[1]))
    assert reading.manifest.names == {"t0/well.tif"}
    assert [describe(notice) for notice in reading.manifest.pop_notices()] == [
        f"{MANIFEST} has lines that cannot be read. They are skipped"
    ]


@pytest.mark.parametrize("line", [b"not json\n", b"[1, 2]\n", b'"text"\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_a_broken_line_does_not_end_the_reading(line: bytes) -> None:
    reading = Reading()
    reading.read(lines(RUN[0]) + line + lines(RUN[1]))
    assert not reading.manifest.withholds("t0/well.tif") and len(reading.manifest.pop_notices()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines({**RUN[0], "schema": 2}, RUN[1]), "is not followed: it has schema 2, and 1 is known"),
        (lines({"file": "a.tif", "done": True}), "is not followed: it is not a list of finished files"),
        (b"x" * (1 << 21), "is not followed: it is not a list of finished files"),
    ],
)
def test_what_is_not_understood_is_told_and_holds_nothing_back(content: bytes, words: str) -> None:
    reading = Reading()
    reading.read(content)
    assert not reading.manifest.withholds("a.tif") and not reading.manifest.ended
    assert words in [describe(notice) for notice in reading.manifest.pop_notices()][-1]
    assert reading.manifest.pop_task(1e9, reading.ids) is None, "it is not read again"


def test_events_of_later_versions_of_the_same_schema_are_passed_over() -> None:
    reading = Reading()
    reading.read(lines(RUN[0], {"event": "paused"}, *RUN[1:]))
    assert reading.manifest.ended and not reading.manifest.pop_notices()
