"""Snapshots of engines that the tests of this folder show."""

from __future__ import annotations

import time

from softcopy_napari.engine.protocol.messages import EngineSnapshot, ForecastSnapshot, PaceSnapshot, TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState

GIVES_WAY = "at most 42.0 MB/s: gives way to the acquisition"
KEEPS_UP = "Keeping up. Done about 2020-11-20 15:46"
SHORT = "Not enough space: 1.2 TB missing"
WATCHED = {
    "state": TargetState.COMPLETE,
    "completed": time.mktime((2020, 11, 20, 15, 46, 0, 0, 0, -1)),
    "watching": True,
}
FINISH_HINT = "99 chunks still to come. Over already? `softcopy finish`"
WAITING = {"state": TargetState.CAUGHT_UP, "why": make_reason(ReasonCode.CHUNKS_TO_COME, chunks=99)}


def engine(state: TargetState = TargetState.COPYING, *, limit: float | None = 42e6, count: int = 1) -> EngineSnapshot:
    why = quote_text("gives way to the acquisition") if limit is not None else None
    target = TargetSnapshot(
        id="1",
        source="/data/a.zarr",
        destination="/nas/a.zarr",
        state=state,
        pace=PaceSnapshot(limit=limit, why=why),
        forecast=ForecastSnapshot(
            completion=make_reason(ReasonCode.KEEPS_UP, end=float(WATCHED["completed"])),
            dangers=(make_reason(ReasonCode.NOT_ENOUGH_SPACE, missing=1_200_000_000_000),),
        ),
    )
    return EngineSnapshot(pid=7, version="1", started=0.0, targets=(target,) * count)


def engine_with(**changes: object) -> EngineSnapshot:
    """An engine with one target, of which there is no forecast."""
    (target,) = engine().targets
    nothing = {"pace": PaceSnapshot(), "forecast": ForecastSnapshot()}
    return engine().model_copy(update={"targets": (target.model_copy(update={**nothing, **changes}),)})
