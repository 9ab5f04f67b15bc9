"""`max_rate` as its users write it: every spelling, every mistake, and which rate it means at which time."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from softcopy_napari.engine.targets.rate_schedule import FULL, RateError, RateSchedule, parse_schedule
from softcopy_napari.engine.targets.target import Settings, settings_problem

MB = 1e6
OFFICE = {"09:00-18:00": "50MB/s", "else": "full"}
NIGHT = {"22:00-06:30": "full", "12:00-13:00": "1 GB/s", "else": "10 MiB/s"}


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("200 MB/s", 200 * MB),
        ("200MB/s", 200 * MB),
        ("200 MB / s", 200 * MB),
        ("200MBps", 200 * MB),
        ("500 kB/s", 5e5),
        ("500 KB/s", 5e5),
        ("1.5 GB/s", 1.5e9),
        ("2 TB/s", 2e12),
        ("1 KiB/s", 1024),
        ("10 MiB/s", 10 * 2**20),
        ("0.5 GiB/s", 2**29),
        ("full", math.inf),
        ("Full", math.inf),
        (None, math.inf),
        (200, 200 * MB),
        ("200", 200 * MB),
        (0.5, 5e5),
    ],
)
def test_a_rate_is_understood_however_it_is_spelled(value: object, rate: float) -> None:
    assert {parse_schedule(value).at(minute) for minute in (0, 700, 1439)} == {rate}


@pytest.mark.parametrize(
    ("value", "time", "rate"),
    [
        (OFFICE, "08:59", math.inf),
        (OFFICE, "09:00", 50 * MB),
        (OFFICE, "17:59", 50 * MB),
        (OFFICE, "18:00", math.inf),
        (NIGHT, "21:59", 10 * 2**20),
        (NIGHT, "22:00", math.inf),
        (NIGHT, "00:00", math.inf),
        (NIGHT, "06:29", math.inf),
        (NIGHT, "06:30", 10 * 2**20),
        (NIGHT, "12:30", 1e9),
        ({"00:00-24:00": "1 MB/s"}, "23:59", MB),
        ({"23:00-24:00": "1 MB/s", "00:00-01:00": "2 MB/s"}, "00:00", 2 * MB),
        ({"9:00-10:00": "1 MB/s"}, "12:00", math.inf),
        ("09:00-18:00: 50 MB/s, else: 1 GB/s", "12:00", 50 * MB),
        ("{09:00-18:00: 50 MB/s, else: 1 GB/s}", "20:00", 1e9),
        ("09:00-18:00 50MB/s, else full", "12:00", 50 * MB),
        ("09:00-18:00: 50, else: full", "12:00", 50 * MB),
        ({"09:00-18:00": 50}, "12:00", 50 * MB),
    ],
)
def test_the_time_of_day_decides(value: object, time: str, rate: float) -> None:
    hour, minute = map(int, time.split(":"))
    assert parse_schedule(value).at(60 * hour + minute) == rate


A_RATE = "must be a rate such as 200 MB/s, or full, or rates by time of day"
ONE_RATE = "must be a rate such as 50 MB/s, or full"


@pytest.mark.parametrize(
    ("value", "words", "key"),
    [
        ("200/s", f'{A_RATE}, not the text "200/s"; did you mean "200 MB/s"?', ""),
        (-200, f"{A_RATE}, not -200", ""),
        (math.nan, f"{A_RATE}, not nan", ""),
        (1 << 2000, f"{A_RATE}, not a huge number", ""),
        (0, f"{A_RATE}, at least 1 kB/s, not 0; to copy nothing, pause", ""),
        ("200 MB", f'{A_RATE}, not the text "200 MB"; did you mean "200 MB/s"?', ""),
        ("200 mb/s", f'{A_RATE}, not the text "200 mb/s"; did you mean "200 MB/s"?', ""),
        ("1 gib/s", f'{A_RATE}, not the text "1 gib/s"; did you mean "1 GiB/s"?', ""),
        ("200 Mbit/s", f'{A_RATE}, not the text "200 Mbit/s"; write bytes: 8 Mbit/s are 1 MB/s', ""),
        ("fulll", f'{A_RATE}, not the text "fulll"; did you mean "full"?', ""),
        ("fast", f'{A_RATE}, not the text "fast"', ""),
        ("", f"{A_RATE}, not an empty text", ""),
        ("a\nb", f'{A_RATE}, not the text "a\\nb"', ""),
        ("-5 MB/s", f'{A_RATE}, not the text "-5 MB/s"', ""),
        ("0 MB/s", f'{A_RATE}, at least 1 kB/s, not the text "0 MB/s"; to copy nothing, pause', ""),
        (True, f"{A_RATE}, not true", ""),
        ([], f"{A_RATE}, not a list", ""),
        ({}, f"{A_RATE}, not an empty mapping", ""),
        (
            {"09:00-18:00": "50 MB"},
            f'at 09:00-18:00 {ONE_RATE}, not the text "50 MB"; did you mean "50 MB/s"?',
            "09:00-18:00",
        ),
        ({"else": {}}, f"at else {ONE_RATE}, not a mapping", "else"),
        (
            {"9-18": "full"},
            'has "9-18", which is not a time of day; write it as in 09:00-18:00, or "else" for all other times',
            "9-18",
        ),
        ({"esle": "full"}, 'has "esle", which is not a time of day; did you mean "else"?', "esle"),
        ({"09:00-25:00": "full"}, 'has "09:00-25:00", which is not a time of day; a day has 00:00 to 24:00', None),
        ({"09:60-10:00": "full"}, 'has "09:60-10:00", which is not a time of day; a day has 00:00 to 24:00', None),
        ({"24:00-01:00": "full"}, 'has "24:00-01:00", which is not a time of day; a day has 00:00 to 24:00', None),
        ({"09:00-09:00": "full"}, 'has "09:00-09:00", which is no time at all; the whole day is 00:00-24:00', None),
        (
            {"22:00-06:00": "full", "05:00-07:00": "1 MB/s"},
            "has 22:00-06:00 and 05:00-07:00, which overlap; give each time of day one rate",
            "05:00-07:00",
        ),
        ("9:00 to 18:00", None, ""),
        ("09:00-10:00: full, 09:00-10:00: full", "has 09:00-10:00 twice; remove one", "09:00-10:00"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(value: object, words: str | None, key: str | None) -> None:
    with pytest.raises(RateError) as caught:
        parse_schedule(value)
    assert words is None or str(caught.value) == words
    assert str(caught.value).isprintable()
    assert key is None or caught.value.key == key


def test_a_wrong_option_is_told_in_the_same_words() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(max_rate="fast")  # type: ignore[arg-type]
    assert settings_problem(caught.value, "--") == f'--max-rate {A_RATE}, not the text "fast"'


RATES = st.one_of(
    st.just("full"),
    st.builds(lambda n, unit: f"{n} {unit}/s", st.integers(1, 10**6), st.sampled_from(["kB", "MB", "GiB"])),
)


@st.composite
def mappings(draw: st.DrawFn) -> dict[str, str]:
    """Times of day that do not overlap, in any order, the last one past midnight."""
    edges = draw(st.lists(st.integers(0, 1439), min_size=2, max_size=8, unique=True).map(sorted))
    pairs = [*itertools.pairwise(edges), (edges[-1], edges[0])]
    spans = {f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}": draw(RATES) for a, b in pairs}
    return dict(draw(st.permutations(list(spans.items()))))


@given(st.one_of(RATES, mappings()))
def test_what_is_written_down_is_read_as_it_was(value: str | dict[str, str]) -> None:
    rate = parse_schedule(value)
    assert parse_schedule(rate.setting()) == parse_schedule(str(rate)) == rate
    assert rate.setting() == value or rate.spans
    assert all(rate.at(minute) >= 1000 for minute in range(0, 1440, 7))


@given(mappings(), st.integers(0, 1439))
def test_one_rate_counts_at_any_time(value: dict[str, str], minute: int) -> None:
    def covers(span: str) -> bool:
        start, end = (60 * int(part[:2]) + int(part[3:]) for part in span.split("-"))
        return start <= minute < end if start < end else not end <= minute < start

    (rate,) = [rate for span, rate in value.items() if covers(span)]
    assert parse_schedule(value).at(minute) == parse_schedule(rate).at(0)


@given(st.one_of(st.text(), st.dictionaries(st.text(max_size=12), st.one_of(st.text(max_size=12), st.none()))))
def test_whatever_is_written_is_a_rate_or_one_line_of_explanation(value: object) -> None:
    words = ""
    try:
        assert isinstance(parse_schedule(value), RateSchedule)
    except RateError as error:
        words = str(error)
    assert words.isprintable()


def test_no_limit_is_no_limit() -> None:
    assert parse_schedule("full") == parse_schedule(None) == FULL == Settings().max_rate
    assert str(FULL) == "full"
