"""Why something is as it is, as a code with fields: what engine and front ends tell each other instead of sentences.

The words are in wording.py, and where a front end's differ in its own. Copy workers use this too: nothing heavy here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from softcopy_napari.engine.reason_codes import ReasonCode as ReasonCode

_DEEPEST = 8
"""Reasons within reasons, at most, in what another process sends."""
_LARGEST = 1 << 63
_CODE = "code"


class Reason(NamedTuple):
    """A code and what there is to say with it."""

    code: str
    """A `ReasonCode`, or one of another version's."""
    fields: tuple[tuple[str, Any], ...] = ()
    """Paths, counts, bytes, seconds, Unix times by name, as str, int or float; or a `Reason`, or a tuple of them."""


def make_reason(code: ReasonCode, **fields: str | int | float | Reason | tuple[Reason, ...] | None) -> Reason:
    """Return a reason; fields that are None or empty texts are left out."""
    return Reason(code, tuple((name, value) for name, value in fields.items() if value is not None and value != ""))


def quote_text(text: str) -> Reason:
    """Return words that have no code of their own as a reason."""
    return Reason(ReasonCode.TEXT, ((ReasonCode.TEXT.value, text),))


def encode_reason(reason: Reason) -> dict[str, Any]:
    """Return a reason as plain JSON: its code and its fields beside each other."""
    return {_CODE: str(reason.code), **{name: _encode(value) for name, value in reason.fields}}


def _encode(value: Any) -> Any:
    if isinstance(value, Reason):
        return encode_reason(value)
    return [encode_reason(one) for one in value] if isinstance(value, tuple) else value


def decode_reason(sent: Any, depth: int = 0) -> Reason:
    """Return a reason that was sent as plain JSON.

    Raises
    ------
    ValueError
        It is none. A code that this version does not know is no mistake.
    """
    if not isinstance(sent, Mapping) or not isinstance(sent.get(_CODE), str) or depth > _DEEPEST:
        raise ValueError("is no reason")
    fields = {name: _decode(value, depth) for name, value in sent.items() if name != _CODE}
    if not all(isinstance(name, str) and name.isidentifier() for name in fields):
        raise ValueError("is no reason")
    return Reason(sent[_CODE], tuple(fields.items()))


def _decode(value: Any, depth: int) -> Any:
    match value:
        case list():
            return tuple(decode_reason(one, depth + 1) for one in value)
        case Mapping():
            return decode_reason(value, depth + 1)
        case str():
            return value
        case int() if abs(value) < _LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
    raise ValueError("is no field of a reason")
