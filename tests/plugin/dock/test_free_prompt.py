"""Freeing a source from the dock: it asks with numbers, and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.freeing import source_scan
from softcopy_napari.plugin.dock import free_prompt
from softcopy_napari.plugin.dock.free_prompt import FreePrompt
from softcopy_napari.widgets.log_view import Level
from tests.engine.freeing.lab import FreeLab

pytestmark = pytest.mark.either_binding


class Desk:
    """A panel and a queue, as far as the prompt uses them: everything is done at once."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.logged: list[tuple[Level, str]] = []
        self.problem = ""

    def ask(self, title: str, text: str, yes: str) -> bool:
        self.asked.append(text)
        return self.answer

    def log(self, level: Level, words: str) -> None:
        self.logged.append((level, words))

    def set_problem(self, _: str, words: str) -> None:
        self.problem = words

    def fetch(self, get: Callable[[], Any], then: Callable[[Any], object]) -> None:
        then(get())


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FreeLab:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    command = [sys.executable, "-m", "tests.support.quick_free", "free"]
    monkeypatch.setattr(free_prompt, "_COMMAND", command)
    monkeypatch.setenv("COLUMNS", "200")
    return FreeLab(tmp_path)


def prompt(lab: FreeLab, answer: bool) -> Desk:
    desk = Desk(answer)
    FreePrompt(desk, desk).ask(lab.source, lab.destination)  # type: ignore[arg-type]
    return desk


def test_it_asks_with_the_plan_frees_and_brings_back(lab: FreeLab) -> None:
    desk = prompt(lab, answer=True)
    (question,) = desk.asked
    assert "6 files" in question and str(lab.grace) in question and "kept for 7 days" in question
    assert lab.kept == lab.contents and lab.here == {}
    assert "The source is freed: its 6 files" in desk.logged[-1][1] and not desk.problem
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
