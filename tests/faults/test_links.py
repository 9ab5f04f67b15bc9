"""Links that lead out of a source: a camera's array on a disk of its own. Said, or followed, and never in a circle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import tree, until, write
from tests.faults.lab import SOON, Lab, content, copied, make_chunks
from tests.support.command import softcopy

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links")


def make_striped(lab: Lab, more: int = 0) -> Path:
    """Two arrays, the second of which lies on another disk; returns the folder there."""
    write(lab.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    make_chunks(lab.source / "camera1", 3)
    elsewhere = lab.folder / "disk2" / "camera2"
    make_chunks(elsewhere, 4, more=more)
    (lab.source / "camera2").symlink_to(elsewhere)
    return elsewhere


def test_a_link_out_of_the_source_is_named_with_where_it_leads(lab: Lab) -> None:
    elsewhere = make_striped(lab)
    end = copied(lab)
    assert end.state is TargetState.COMPLETE
    assert end.notices == (
        f'camera2 is a link out of the source, to "{elsewhere}": only the link is copied; '
        "links: copy (--links copy) copies what it leads to",
    )
    assert os.readlink(lab.destination / "camera2") == str(elsewhere)


def test_nothing_is_said_of_links_within_the_source(lab: Lab) -> None:
    make_chunks(lab.source / "a", 3)
    (lab.source / "latest").symlink_to("a")
    (lab.source / "a" / "back").symlink_to("../a/.zarray")
    (lab.source / "absolute").symlink_to(lab.source / "a")
    end = copied(lab)
    assert (end.state, end.notices) == (TargetState.COMPLETE, ())
    lab.assert_equal()


def test_of_hundreds_of_links_a_few_are_named(lab: Lab) -> None:
    make_chunks(lab.source, 3)
    for number in range(200):
        (lab.source / f"link{number}").symlink_to("/nowhere/at/all")
    end = copied(lab)
    assert len(end.notices) == 11
    assert end.notices[-1] == "there are more links out of the source; only the links are copied"


def test_what_links_lead_to_is_copied_where_that_is_asked_for(lab: Lab) -> None:
    elsewhere = make_striped(lab)
    write(lab.folder / "disk2" / "notes", b"a file elsewhere", old=True)
    (lab.source / "notes").symlink_to("../disk2/notes")
    (lab.source / "within").symlink_to("camera1")
    end = copied(lab, links="copy")
    assert (end.state, end.notices) == (TargetState.COMPLETE, ()), lab.words()
    assert not (lab.destination / "camera2").is_symlink()
    assert tree(lab.destination / "camera2") == tree(elsewhere)
    assert end.counts[ChunkState.COPIED] == 7
    assert not (lab.destination / "notes").is_symlink()
    assert (lab.destination / "notes").read_bytes() == b"a file elsewhere"
    assert os.readlink(lab.destination / "within") == "camera1"
    assert softcopy("check", "--links", "copy", lab.source, lab.destination).returncode == 0
    assert softcopy("check", lab.source, lab.destination).returncode == 1
    end = copied(lab, links="copy")
    assert (end.state, end.files_copied) == (TargetState.COMPLETE, 0)


def test_what_is_written_behind_a_link_during_the_copy_arrives(lab: Lab) -> None:
    elsewhere = make_striped(lab, more=2)
    lab.start(links="copy")
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 7, SOON), lab.words()
    write(elsewhere / "4" / "0", content(4, 0, 5000))
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 8, SOON), lab.words()
    lab.finish()
    assert tree(lab.destination / "camera2") == tree(elsewhere)


def test_a_copied_link_becomes_what_it_leads_to_when_that_is_asked_for_later(lab: Lab) -> None:
    elsewhere = make_striped(lab)
    before = tree(elsewhere)
    assert copied(lab).state is TargetState.COMPLETE
    assert (lab.destination / "camera2").is_symlink()
    assert copied(lab, links="copy").state is TargetState.COMPLETE, lab.words()
    assert not (lab.destination / "camera2").is_symlink()
    assert tree(lab.destination / "camera2") == tree(elsewhere) == before


def test_links_that_lead_in_a_circle_stay_links(lab: Lab) -> None:
    elsewhere = make_striped(lab)
    (lab.source / "up").symlink_to("..")
    (lab.source / "root").symlink_to("/")
    (lab.source / "itself").symlink_to("itself")
    (lab.source / "gone").symlink_to(lab.folder / "nothing")
    (lab.source / "copies").symlink_to(lab.destination.parent)
    (elsewhere / "again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(lab.source)
    (elsewhere / "over").symlink_to(elsewhere.parent)
    end = copied(lab, links="copy")
    assert end.state is TargetState.COMPLETE, lab.words()
    for name in ("up", "root", "itself", "gone", "copies", "camera2/again", "camera2/back"):
        assert (lab.destination / name).is_symlink(), name
    # What lies beside it is copied, but not what leads from there to where it came from.
    assert (lab.destination / "camera2" / "over" / "camera2" / "again").is_symlink()
    assert not any("links: copy" in notice for notice in end.notices)
