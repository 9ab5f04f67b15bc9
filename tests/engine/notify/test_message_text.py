"""A notification says in its title what has happened, and below that to what, and what to do."""

from __future__ import annotations

import socket

from softcopy_napari.engine.notify.decisions import Condition, find_conditions
from softcopy_napari.engine.notify.message_text import Item, compose, describe_condition
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import Notify, NotifyEvent, notify_rules

HOST = socket.gethostname().partition(".")[0]


def items_of(state: TargetState, **fields: object) -> list[Item]:
    target = TargetSnapshot(id="1", source="/data/a.zarr", destination="/nas/a.zarr", state=state, **fields)
    return [describe_condition(one, target) for one in find_conditions(target, notify_rules(Notify()))]


def test_one_thing_is_named_in_the_title() -> None:
    why = make_reason(ReasonCode.DESTINATION_FULL, destination="/nas/a.zarr")
    (item,) = items_of(TargetState.PAUSED, why=why)
    text = compose([item])
    assert text.title == f"Waiting: a.zarr (softcopy on {HOST})"
    assert text.body == ("/nas/a.zarr is full. Make room; copying continues by itself\n/data/a.zarr -> /nas/a.zarr")
    assert text.kind == "warning"


def test_a_complete_copy_tells_how_much_and_what_to_know_of_it() -> None:
    notes = tuple(quote_text(f"note {number}") for number in range(5))
    (item,) = items_of(TargetState.COMPLETE, bytes_copied=2_000_000, elapsed=8.0, notes=notes)
    text = compose([item])
    assert text.kind == "success"
    assert text.body.splitlines()[1:] == [
        "2.0 MB copied in 8.0 s",
        *(f"Note: note {number}" for number in range(3)),
        "and 2 more notes",
    ]


def test_many_things_are_counted_the_bad_ones_first_and_the_rest_left_to_status() -> None:
    (done,), (failed,) = items_of(TargetState.COMPLETE), items_of(TargetState.FAILED)
    text = compose([done] * 60 + [failed] * 4)
    assert text.title == f"4 failed, 60 done (softcopy on {HOST})"
    assert text.body.startswith("Failed: a.zarr\n")
    assert text.body.endswith("And 44 more: softcopy status")
    assert text.kind == "failure"


def test_a_name_that_nobody_could_print_is_spelled() -> None:
    target = TargetSnapshot(id="1", source="/data/a\nb", destination="/nas/a", state=TargetState.COMPLETE)
    item = describe_condition(Condition(NotifyEvent.DONE, "", None), target)
    assert item.name == r"a\nb"
