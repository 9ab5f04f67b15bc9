"""What was said is remembered from run to run, and of several processes one says that an engine has died."""

from __future__ import annotations

import os
import time
from pathlib import Path

from softcopy_napari.engine.notify.decisions import Trace
from softcopy_napari.engine.notify.trace_store import claim_report, read_traces, remove_old_traces, write_traces

TRACES = {"done:": Trace(1.0, 2.0, True, True), "paused:": Trace(3.0, 4.0, False, False)}


def test_what_was_said_is_remembered_as_something_that_is_not_so_just_now() -> None:
    assert read_traces("a") == {}
    write_traces("a", TRACES)
    assert read_traces("a") == {key: trace._replace(on=False) for key, trace in TRACES.items()}
    assert read_traces("b") == {}


def test_only_the_latest_is_remembered_of_a_destination_that_fails_in_ever_new_ways() -> None:
    write_traces("a", {f"failed:{number}": Trace(0.0, float(number), True, True) for number in range(500)})
    kept = read_traces("a")
    assert len(kept) == 50 and "failed:499" in kept


def test_a_damaged_file_counts_as_none(state_folder_in_tmp: Path) -> None:
    write_traces("a", TRACES)
    (state_folder_in_tmp / "notified" / "a.json").write_text('{"done:": [1, 2]}')
    assert read_traces("a") == {}


def test_one_of_several_takes_it_upon_itself_and_old_notes_go(state_folder_in_tmp: Path) -> None:
    assert claim_report("died-1") and not claim_report("died-1") and claim_report("died-2")
    old = time.time() - 40 * 86400
    for name in ("died-1", "died-2"):
        os.utime(state_folder_in_tmp / "notified" / name, (old, old))
    assert not claim_report("died-2")  # somebody still asks for it
    remove_old_traces()
    assert claim_report("died-1") and not claim_report("died-2")
