"""What `softcopy status --json` prints is what its schema says, and the schema is the one in the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from softcopy_napari import start
from softcopy_napari.engine.state_folder.history import endings
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.status_report import StatusReport, make_report
from tests.engine.support import make_array
from tests.support.command import softcopy, until
from tests.terminal.snapshots import WATCHED, engine_with

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "status.schema.json").read_text(encoding="utf-8"))


def checked(document: Any) -> Any:
    jsonschema.validate(document, SCHEMA)
    return document


def test_the_schema_in_the_docs_is_that_of_the_program_and_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = StatusReport.model_json_schema(mode="serialization")["properties"]
    assert set(SCHEMA["properties"]) == set(properties)


def test_a_schema_that_let_anything_pass_would_be_none() -> None:
    good = json.loads(make_report([], [], [], None).model_dump_json())
    checked({**good, "a field of a later version": 1})
    for wrong in ({**good, "schema_version": 2}, {**good, "copies": [{}]}, {**good, "time": "noon"}):
        with pytest.raises(jsonschema.ValidationError):
            checked(wrong)


def test_running_and_ended_copies_are_told_as_a_program_needs_them(tmp_path: Path) -> None:
    old, live = make_array(tmp_path / "old.zarr", (2, 2)), make_array(tmp_path / "b.zarr", (2, 2), old=False)
    assert softcopy(old, tmp_path / "copy").returncode == 0
    (live / "1.1").unlink()
    copy = start(live, tmp_path / "live")
    until(lambda: copy.snapshot().state is TargetState.CAUGHT_UP and copy.snapshot().chunk_files_copied == 3)
    document = checked(json.loads(softcopy("status", "--json").stdout))
    copy.stop()
    running, ended = document["copies"]
    assert (running["running"], running["state"], running["reason_code"]) == (True, "caught_up", "chunks_to_come")
    assert running["chunk_files"]["copied"] == 3 and running["chunk_files"]["absent"] == 1
    assert running["pid"] == copy.engine.run.pid and running["ended"] is None
    assert (ended["running"], ended["state"], ended["destination"]) == (False, "complete", str(tmp_path / "copy"))
    assert ended["bytes_copied"] > 0 and ended["ended"] >= ended["started"]


def test_what_is_watched_on_is_there_once() -> None:
    from softcopy_napari.engine.state_folder.history import HistoryWriter

    watched = engine_with(**WATCHED)
    HistoryWriter(False).note(watched.targets[0])
    report = make_report([watched], endings(), ["an engine of another version"], None)
    checked(json.loads(report.model_dump_json()))
    (copy,) = report.copies
    assert copy.watching and copy.running and report.not_shown == ("an engine of another version",)
