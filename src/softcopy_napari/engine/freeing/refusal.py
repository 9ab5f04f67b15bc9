"""Why a source is not freed, or freed files are not deleted."""

from __future__ import annotations

from typing import NoReturn

from softcopy_napari.engine.errors import ReasonError
from softcopy_napari.engine.reasons import Reason, ReasonCode


class FreeRefused(ReasonError):
    """A source is not freed, not any further, or freed files are not given back or deleted; the message says why."""


def refuse(code: ReasonCode, **fields: str | int | float | Reason | None) -> NoReturn:
    """Raise a `FreeRefused`."""
    raise FreeRefused(code, **fields)
