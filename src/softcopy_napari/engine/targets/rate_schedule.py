"""The setting `max_rate`: how fast a target may be copied, always or by time of day. Pure: no clock, no disk."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.targets.value_text import value_text

_FULL = "full"
_ELSE = "else"
_UNITS = {
    **{unit: 1000.0**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), start=1)},
    **{unit: 1024.0**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
}
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_RATE = re.compile(_NUMBER + r"(?: *([KMGT]iB|[kKMGT]B) *(?:/ *s|/ *sec|ps))?", re.ASCII)
_SPAN = re.compile(r"(\d\d?):(\d\d) *[-\u2013] *(\d\d?):(\d\d)", re.ASCII)
_ITEM = re.compile(r"(\d\d?:\d\d *[-\u2013] *\d\d?:\d\d|[A-Za-z]+) *[:=]? *(.*)", re.ASCII)
_DAY = 24 * 60
_LEAST = 1000.0
"""Bytes a second. Less is as good as nothing, and a pause says that better."""
_MOST_SPANS = 48
_SHOWN = 80
DESCRIPTION = "a rate such as 200 MB/s, or full, or rates by time of day"


class RateError(ValueError):
    """What is wrong with a `max_rate`, in words that go on after its name.

    Attributes
    ----------
    key : str
        Which of the times of day it is about; empty where there are none.
    """

    def __init__(self, words: str, key: str = "") -> None:
        super().__init__(words)
        self.key = key


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """How fast a target may be copied, for each minute of the day."""

    otherwise: str = _FULL
    """At all other times: a rate as it is spelled, or "full"."""
    spans: tuple[tuple[int, int, str], ...] = ()
    """From which minute of the day to before which one, and the rate then; past midnight where that is less."""

    def at(self, minute: int) -> float:
        """Return bytes a second at a minute of the day (local time, 0 to 1439); inf where there is no limit."""
        for start, end, rate in self.spans:
            if start <= minute < end or (start > end and not end <= minute < start):
                return _bytes(rate)
        return _bytes(self.otherwise)

    def setting(self) -> str | dict[str, str]:
        """Return the setting as a targets file has it."""
        if not self.spans:
            return self.otherwise
        times = {
            f"{start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}": rate
            for start, end, rate in self.spans
        }
        return {**times, _ELSE: self.otherwise}

    def __str__(self) -> str:
        """Return the setting on one line, as the command and the panel have it."""
        setting = self.setting()
        return setting if isinstance(setting, str) else ", ".join(f"{key}: {rate}" for key, rate in setting.items())


FULL = RateSchedule()
"""No limit."""


def parse_schedule(value: object) -> RateSchedule:
    """Read a setting; raise a `RateError` for what is none.

    Parameters
    ----------
    value : object
        "200 MB/s", 200 or "200" (MB/s), "full", None (as "full"), a mapping such as
        {"09:00-18:00": "50 MB/s", "else": "full"}, or that on one line: "09:00-18:00: 50 MB/s, else: full".
    """
    if isinstance(value, RateSchedule):
        return value
    if isinstance(value, Mapping):
        return _parse_times(value)
    if isinstance(value, str) and re.search(r"\d:\d", value):
        return _parse_line(value)
    return RateSchedule(_parse_rate(value))


def _parse_line(text: str) -> RateSchedule:
    items: dict[str, str] = {}
    for part in text.strip().strip("{}").split(","):
        found = _ITEM.fullmatch(part.strip().replace('"', "").replace("'", ""))
        if found is None:
            raise RateError(f"must be {DESCRIPTION}, not {value_text(text)}; write 09:00-18:00: 50 MB/s, else: full")
        if found[1] in items:
            raise RateError(f"has {found[1]} twice; remove one", found[1])
        items[found[1]] = found[2]
    return _parse_times(items)


def _parse_times(value: Mapping[Any, object]) -> RateSchedule:
    spans: list[tuple[int, int, str]] = []
    taken: dict[int, str] = {}
    otherwise = _FULL
    if not value or len(value) > _MOST_SPANS:
        words = "an empty mapping" if not value else f"more than {_MOST_SPANS} times"
        raise RateError(f"must be {DESCRIPTION}, not {words}")
    for key, rate in value.items():
        name = printable(str(key).strip())[:_SHOWN]
        try:
            spelled = _parse_rate(rate, "a rate such as 50 MB/s, or full")
        except RateError as error:
            raise RateError(f"at {name} {error}", str(key)) from None
        if name == _ELSE:
            otherwise = spelled
            continue
        start, end = _parse_span(name, str(key))
        for minute in range(start, end if end > start else end + _DAY):
            if (other := taken.setdefault(minute % _DAY, name)) is not name:
                raise RateError(f"has {other} and {name}, which overlap; give each time of day one rate", str(key))
        spans.append((start, end, spelled))
    return RateSchedule(otherwise, tuple(spans))


def _parse_span(name: str, key: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(name)
    if found is None:
        close = difflib.get_close_matches(name.lower(), [_ELSE, "otherwise"], n=1, cutoff=0.5)
        hint = '; did you mean "else"?' if close else '; write it as in 09:00-18:00, or "else" for all other times'
        raise RateError(f'has "{name}", which is not a time of day{hint}', key)
    first, last = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if int(found[2]) > 59 or int(found[4]) > 59 or first >= _DAY or last > _DAY:
        raise RateError(f'has "{name}", which is not a time of day; a day has 00:00 to 24:00', key)
    if first == last:
        raise RateError(f'has "{name}", which is no time at all; the whole day is 00:00-24:00', key)
    return first, last


def _parse_rate(value: object, allowed: str = DESCRIPTION) -> str:
    """Return a rate as it is to be spelled; a bare number is MB/s."""
    if value is None:
        return _FULL
    is_number = isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 1 << 64
    text = str(value).strip() if is_number or isinstance(value, str) else ""
    if text.lower() == _FULL:
        return _FULL
    found = _RATE.fullmatch(text)
    if found is None:
        raise RateError(f"must be {allowed}, not {value_text(value)}{_hint(text)}")
    number, unit = found[1].rstrip("."), (found[2] or "MB").replace("KB", "kB")
    if not _LEAST <= float(number) * _UNITS[unit] < math.inf:
        raise RateError(f"must be {allowed}, at least 1 kB/s, not {value_text(value)}; to copy nothing, pause")
    return f"{number} {unit}/s"


def _hint(text: str) -> str:
    """Return what may have been meant."""
    found = re.match(_NUMBER, text, re.ASCII)
    if found is None:
        return f'; did you mean "{_FULL}"?' if difflib.get_close_matches(text.lower(), [_FULL, "none", "max"]) else ""
    rest = text[found.end() :].strip().lower()
    if "bit" in rest:
        return "; write bytes: 8 Mbit/s are 1 MB/s"
    letters = re.sub(r"(/|p).*$", "", rest).strip() or "m"
    unit = next((unit for unit in _UNITS if letters in (unit.lower(), unit[:-1].lower())), "")
    return f'; did you mean "{found[1]} {unit}/s"?' if unit else ""


@lru_cache
def _bytes(rate: str) -> float:
    if rate == _FULL:
        return math.inf
    number, _, unit = rate.partition(" ")
    return float(number) * _UNITS[unit.removesuffix("/s")]


RateSetting = Annotated[
    RateSchedule, PlainValidator(parse_schedule), PlainSerializer(RateSchedule.setting, return_type=str | dict)
]
"""A `RateSchedule` in a model: validated by `parse_schedule`, and dumped as a targets file has it."""
