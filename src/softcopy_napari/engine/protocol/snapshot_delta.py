"""Leaves arrays that have not changed out of an engine's answers, and fills them in again at the front end.

A plate has ten thousands of arrays, and a front end asks five times a second: to spell and read all of them each time
would take much of a core on both sides, and hold up the window.
"""

from __future__ import annotations

from itertools import zip_longest

from softcopy_napari.engine.protocol.messages import ArraySnapshot, EngineSnapshot, Reply, TargetSnapshot

_UNKNOWN_ARRAYS = "its answer left out what it had not told before"


class SnapshotDelta:
    """The arrays that one connection carried last; the engine and the front end each have one."""

    def __init__(self) -> None:
        self._arrays: dict[str, tuple[ArraySnapshot, ...]] = {}
        """Arrays by target."""

    def forget(self) -> None:
        """Send everything the next time."""
        self._arrays.clear()

    def encode(self, now: EngineSnapshot) -> Reply:
        """Return an answer with only what has changed since the last one."""
        left_out = []
        targets = []
        for target in now.targets:
            before = self._arrays.get(target.id, ())
            # Unchanged ones are the same objects, in the same places: arrays are only ever added, or all is new.
            changed = target.arrays
            if [array.path for array in before] == [array.path for array in changed[: len(before)]]:
                changed = tuple(new for new, old in zip_longest(changed, before) if new is not old)
            left_out.append(len(target.arrays) - len(changed))
            targets.append(target.model_copy(update={"arrays": changed}) if left_out[-1] else target)
            self._arrays[target.id] = target.arrays
        return Reply(snapshot=now.model_copy(update={"targets": tuple(targets)}), left_out=tuple(left_out))

    def decode(self, reply: Reply) -> EngineSnapshot | None:
        """Return the whole snapshot of an answer; None where it has none.

        Raises
        ------
        ValueError
            Something is left out that was never sent.
        """
        if reply.snapshot is None:
            return None
        left_out = reply.left_out or (0,) * len(reply.snapshot.targets)
        if len(left_out) != len(reply.snapshot.targets):
            raise ValueError(_UNKNOWN_ARRAYS)
        targets = tuple(map(self._complete, reply.snapshot.targets, left_out))
        return reply.snapshot.model_copy(update={"targets": targets})

    def _complete(self, target: TargetSnapshot, left_out: int) -> TargetSnapshot:
        arrays = target.arrays
        if left_out:
            known = {array.path: array for array in self._arrays.get(target.id, ())}
            known.update((array.path, array) for array in arrays)
            if len(known) != left_out + len(arrays):
                raise ValueError(_UNKNOWN_ARRAYS)
            arrays = tuple(known.values())
            target = target.model_copy(update={"arrays": arrays})
        self._arrays[target.id] = arrays
        return target
