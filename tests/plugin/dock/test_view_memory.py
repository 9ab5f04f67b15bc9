"""What a user has set in the dock is there in the next session."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from softcopy_napari.plugin.dock import view_memory as module
from softcopy_napari.plugin.dock.view_memory import ViewMemory, remember_view, view_memory


def _next_session() -> ViewMemory:
    """What another process would read, when all has been written."""
    for thread in threading.enumerate():
        if thread.name == "softcopy-remember":
            thread.join()
    module._saved._path = None
    return view_memory()


def test_what_was_set_is_there_again() -> None:
    assert _next_session() == ViewMemory()
    remember_view(overlay="all", follow=False)
    remember_view(sections="log speed")
    assert _next_session() == ViewMemory(overlay="all", follow=False, sections="log speed")


@pytest.mark.parametrize("content", ["", "[]", '{"overlay": 3, "follow": "no", "other": "source"}', "\udcff"])
def test_a_damaged_memory_is_no_reason_to_fail(state_folder_in_tmp: Path, content: str) -> None:
    state_folder_in_tmp.mkdir()
    (state_folder_in_tmp / "dock.json").write_bytes(content.encode(errors="surrogateescape"))
    known = _next_session()
    assert (known.overlay, known.follow) == ("problems", True)
    assert remember_view(overlay="off").overlay == "off"
    assert _next_session().overlay == "off"
