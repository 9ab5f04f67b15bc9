"""A wrong count ends a copy too early or never; a torn map crashes whoever shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.inventory.ledger import Ledger, remove_ledger
from softcopy_napari.engine.states import ChunkState
from tests.engine.support import until


def true_counts(ledger: Ledger) -> list[int]:
    return np.bincount(ledger.flat, minlength=len(ChunkState)).tolist()


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 59), min_size=1), st.sampled_from(ChunkState), st.booleans()),
        max_size=20,
    )
)
def test_counts_are_those_of_the_cells(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[set[int], ChunkState, bool]]
) -> None:
    ledger = Ledger(tmp_path_factory.getbasetemp() / "counts" / "1.npy", (3, 4, 5))
    assert ledger.counts == [60, 0, 0, 0, 0, 0, 0]
    for cells, state, at_once in changes:
        if at_once:
            ledger.set_many(np.array(sorted(cells), np.int64), state)
        else:
            for cell in cells:
                ledger.set(cell, state)
        assert ledger.get(min(cells)) == state
    assert ledger.counts == true_counts(ledger)


def test_another_process_sees_changes_in_the_shape_of_the_grid(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "1.npy", (2, 3))
    code = (
        f"import numpy as np; a = np.load({str(ledger.path)!r}, mmap_mode='r'); print(a.shape, a.dtype, flush=True)\n"
    )
    code += "import sys; sys.stdin.readline(); print(a.tolist(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "(2, 3) uint8\n"
        ledger.set(5, ChunkState.COPIED)
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "[[0, 0, 0], [0, 0, 4]]\n"


def test_a_zero_dimensional_array_has_one_chunk_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "1.npy", ())
    ledger.set(0, ChunkState.PENDING)
    assert ledger.find(ChunkState.PENDING, 0, 10).tolist() == [0]
    shown = np.load(ledger.path, mmap_mode="r")
    assert shown.shape == () and shown == ChunkState.PENDING
    older = ledger
    newer = Ledger(tmp_path / "2.npy", ())
    newer.copy_states(older)
    assert newer.counts == [0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("grid", [(0,), (0, 5), (4, 0, 2)])
def test_an_array_without_chunk_files_can_be_followed_and_grow(tmp_path: Path, grid: tuple[int, ...]) -> None:
    empty = Ledger(tmp_path / "1.npy", grid)
    assert empty.counts == [0] * 7
    assert empty.find(ChunkState.PENDING, 0, 100).tolist() == []
    assert np.load(empty.path).shape == grid
    grown = Ledger(tmp_path / "2.npy", tuple(n + 1 for n in grid))
    grown.copy_states(empty)
    assert grown.counts == true_counts(grown)
    empty.copy_states(grown)
    assert empty.counts == [0] * 7


@given(st.tuples(*[st.integers(0, 4)] * 3), st.tuples(*[st.integers(0, 4)] * 3))
def test_growing_and_shrinking_keeps_the_states_of_the_chunks_that_remain(
    tmp_path_factory: pytest.TempPathFactory, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "growth"
    old = Ledger(folder / "1.npy", before)
    for cell in range(len(old.flat)):
        old.set(cell, ChunkState(cell % len(ChunkState)))
    new = Ledger(folder / "2.npy", after)
    new.copy_states(old)
    assert new.counts == true_counts(new)
    there = old.flat.reshape(before)
    for index in np.ndindex(*after):
        inside = all(i < n for i, n in zip(index, before, strict=True))
        assert new.flat.reshape(after)[index] == (there[index] if inside else ChunkState.ABSENT)


def test_a_map_of_a_ledger_that_was_replaced_or_removed_stays_readable(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "1.npy", (1000, 1000))
    ledger.set(7, ChunkState.FAILED)
    shown = np.load(ledger.path, mmap_mode="r")
    Ledger(tmp_path / "1.npy", (2,)).set(0, ChunkState.COPIED)
    assert shown[0, 7] == ChunkState.FAILED and not shown[999].any()
    remove_ledger(ledger.path)
    assert not (tmp_path / "1.npy").exists()
    assert shown[0, 7] == ChunkState.FAILED and not shown[999].any()
    remove_ledger(ledger.path)  # once more does no harm


def test_ten_million_chunk_files_take_ten_megabytes_of_disk_at_most_and_are_found_in_blocks(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "1.npy", (10, 1000, 1000))
    ledger.set_many(np.array([0, 1, 9_999_999]), ChunkState.PENDING)
    assert ledger.find(ChunkState.PENDING, 0, 1 << 20).tolist() == [0, 1]
    assert ledger.find(ChunkState.PENDING, 9 << 20, 10 << 20).tolist() == [9_999_999]
    assert ledger.path.stat().st_size < 10_001_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs a small file system of its own")
def test_a_full_disk_under_the_state_folder_does_not_kill_the_engine(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        code = f"""if True:
            from pathlib import Path
            import numpy as np
            from softcopy_napari.engine.inventory.ledger import Ledger, remove_ledger
            try:
                ledger = Ledger(Path({str(small)!r}) / "1.npy", (1 << 20,))
            except OSError:
                raise SystemExit(0)
            ledger.set_many(np.arange(1 << 20), 2)
            """
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20)
    finally:
        assert until(lambda: subprocess.run(["umount", str(small)], capture_output=True).returncode == 0)
    assert done.returncode == 0, f"ended with {done.returncode} (-7 is SIGBUS)"


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("hard", [4096, 256], ids=["a limit that may be raised", "one that may not"])
def test_a_plate_of_a_thousand_arrays_does_not_run_out_of_open_files(tmp_path: Path, hard: int) -> None:
    code = f"""if True:
        import resource
        from pathlib import Path
        from softcopy_napari.engine.inventory.ledger import Ledger, remove_ledger
        from softcopy_napari.engine.session_limits import allow_many_files
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
        allow_many_files()
        ledgers = [Ledger(Path({str(tmp_path)!r}) / f"{{n}}.npy", (2, 2)) for n in range(1000)]
        ledgers[-1].set(3, 2)
        assert ledgers[-1].get(3) == 2
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
