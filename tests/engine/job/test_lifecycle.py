"""A target's life in every order of events: it is never complete too early, and always can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from softcopy_napari.engine.job.lifecycle import (
    TRANSITIONS,
    Action,
    CompletionFacts,
    Event,
    ImpossibleEvent,
    Phase,
    next_phase,
)

COMPLETE = CompletionFacts(
    unread=False,
    unfinished=0,
    unproven=False,
    failed=0,
    busy=False,
    changes=7,
    walked=7,
    published=3,
    flushed=3,
    signed=7,
    walks=2,
    walks_at_flush=2,
)


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({}, Event.NOTHING_MISSING),
        ({"unread": True}, Event.WORK_LEFT),
        ({"unfinished": 1}, Event.WORK_LEFT),
        ({"unproven": True}, Event.WORK_LEFT),
        ({"failed": 1}, Event.WORK_LEFT),
        ({"busy": True}, Event.WORK_LEFT),
        ({"walked": 6}, Event.NOT_WALKED),
        ({"walked": None}, Event.NOT_WALKED),
        ({"published": 4}, Event.NOT_FLUSHED),
        ({"signed": 6}, Event.NOT_SIGNED),
        ({"signed": None}, Event.NOT_SIGNED),
        ({"blind": True}, Event.NOT_WALKED),
        ({"blind": True, "walks": 3}, Event.NOTHING_MISSING),
    ],
)
def test_complete_is_missing_what_is_not_done_since_the_last_change(known: dict[str, int], missing: Event) -> None:
    assert replace(COMPLETE, **known).missing is missing  # type: ignore[arg-type]


def test_what_cannot_happen_is_an_error_and_not_passed_over() -> None:
    with pytest.raises(ImpossibleEvent, match="NOTHING_MISSING while COPYING"):
        next_phase(Phase.COPYING, Event.NOTHING_MISSING)


def test_complete_is_announced_only_where_nothing_is_missing() -> None:
    announcing = [event for (_, event), (_, actions) in TRANSITIONS.items() if Action.ANNOUNCE in actions]
    assert announcing and set(announcing) == {Event.NOTHING_MISSING}


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ENDED])
def test_every_phase_can_be_ended(phase: Phase) -> None:
    assert next_phase(phase, Event.ENDS) == (Phase.ENDED, ())


class Life(RuleBasedStateMachine):
    """A target, and everything that can happen to it; what has happened is kept in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.phase = Phase.WAITING
        self.log: list[str] = []
        self.changes = self.published = self.flushed = 0
        self.unread = self.pending = 0
        self.walk: int | None = None
        self.walked: int | None = None
        self.flush: int | None = None
        self.signing: int | None = None
        self.signed: int | None = None
        self.finished = False

    def happen(self, event: Event) -> None:
        self.phase, actions = next_phase(self.phase, event)
        for action in actions:
            match action:
                case Action.COPY | Action.CHECK | Action.WALK:
                    self.walk = self.changes
                    self.log.append("walk begins")
                case Action.FORGET_SOURCE | Action.RESUME:
                    self.walk = self.walked = None
                case Action.FLUSH if self.flush is None:  # else the answer to the one before comes first
                    self.flush = self.published
                    self.log.append("flush asked")
                case Action.SIGN:
                    self.signing = self.changes
                    self.log.append("receipt begins")
                case Action.ANNOUNCE:
                    self.announced()

    def last(self, *what: str) -> int:
        return max((number for number, event in enumerate(self.log) if event in what), default=-1)

    def announced(self) -> None:
        """It is complete now: is that true, by all that has happened?"""
        assert not self.unread and not self.pending
        changed = self.last("change", "copy")
        if self.phase is Phase.WATCHING:
            assert changed < self.last("walk begins") < self.last("walk ends")
        assert self.last("copy") < self.last("flush asked") <= self.last("flushed") or "copy" not in self.log
        assert changed < self.last("receipt begins") < self.last("receipt written")
        self.log.append("complete")

    def facts(self) -> CompletionFacts:
        return replace(
            COMPLETE,
            unread=bool(self.unread),
            unfinished=self.pending,
            busy=self.walk is not None,
            changes=self.changes,
            walked=self.walked,
            published=self.published,
            flushed=self.flushed,
            signed=self.signed,
        )

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.COPYING, Phase.CHECKING, Phase.FLUSHING, Phase.SIGNING, Phase.WATCHING)

    @precondition(lambda self: self.phase is Phase.WAITING)
    @rule()
    def source_comes(self) -> None:
        self.happen(Event.SOURCE_READY)

    @precondition(lambda self: self.phase is not Phase.ENDED)
    @rule()
    def source_goes(self) -> None:
        self.take_in()
        self.happen(Event.SOURCE_LOST)

    @precondition(lambda self: self.alive)
    @rule()
    def something_is_written(self) -> None:
        self.log.append("change")
        self.unread += 1

    @precondition(lambda self: self.unread)
    @rule()
    def take_in(self) -> None:
        self.changes += self.unread
        self.pending += self.unread
        self.unread = 0

    @precondition(lambda self: self.pending and self.phase in (Phase.COPYING, Phase.CHECKING, Phase.FLUSHING))
    @rule()
    def a_file_is_copied(self) -> None:
        self.log.append("copy")
        self.pending -= 1
        self.published += 1
        self.changes += 1

    @precondition(lambda self: self.walk is not None)
    @rule()
    def the_walk_ends(self) -> None:
        self.walked, self.walk = self.walk, None
        self.log.append("walk ends")

    @precondition(lambda self: self.flush is not None)
    @rule(works=st.booleans())
    def the_flush_is_answered(self, works: bool) -> None:
        if works and self.flush is not None:
            self.flushed = self.flush
            self.log.append("flushed")
        self.flush = None
        self.happen(Event.FLUSHED)

    @precondition(lambda self: self.signing is not None)
    @rule()
    def the_receipt_is_written(self) -> None:
        self.signed, self.signing = self.signing, None
        self.log.append("receipt written")
        if self.phase is Phase.SIGNING_ALONE:
            same = self.signed == self.changes
            self.happen(Event.NOTHING_MISSING if same else Event.CHANGED)
        else:
            self.happen(Event.SIGNED)

    @precondition(lambda self: self.phase is Phase.COPYING)
    @rule()
    def the_acquisition_is_finished(self) -> None:
        self.happen(Event.FINISHED)

    @precondition(lambda self: self.phase is Phase.CHECKING)
    @rule()
    def it_is_not_finished_after_all(self) -> None:
        self.happen(Event.UNFINISHED)

    @precondition(lambda self: self.phase is Phase.CHECKING)
    @rule()
    def look_what_is_missing(self) -> None:
        self.happen(self.facts().missing)

    @precondition(lambda self: self.phase is Phase.WATCHING)
    @rule()
    def look_whether_it_has_changed(self) -> None:
        if self.changes != self.signed:
            self.happen(Event.CHANGED)

    def go_on(self) -> None:
        """Do what comes next."""
        if self.pending and self.phase in (Phase.COPYING, Phase.CHECKING):
            self.a_file_is_copied()
        elif self.walk is not None:
            self.the_walk_ends()
        elif self.phase is Phase.COPYING:
            self.the_acquisition_is_finished()
        elif self.phase is Phase.FLUSHING:
            self.flush = self.published if self.flush is None else self.flush
            self.the_flush_is_answered(True)
        elif self.phase is Phase.SIGNING:
            self.the_receipt_is_written()
        elif self.phase is Phase.CHECKING:
            self.look_what_is_missing()
        elif self.phase is Phase.WATCHING:
            self.look_whether_it_has_changed()

    @precondition(lambda self: self.alive)
    @rule(steps=st.integers(1, 12))
    def it_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            self.go_on()

    @rule(really=st.integers(0, 9))
    def stop(self, really: int) -> None:
        if not really:
            self.happen(Event.ENDS)

    @invariant()
    def whatever_is_told_later_changes_nothing_after_the_end(self) -> None:
        if self.phase is Phase.ENDED:
            assert all(next_phase(Phase.ENDED, event) == (Phase.ENDED, ()) for event in Event)

    def teardown(self) -> None:
        """Left alone from here, it becomes complete, unless it was ended or its source has gone."""
        if self.phase in (Phase.ENDED, Phase.WAITING, Phase.SIGNING_ALONE):
            return
        for _ in range(100):
            if self.phase is Phase.WAITING:
                self.source_comes()
            if self.phase is Phase.WATCHING and self.changes == self.signed and not self.unread:
                return
            if self.unread:
                self.take_in()
            self.go_on()
        raise AssertionError(f"{self.phase}: {self.facts()}")


def test_in_every_order_of_events_complete_is_true_when_it_is_said() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=300, deadline=None))  # type: ignore[no-untyped-call]
