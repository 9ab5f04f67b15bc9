"""What each mode of the overlay marks."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.widgets.overlay_modes import OverlayMode, marking_of
from softcopy_napari.widgets.palette import CHUNK_COLOURS

pytestmark = pytest.mark.either_binding

S, T = ChunkState, TargetState
RUNNING = (T.WAITING, T.COPYING, T.CAUGHT_UP, T.FINISHING, T.CHECKING, T.PAUSED)


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("state", RUNNING)
def test_by_default_only_what_is_missing_or_has_failed_is_marked(state: TargetState, verify: bool) -> None:
    marking = marking_of(OverlayMode.PROBLEMS, state, verify, volume=False)
    assert set(marking.faces) == {S.PENDING, S.COPYING, S.FAILED} and not marking.edges
    assert marking.faces[S.FAILED] == CHUNK_COLOURS[S.FAILED]


def test_chunks_that_never_came_are_marked_where_a_copy_has_failed_and_not_where_it_is_complete() -> None:
    for state in (T.FAILED, T.INCOMPLETE):
        assert S.ABSENT in marking_of(OverlayMode.PROBLEMS, state, False, False).faces
    for state in (T.COMPLETE, T.STOPPED):
        assert S.ABSENT not in marking_of(OverlayMode.PROBLEMS, state, False, False).faces


def test_what_was_to_be_read_back_and_was_not_is_unproven() -> None:
    assert S.COPIED in marking_of(OverlayMode.PROBLEMS, T.STOPPED, True, False).faces
    assert S.COPIED not in marking_of(OverlayMode.PROBLEMS, T.COMPLETE, False, False).faces
    assert S.VERIFIED not in marking_of(OverlayMode.PROBLEMS, T.COMPLETE, True, False).faces


def test_in_3d_problems_are_edges_which_hide_nothing() -> None:
    flat, volume = (marking_of(OverlayMode.PROBLEMS, T.COPYING, False, volume) for volume in (False, True))
    assert not volume.faces and volume.edges == flat.faces


def test_the_frontier_is_outlines_only() -> None:
    marking = marking_of(OverlayMode.FRONTIER, T.COPYING, False, False)
    assert not marking.faces and set(marking.edges) == {S.WRITING, S.PENDING, S.COPYING} and marking.recent


def test_all_is_the_full_map_and_off_is_nothing() -> None:
    everything = marking_of(OverlayMode.ALL, T.COPYING, False, True)
    assert set(everything.faces) == set(S) - {S.ABSENT} and not everything.edges
    nothing = marking_of(OverlayMode.OFF, T.FAILED, True, False)
    assert not nothing.faces and not nothing.edges and nothing.recent is None


def test_modes_have_names_for_users() -> None:
    assert [mode.label for mode in OverlayMode] == ["Problems", "Frontier", "All", "Off"]
