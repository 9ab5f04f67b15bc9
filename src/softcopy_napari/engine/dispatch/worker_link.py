"""What a worker pool asks of its workers, wherever they run: copy processes of this computer, or those on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.tasks import Answer, ReleaseFileSystem, SetPace, Setup, Task

AnswerHandler = Callable[[int, Answer | list[Answer]], None]
"""Takes the id of a task and what a worker answered; called from reading threads, which it may keep waiting."""
EndHandler = Callable[[Reason | None, bool], None]
"""Takes word, once, that a worker has ended: what to tell the user of it, and whether its files may be to blame."""


class WorkerLink(Protocol):
    """One worker, which is given tasks and answers them. No method waits for the worker, but for `wait`."""

    @property
    def is_at_work(self) -> bool:
        """Whether it has begun what it was given; while that waits for its turn, silence means nothing."""

    @property
    def has_ended(self) -> bool:
        """Whether it can do nothing any more."""

    @property
    def name(self) -> str:
        """What to call it, to a user: `copy process 4711`."""

    def takes(self, kind: type[Task]) -> bool:
        """Whether it may be given tasks of a kind now."""

    def send(self, message: Task | ReleaseFileSystem) -> None:
        """Give it something to do, after what it was given before; in vain if it has ended."""

    def set_pace(self, pace: SetPace) -> None:
        """Say how fast it may go from now on, even with what it is at."""

    def close(self) -> None:
        """Have it end when it has done what it was given."""

    def kill(self) -> None:
        """Have it end whatever it is at."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""


class WorkerHost(Protocol):
    """What starts a pool's workers."""

    @property
    def problem(self) -> Reason | None:
        """Why workers do not run, or not as they should; None where they do."""

    @property
    def task_seconds(self) -> float:
        """How long a task should take now."""

    @property
    def is_remote(self) -> bool:
        """Whether its workers are on other machines: they flush what they copy themselves, as nobody here can do that,
        and one that was lost may go on for a moment."""

    def note_demand(self, missing: int, waiting: bool) -> None:
        """Note how many workers are missing, and whether there is something for them to do."""

    def start(self, setup: Setup, on_answer: AnswerHandler, on_end: EndHandler) -> WorkerLink | None:
        """Start a worker; return None where there is no place for one now.

        Raises
        ------
        OSError, RuntimeError
            It cannot be started: the system gives no process or thread.
        """

    def close(self) -> None:
        """Let go of what the workers shared, when all have ended."""
