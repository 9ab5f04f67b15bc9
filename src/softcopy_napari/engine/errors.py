"""What is raised for mistakes that users make, and what is said where the system refuses."""

from __future__ import annotations

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.wording import describe

NO_THREADS = "the system lets this session start no more processes and threads; ulimit -u shows the limit"


class TargetsError(Exception):
    """Mistakes in targets or their file, for whoever made them; each is one line."""


class ReasonError(ValueError):
    """A value that cannot be used.

    Attributes
    ----------
    reason : Reason
        Why, as the rest of a sentence that begins with what has the value; `str()` gives its English.
    """

    def __init__(self, code: ReasonCode, **fields: str | int | float | Reason | None) -> None:
        self.reason = make_reason(code, **fields)
        super().__init__(self.reason)

    def __str__(self) -> str:
        return describe(self.reason)
