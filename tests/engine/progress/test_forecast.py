"""What is foretold of a copy, and what is not, because nobody can know it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine import wording
from softcopy_napari.engine.progress.forecast import ForecastFacts, forecast
from softcopy_napari.engine.protocol.messages import ForecastSnapshot
from softcopy_napari.engine.reasons import ReasonCode

GB, TB = 10**9, 10**12
NOON = time.mktime((2026, 3, 2, 12, 0, 0, 0, 0, -1))
# 100 MB/s for the next 10,000 s: until 14:46:40.
LIVE = ForecastFacts(NOON, True, 1e8, 2e8, 0, TB, True, 50 * TB, 5 * TB)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have times of day told as they are at noon."""
    monkeypatch.setattr(wording.time, "time", lambda: NOON)


@pytest.mark.parametrize(
    ("changes", "words", "after"),
    [
        ({}, "Keeping up. Done about 14:46", 0.0),
        # 10,000 s at 50 MB/s behind are 500 GB, which take 10,000 s.
        (
            {"copy_rate": 5e7},
            "Done about 2.8 h after the acquisition, which ends about 14:46",
            10_000.0,
        ),
        (
            {"copy_rate": 1e8, "waiting": 24 * GB},
            "Done about 4 min after the acquisition, which ends about 14:46",
            240.0,
        ),
        ({"waiting": 900 * GB}, "Keeping up. Done about 14:46", 0.0),
        (
            {"acquisition_rate": 1e7},
            "Keeping up. Done about Tue 15:46",
            0.0,
        ),
        # Not known: how much is to come, how fast, or whether at all.
        ({"all_known": False}, "", None),
        ({"coming": None}, "", None),
        ({"coming": 0}, "", None),
        ({"acquisition_rate": None}, "", None),
        ({"acquisition_rate": 0.0}, "", None),
        ({"copy_rate": None}, "", None),
        ({"acquiring": False}, "", None),
        (
            {"all_known": False, "copy_rate": 5e7, "waiting": 100 * GB},
            "Falling behind the acquisition: 100 MB/s written, 50.0 MB/s copied",
            None,
        ),
        ({"all_known": False, "copy_rate": 5e7, "waiting": GB}, "", None),
    ],
)
def test_when_the_copy_will_be_complete(changes: dict[str, object], words: str, after: float | None) -> None:
    found = forecast(replace(LIVE, **changes))
    assert (found.words, found.complete_after, found.warnings) == (words, after, ())


SHORT = "Not enough space:"
FULL_AT = "The source's disk is full at"


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({"destination_free": TB - 1}, []),
        ({"destination_free": 900 * GB}, [f"{SHORT} 100 GB missing if all chunks come"]),
        ({"destination_free": 0, "coming": 1200 * GB}, [f"{SHORT} 1.2 TB missing if all chunks come"]),
        ({"destination_free": 900 * GB, "waiting": TB, "coming": None}, [f"{SHORT} 100 GB missing"]),
        ({"destination_free": 900 * GB, "acquiring": False}, []),
        ({"destination_free": None}, []),
        # Of some arrays nothing is there yet: what is known is too much all the same.
        ({"destination_free": 900 * GB, "all_known": False}, [f"{SHORT} 100 GB missing if all chunks come"]),
        (
            {"source_free": 500 * GB},
            [f"{FULL_AT} 13:23, before the acquisition is over: 500 GB missing"],
        ),
        ({"source_free": TB}, []),
        ({"source_free": None}, []),
        ({"source_free": 0, "acquisition_rate": 0.0}, []),
        ({"source_free": 500 * GB, "coming": None}, [f"{FULL_AT} 13:23 if the acquisition continues at this rate"]),
        (
            {"source_free": 5 * TB, "all_known": False},
            [f"{FULL_AT} Tue 01:53 if the acquisition continues at this rate"],
        ),
        ({"source_free": 500 * TB, "all_known": False}, []),
        ({"source_free": 500 * GB, "acquiring": False}, []),
        # Both on one disk: each chunk file takes its room twice.
        (
            {"source_free": 1500 * GB, "destination_free": 1500 * GB, "same_disk": True},
            [
                f"{SHORT} 500 GB missing if all chunks come",
                f"{FULL_AT} 14:05, before the acquisition is over: 500 GB missing",
            ],
        ),
    ],
)
def test_which_disk_will_be_full(changes: dict[str, object], warnings: list[str]) -> None:
    assert list(forecast(replace(LIVE, **changes)).warnings) == warnings


@pytest.mark.parametrize("acquiring", [True, False])
def test_of_what_is_not_known_nothing_is_said(acquiring: bool) -> None:
    assert forecast(ForecastFacts(NOON, acquiring)) == ForecastSnapshot()


RATES = st.one_of(st.none(), st.floats(0, 1e12))
SIZES = st.one_of(st.none(), st.integers(0, 10**19))


def test_a_copy_that_hardly_moves_falls_behind() -> None:
    """Its end is further away than a number of seconds can say."""
    found = forecast(ForecastFacts(NOON, True, 1.0, 2.3e-309, 0, 1, True))
    assert found.complete_after is None and found.completion is not None
    assert found.completion.code is ReasonCode.FALLS_BEHIND


@given(st.booleans(), RATES, RATES, st.integers(0, 10**18), SIZES, st.booleans(), SIZES, SIZES, st.booleans())
def test_whatever_is_known_something_sensible_is_said(
    acquiring: bool,
    acquired: float | None,
    copied: float | None,
    waiting: int,
    coming: int | None,
    all_known: bool,
    here: int | None,
    there: int | None,
    same: bool,
) -> None:
    facts = ForecastFacts(NOON, acquiring, acquired, copied or None, waiting, coming, all_known, here, there, same)
    found = forecast(facts)
    assert found.destination_short >= 0
    assert found.complete_after is None or found.complete_after >= 0
    assert found.source_full is None or found.source_full >= NOON
    assert len(found.warnings) == (found.destination_short > 0) + (found.source_full is not None)
