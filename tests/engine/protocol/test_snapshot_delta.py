"""What is left out of an engine's answers is put in again, whatever became of the arrays meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.protocol.messages import ArraySnapshot, EngineSnapshot, Reply, TargetSnapshot
from softcopy_napari.engine.protocol.snapshot_delta import SnapshotDelta
from softcopy_napari.engine.states import TargetState


def array(path: str, copied: int = 0) -> ArraySnapshot:
    return ArraySnapshot(
        path=path, shape=(9,), chunk_shape=(1,), grid=(9,), dtype="uint8", ledger="l.npy",
        counts=(9 - copied, 0, 0, 0, copied, 0, 0),
    )  # fmt: skip


def engine(*targets: tuple[ArraySnapshot, ...]) -> EngineSnapshot:
    return EngineSnapshot(
        pid=1,
        version="1",
        started=0.0,
        targets=tuple(
            TargetSnapshot(id=str(number), source="s", destination="d", state=TargetState.COPYING, arrays=arrays)
            for number, arrays in enumerate(targets)
        ),
    )


def sent(reply: Reply) -> Reply:
    return Reply.model_validate_json(reply.model_dump_json())


paths = st.sampled_from("abcdef")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), paths, st.integers(0, 9)),
        st.tuples(st.just("add"), paths, st.integers(0, 9)),
        st.tuples(st.just("drop"), paths, st.just(0)),
        st.tuples(st.just("ask"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


@given(steps)
def test_both_sides_always_know_the_same(steps: list[tuple[str, str, int]]) -> None:
    here, there = SnapshotDelta(), SnapshotDelta()
    arrays: dict[str, ArraySnapshot] = {}
    for step, path, copied in [*steps, ("ask", "", 0)]:
        if step == "ask":
            now = engine(tuple(arrays.values()), (array("other"),))
            assert there.decode(sent(here.encode(now))) == now
        elif step == "drop":
            arrays.pop(path, None)
        elif step == "add" or path in arrays:
            arrays[path] = array(path, copied)


def test_only_what_is_new_is_told_again() -> None:
    here = SnapshotDelta()
    old = tuple(array(f"{number}") for number in range(1000))
    assert len(here.encode(engine(old)).model_dump_json()) > 100_000
    now = (*old[:10], array("10", copied=3), *old[11:], array("1000"))
    reply = here.encode(engine(now))
    assert reply.snapshot is not None
    assert reply.snapshot.targets[0].arrays == (array("10", copied=3), array("1000")) and reply.left_out == (999,)
    assert len(reply.model_dump_json()) < 2000
    here.forget()
    assert here.encode(engine(now)) == Reply(snapshot=engine(now), left_out=(0,))


@pytest.mark.parametrize("left_out", [(5,), (), (1, 1), (1,)])
def test_an_answer_that_leaves_out_what_was_never_told_is_refused(left_out: tuple[int, ...]) -> None:
    told = SnapshotDelta()
    reply = Reply(snapshot=engine((array("a"),)), left_out=left_out)
    if not left_out:
        assert told.decode(reply) == engine((array("a"),))
        return
    with pytest.raises(ValueError, match="had not told before"):
        told.decode(reply)
