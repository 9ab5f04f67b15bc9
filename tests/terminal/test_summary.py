"""The status of running copies, and what they say of pace and forecast."""

from __future__ import annotations

import pytest

from softcopy_napari.terminal.summary import show_status
from tests.terminal.snapshots import FINISH_HINT, GIVES_WAY, KEEPS_UP, SHORT, WAITING, engine, engine_with


def test_status_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine()])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [GIVES_WAY, KEEPS_UP, SHORT]


def test_status_says_which_command_ends_an_acquisition_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    show_status([engine_with(**WAITING)])
    assert capsys.readouterr().out.splitlines()[-1].strip() == FINISH_HINT
