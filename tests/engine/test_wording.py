"""What the engine has to say: codes with fields on the wire, and words for each of them, whoever sent it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from softcopy_napari.engine.english import ENGLISH
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, decode_reason, encode_reason, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import STATES, describe
from softcopy_napari.terminal.wording import TERMINAL

QUIET = make_reason(ReasonCode.DONE_AFTER_QUIET, why=make_reason(ReasonCode.CHUNKS_TO_COME, chunks=99), seconds=600.0)
BOTH = make_reason(ReasonCode.ALL_OF, parts=(make_reason(ReasonCode.MISSING, chunks=1), quote_text("and more")))


def snapshot(**fields: Any) -> TargetSnapshot:
    return TargetSnapshot(id="1", source="/s", destination="/d", state=TargetState.COPYING, **fields)


def test_every_code_and_every_state_has_words() -> None:
    assert set(ENGLISH) == set(ReasonCode)
    assert set(STATES) == set(TargetState)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (make_reason(ReasonCode.CHUNKS_TO_COME, chunks=1), "1 chunk still to come"),
        (make_reason(ReasonCode.CHUNKS_TO_COME, chunks=12345), "12,345 chunks still to come"),
        (make_reason(ReasonCode.NODES_TO_COME, nodes=8), "8 images or wells still to come"),
        (make_reason(ReasonCode.GREW, array="a"), "array a grows while it is acquired"),
        (make_reason(ReasonCode.GREW, array=""), "the array grows while it is acquired"),
        (QUIET, "99 chunks still to come; done after 10 min without a change"),
        (BOTH, "missing at the destination: 1 chunk; and more"),
        (quote_text("two\nlines"), "two\\nlines"),
        (None, ""),
    ],
)
def test_words_are_made_of_a_code_and_its_fields(reason: Reason | None, words: str) -> None:
    assert describe(reason) == words


@pytest.mark.parametrize("reason", [QUIET, BOTH, make_reason(ReasonCode.SCANNING)])
def test_only_codes_and_fields_go_over_the_wire(reason: Reason) -> None:
    sent = snapshot(why=reason, notes=(reason,)).model_dump_json()
    assert describe(reason) == "" or describe(reason) not in sent
    assert json.loads(sent)["why"] == encode_reason(reason)
    heard = TargetSnapshot.model_validate_json(sent)
    assert heard.why == reason and heard.notes == (reason,)
    assert heard.reason == describe(reason) and heard.notices == (describe(reason),)


def test_a_code_of_another_version_still_says_something() -> None:
    sent = {"code": "disk_on_fire", "disk": "/d", "why": {"code": "chunks_to_come", "chunks": 2}}
    assert describe(decode_reason(sent)) == "disk on fire (disk /d, why 2 chunks still to come)"
    assert describe(decode_reason({"code": "disk_on_fire"})) == "disk on fire"


@pytest.mark.parametrize("fields", [{}, {"chunks": "many"}, {"chunks": [{"code": "scanning"}]}])
def test_fields_that_are_missing_or_of_another_kind_leave_the_code(fields: dict[str, Any]) -> None:
    assert describe(decode_reason({"code": "chunks_to_come", **fields})).startswith("chunks to come")


@pytest.mark.parametrize(
    "sent",
    [
        "words",
        {},
        {"code": 7},
        {"code": "text", "text": None},
        {"code": "text", "a b": 1},
        {"code": "text", "text": 1 << 64},
        {"code": "all_of", "parts": ["words"]},
    ],
)
def test_what_is_no_reason_is_refused(sent: object) -> None:
    with pytest.raises(ValueError, match="is no"):
        decode_reason(sent)


def test_reasons_within_reasons_without_end_are_refused() -> None:
    sent: dict[str, Any] = {"code": "text"}
    for _ in range(50):
        sent = {"code": "text", "text": sent}
    with pytest.raises(ValueError, match="is no reason"):
        decode_reason(sent)


def test_a_front_end_says_otherwise_what_its_user_can_do() -> None:
    stopped = make_reason(ReasonCode.STOPPED)
    assert describe(stopped) != describe(stopped, TERMINAL) == "Run again to continue"
    broke = make_reason(ReasonCode.INTERNAL_ERROR, next=stopped)
    assert describe(broke, TERMINAL).endswith(". Run again to continue"), "within another reason too"


def test_the_first_walk_is_called_scanning() -> None:
    assert snapshot(why=make_reason(ReasonCode.SCANNING)).state_text == "Scanning"
    assert snapshot().state_text == "Copying"
