"""Freeing a source from the dock: it asks with numbers, and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.engine.reasons import Reason, ReasonCode
from softcopy_napari.plugin.dock import free_prompt
from softcopy_napari.plugin.dock.free_prompt import FreePrompt
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.palette import Tone
from tests.engine.freeing.lab import FreeLab
from tests.support import quick_free_process

pytestmark = pytest.mark.either_binding


class Desk:
    """A panel and a queue, as far as the prompt uses them: everything is done at once."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.logged: list[tuple[Level, str]] = []
        self.problem = ""
        self.shown: list[Reason | None] = []
        self.banner = SimpleNamespace(add=self.add)

    def add(self, message: Message) -> None:
        self.problem = message.text if message.tone is Tone.NEEDS_USER else ""

    def show(self, source: Path, how_far: Reason | None) -> None:
        self.shown.append(how_far)

    def ask(self, title: str, text: str, yes: str) -> bool:
        self.asked.append(text)
        return self.answer

    def log(self, level: Level, words: str) -> None:
        self.logged.append((level, words))

    def post(self, act: Callable[[], Any]) -> None:
        act()

    def fetch(self, get: Callable[[], Any], then: Callable[[Any], object]) -> None:
        then(get())


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FreeLab:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    command = [sys.executable, "-m", "tests.support.quick_free", "free"]
    monkeypatch.setattr(free_prompt, "_COMMAND", command)
    monkeypatch.setattr(free_prompt, "_FREE", quick_free_process.COMMAND)
    monkeypatch.setenv("COLUMNS", "200")
    return FreeLab(tmp_path)


def prompt(lab: FreeLab, answer: bool) -> Desk:
    desk = Desk(answer)
    FreePrompt(desk, desk, desk.show).ask(lab.source, lab.destination)  # type: ignore[arg-type]
    return desk


def test_it_asks_with_the_plan_frees_and_brings_back(lab: FreeLab) -> None:
    desk = prompt(lab, answer=True)
    (question,) = desk.asked
    assert "6 files" in question and str(lab.grace) in question and "kept for 7 days" in question
    assert lab.kept == lab.contents and lab.here == {}
    assert "The source is freed: its 6 files" in desk.logged[-1][1] and not desk.problem
    codes = [how_far and how_far.code for how_far in desk.shown]
    assert ReasonCode.READING_BACK_TO_FREE in codes and codes[-1] is None
    desk = prompt(lab, answer=True)
    assert "Move the files back?" in desk.asked[0] and "6 files moved back" in desk.logged[-1][1]
    assert lab.untouched()


def test_without_a_yes_nothing_is_moved(lab: FreeLab) -> None:
    assert len(prompt(lab, answer=False).asked) == 1
    assert lab.untouched()
    lab.free()
    prompt(lab, answer=False)
    assert lab.kept == lab.contents


def test_what_speaks_against_it_is_said_and_nothing_is_asked(lab: FreeLab) -> None:
    lab.sign(failures=("image/c/0/0 failed",))
    desk = prompt(lab, answer=True)
    assert desk.asked == [] and "has doubts: image/c/0/0 failed" in desk.problem
    assert desk.logged[-1][0] is Level.WARNING and lab.untouched()


def test_it_can_be_stopped_between_two_files_and_says_what_that_leaves(lab: FreeLab) -> None:
    desk = Desk(answer=True)
    freer = FreePrompt(desk, desk, lambda *_: freer.stop([lab.source]))  # type: ignore[arg-type]
    freer.ask(lab.source, lab.destination)
    assert desk.logged[-1] == (Level.INFO, f"{lab.source.name}: Freeing was stopped before anything was moved")
    assert lab.here == lab.contents == lab.there and lab.kept == {}


def test_a_process_that_is_killed_is_no_success(lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_prompt, "_FREE", [sys.executable, "-c", "import os; os._exit(1)"])
    desk = prompt(lab, answer=True)
    assert "not freed" in desk.problem and desk.shown[-1] is None
