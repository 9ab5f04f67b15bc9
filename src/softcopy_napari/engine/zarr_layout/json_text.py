"""Reads JSON documents as zarr's writers in all languages leave them.

Deviations that can have only one meaning are accepted: bytes of an older, longer version after the end of the document
(acquire-zarr up to 0.8.1), comments, commas before a closing bracket, numbers of any size.
"""

from __future__ import annotations

import json
import re

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.zarr_layout.array_layout import LayoutError

_SPACE = re.compile(r"[ \t\r\n]*+")
# Possessive, and to the end of the text where no end is found, so that each takes linear time on any text.
_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\]++|\\.)*+"?+)|//[^\r\n]*+|/\*(?:.*?\*/|.*+)', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+"?+)|,(?=[ \t\r\n]*+[}\]])', re.DOTALL)


def read_json(content: bytes) -> tuple[object, Reason | None]:
    """Read the JSON document that a metadata file begins with.

    Returns
    -------
    tuple of object and Reason or None
        The document, and what users should know about the file.

    Raises
    ------
    LayoutError
        The document is missing, incomplete or damaged.
    """
    # Outside of strings JSON is ASCII, and no string with undecodable bytes is used: so these may be replaced.
    text = content.decode("utf-8-sig", "replace")
    if _is_blank(text):
        raise LayoutError(ReasonCode.FILE_EMPTY)
    try:
        document, end = _decode(text)
    except json.JSONDecodeError as error:
        text = _without_comments(text)
        try:
            document, end = _decode(text)
        except json.JSONDecodeError:
            where = {"line": error.lineno, "column": error.colno}
            raise LayoutError(ReasonCode.JSON_INVALID, **where, problem=error.msg) from None
    rest = text[end:]
    clean = _is_blank(rest) or _is_blank(_without_comments(rest))
    return document, None if clean else make_reason(ReasonCode.JSON_LEFTOVER)


def _decode(text: str) -> tuple[object, int]:
    start = _end_of_space(text)
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except RecursionError:
        raise LayoutError(ReasonCode.JSON_TOO_DEEP) from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses integers of thousands of digits; as floats they are infinite
        return json.JSONDecoder(parse_int=float).raw_decode(text, start)


def _end_of_space(text: str) -> int:
    space = _SPACE.match(text)
    return space.end() if space else 0


def _is_blank(text: str) -> bool:
    return _end_of_space(text) == len(text)


def _without_comments(text: str) -> str:
    """Return the text without comments and without commas before a closing bracket."""
    return _STRING_OR_COMMA.sub(_string_or_space, _STRING_OR_COMMENT.sub(_string_or_space, text))


def _string_or_space(match: re.Match[str]) -> str:
    return match[1] or " "
