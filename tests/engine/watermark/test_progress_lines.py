"""What all lines say together is what a program acts upon."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.watermark.progress_lines import HEAD, Claim, ProgressState, encode_claim, encode_line


def after(*lines: bytes) -> ProgressState:
    state = ProgressState()
    for line in lines:
        state.apply_line(line)
    return state


def begin(**fields: Any) -> bytes:
    return encode_line("begin", run="1", destination="/nas/a.zarr", **fields)


def claim(copied: int, changed: Any = (), array: str = "0") -> bytes:
    return encode_claim("array", array, Claim("t", copied, 0, 10), changed)


def test_a_file_begins_as_it_is_recognised_by() -> None:
    assert begin().startswith(HEAD)


def test_the_last_line_of_an_array_counts() -> None:
    state = after(begin(), claim(3), claim(5), claim(2, array="1"))
    assert state.arrays == {"0": Claim("t", 5, 0, 10), "1": Claim("t", 2, 0, 10)}


def test_an_engine_that_begins_takes_everything_back_and_remembers_what_was_told() -> None:
    state = after(begin(), claim(5), encode_line("complete", verified=False), begin(anew=False))
    assert (state.arrays, state.complete, state.claimed) == ({}, None, {"0": [(0, 5)]})
    assert after(begin(), claim(5), begin(anew=True)).claimed == {}


def test_what_has_changed_is_not_told_any_more_until_it_is_claimed_again() -> None:
    assert after(begin(), claim(8), claim(2, [(2, 3), (6, 7)])).claimed == {"0": [(0, 2), (3, 6), (7, 8)]}
    assert after(begin(), claim(8), claim(2, [(2, 3)]), claim(5)).claimed == {"0": [(0, 8)]}


@given(st.lists(st.tuples(st.integers(0, 12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=3))))
def test_what_was_told_is_what_was_claimed_less_what_has_changed(said: list[tuple[int, list[tuple[int, int]]]]) -> None:
    claimed: set[int] = set()
    lines = []
    for copied, changed in said:
        for start, stop in changed:
            claimed -= set(range(start, stop))
        claimed |= set(range(copied))
        lines.append(claim(copied, changed))
    ranges = after(begin(), *lines).claimed.get("0", [])
    assert {index for first, last in ranges for index in range(first, last)} == claimed
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))


def test_a_complete_copy_that_goes_on_is_not_complete() -> None:
    complete = [begin(), claim(5), encode_line("complete", verified=True)]
    assert after(*complete).is_over
    assert not after(*complete, encode_line("resumed")).is_over
    assert after(begin(), encode_line("end", state="stopped")).is_over


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"null", b"[]", b'"x"', b"\0" * 30, b"{}", b"\xff\xfe", b"[" * 100_000, claim(9)[:-9]),
        *(b'{"event": "progress"}', b'{"event": 3}', b'{"event": "of a later version", "copied": 9}'),
        b'{"event": "progress", "array": "0", "copied": Infinity, "verified": 0, "of": 1}',
        b'{"event": "progress", "array": "0", "copied": "x", "verified": 0, "of": 1}',
    ],
)
def test_what_is_no_line_is_passed_over(line: bytes) -> None:
    assert after(begin(), claim(3), line).arrays == {"0": Claim("t", 3, 0, 10)}


def test_a_file_of_a_later_version_is_known_as_such() -> None:
    assert not after(begin()).newer
    assert after(begin().replace(b'"softcopy_progress": 1', b'"softcopy_progress": 2')).newer


def test_names_that_are_no_text_are_spelled_in_ascii() -> None:
    line = encode_claim("array", "caf\udce9/\u00b5", Claim("", 1, 0, 1))
    assert line.isascii() and json.loads(line)["array"] == "caf\udce9/\u00b5"
    assert json.loads(line)["axis"] is None
