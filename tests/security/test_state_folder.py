"""A state folder that others have had their hands in: run files, ledgers and locks that are none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softcopy_napari.engine.client import EngineGone, EngineHandle, engines
from softcopy_napari.engine.inventory.ledger import Ledger, open_ledger
from softcopy_napari.engine.state_folder.folder import StateFolderError, runs_folder, state_folder
from softcopy_napari.engine.state_folder.ledger_folders import clean_state_folder, ledger_folder
from softcopy_napari.engine.state_folder.run_file import RunFile, run_files
from tests.security.support import JSON, Bomb, changed, listing, run_file
from tests.support.command import softcopy

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions, fifos, links, sockets that are files")
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

TARGET = {"id": "1", "source": "/a", "destination": "/b", "state": "copying"}
ARRAY = {"path": "0", "shape": [4], "chunk_shape": [2], "grid": [2], "dtype": "u1", "ledger": "x"}
ARRAY |= {"counts": [2, 0, 0, 0, 0, 0, 0]}
RUN = run_file(address="/a/1.socket")
LAST = {"pid": 1, "version": "0", "started": 1.0, "ended": True, "targets": [{**TARGET, "arrays": [ARRAY]}]}


def put(content: Any, name: str = "") -> Path:
    """Write a run file, under the name that it should have."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path = runs_folder() / (name or RunFile.model_validate(run_file()).name)
    path.write_bytes(data)
    return path


# -- run files ---------------------------------------------------------------------------------------------


@same_folder
@given(st.binary(max_size=99) | st.builds(json.dumps, JSON | changed(st.just(RUN))))
def test_a_run_file_of_any_kind_is_used_or_ignored(content: bytes | str) -> None:
    put(content if isinstance(content, bytes) else content.encode())
    assert len(run_files()) in (0, 1)
    assert len(engines()) in (0, 1)


@same_folder
@given(changed(st.just({**RUN, "process_started": 1.0, "last": LAST})))
def test_the_last_words_of_an_engine_may_be_anything(content: Any) -> None:
    path = put(content, f"{os.getpid()}-1.json")
    for run in run_files():
        if run.last is not None:
            assert EngineHandle(run).snapshot() == run.last
            for target in run.last.targets:
                assert 0 <= target.chunk_files < 1 << 66 and target.source.isprintable()
    clean_state_folder()
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "address",
    [
        *("nowhere", "", "1.socket", "/x/../y/1.socket", "//x/1.socket", "/x/y.socket", "/var/run/docker.sock", "\0x"),
        *("127.0.0.1:80", ["127.0.0.1", 80], 5, None, "\\\\server\\pipe\\softcopy-1-" + "0" * 32, "/" + "x" * 300),
        *("\\\\.\\pipe\\other", "/x\0/1.socket", "/x/1.socket\n", "tcp://127.0.0.1", {"host": "x"}),
    ],
)
def test_only_an_address_as_engines_have_it_is_called(address: Any) -> None:
    put(run_file(address=address))
    assert run_files() == [] and engines() == []


@posix_only
@pytest.mark.parametrize("kind", ["nothing", "file", "fifo", "link"])
def test_what_is_no_socket_is_not_called(kind: str, tmp_path: Path) -> None:
    address = tmp_path / "1.socket"
    match kind:
        case "file":
            address.touch()
        case "fifo":
            os.mkfifo(address)
        case "link":
            address.symlink_to("/dev/zero")
    run = RunFile.model_validate(run_file(address=str(address)))
    with pytest.raises(EngineGone):
        EngineHandle(run).snapshot()


@posix_only
@pytest.mark.timeout(120)
def test_run_files_that_never_end_hold_up_nobody() -> None:
    runs = runs_folder()
    os.mkfifo(runs / "1-1.json")
    (runs / "2-2.json").symlink_to("/dev/zero")
    (runs / "3-3.json").mkdir()
    (runs / "4-4.json").symlink_to("4-4.json")
    os.truncate(os.open(runs / "5-5.json", os.O_CREAT | os.O_WRONLY), 1 << 40)
    (runs / "6-6.json").write_bytes(b"[" * 1_000_000)
    good = put(run_file())
    assert [run.name for run in run_files()] == [good.name]
    clean_state_folder()
    assert softcopy("status", timeout=15).returncode == 0


def test_a_run_file_under_the_name_of_another_engine_is_none() -> None:
    put(run_file(), "1-1.json")
    put(run_file(pid=1, process_started=1.0, last=LAST))
    assert run_files() == []
    clean_state_folder()
    assert len(list(runs_folder().glob("*.json"))) == 2


# -- what is cleaned up ------------------------------------------------------------------------------------


@posix_only
def test_cleaning_up_removes_ledgers_and_nothing_else(tmp_path: Path) -> None:
    """A folder of the day may be called as ledgers of an engine that has gone."""
    data = tmp_path / "data"
    (data / "20240101-120000" / "1").mkdir(parents=True)
    (data / "20240101-120000" / "1" / "image.tif").write_bytes(b"precious")
    (data / "20240101-120000" / "1" / "1.npy").write_bytes(b"precious")
    (data / "20240101-120000" / "notes.npy").write_bytes(b"precious")
    before = listing(data)
    ledgers = state_folder() / "ledgers"
    ledgers.symlink_to(data)
    data.chmod(0o700)
    clean_state_folder()
    assert listing(data) == before


@posix_only
def test_cleaning_up_follows_no_links_and_understands_odd_names(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.npy").write_bytes(b"precious")
    old = ledger_folder().with_name("999999-1")
    old.mkdir()
    (old / "1").symlink_to(outside)
    ledger_folder().with_name("999998-1").symlink_to(tmp_path)
    Ledger(old / "2" / "1.npy", (3,))
    for name in ("\u00b2-1", "9" * 200 + "-1", "1-" + "9" * 200, "-", "1-", "-1", "1-1-1", "\u0661-1"):
        ledger_folder().with_name(name).mkdir()
        (runs_folder() / f"{name}.socket").touch()
    clean_state_folder()
    assert (outside / "1.npy").read_bytes() == b"precious"
    assert not (old / "2").exists()


# -- rights ------------------------------------------------------------------------------------------------


@posix_only
def test_a_folder_that_others_may_write_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(shared))
    with pytest.raises(StateFolderError, match="others may change"):
        state_folder()
    for arguments in (("status",), ("stop",), (tmp_path / "a", tmp_path / "b")):
        done = softcopy(*arguments)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "others may change" in done.stderr and "SOFTCOPY_STATE_DIR" in done.stderr
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777 and list(shared.iterdir()) == []
    shared.chmod(0o700)


@posix_only
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root gives folders to others")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, 12345, 12345)
    monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(other))
    with pytest.raises(StateFolderError, match="belongs to another user"):
        state_folder()


@posix_only
def test_rights_that_are_too_wide_are_mended() -> None:
    runs = runs_folder()
    runs.chmod(0o777)
    assert stat.S_IMODE(runs_folder().stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["file", "file/below", "nul\0"])
def test_a_folder_that_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    if "\0" not in place:
        monkeypatch.setenv("SOFTCOPY_STATE_DIR", str(tmp_path / place))
        with pytest.raises(StateFolderError, match="cannot be used"):
            state_folder()
        assert softcopy("status").returncode == 2
        monkeypatch.undo()


# -- ledgers -----------------------------------------------------------------------------------------------


@pytest.fixture
def ledger() -> Path:
    path = ledger_folder() / "1" / "1.npy"
    Ledger(path, (2, 3))
    return path


def test_a_ledger_is_mapped_and_cannot_be_written(ledger: Path) -> None:
    cells = open_ledger(str(ledger), (2, 3))
    assert cells.shape == (2, 3) and not cells.flags.writeable
    assert open_ledger(f"C:/elsewhere/{'/'.join(ledger.parts[-3:])}").shape == (2, 3), "its place is known here"


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "/dev/zero", "1.npy", "../1-1/1/1.npy", "/x/1-1/../1.npy", "1-1/1/1.npy/", "\0/1/1.npy"]
)
def test_what_is_no_path_of_a_ledger_is_not_opened(path: str) -> None:
    with pytest.raises((OSError, ValueError)):
        open_ledger(path)


@posix_only
@pytest.mark.timeout(120)
@pytest.mark.parametrize("target", ["fifo", "/dev/zero", "elsewhere"])
def test_a_ledger_that_is_something_else_is_not_read(ledger: Path, target: str, tmp_path: Path) -> None:
    np.save(tmp_path / "elsewhere", np.zeros((2, 3), np.uint8))
    ledger.unlink()
    if target == "fifo":
        os.mkfifo(ledger)
    else:
        ledger.symlink_to(tmp_path / "elsewhere.npy" if target == "elsewhere" else target)
    with pytest.raises((OSError, ValueError)):
        open_ledger(str(ledger), (2, 3))


def test_a_ledger_that_is_a_pickle_is_not_loaded(ledger: Path, tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "boom")
    np.save(ledger, np.array([bomb, bomb], object), allow_pickle=True)
    for content in (ledger.read_bytes(), bomb.pickled()):
        ledger.unlink()
        ledger.write_bytes(content)
        with pytest.raises(ValueError, match=r"ledger|magic|EOF|reading"):
            open_ledger(str(ledger))
    assert not (tmp_path / "boom").exists()


@same_folder
@given(
    st.binary(max_size=200)
    | st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
        st.sampled_from(("'|u1'", "'|O'", "'<f8'", "[('a', '|u1')]", "None", "'|u1'" * 500)),
        st.sampled_from(("False", "True", "1")),
        st.sampled_from(("(2, 3)", "(-2, -3)", "(6,)", "()", "(2**70,)", f"({10**300}, 0)", "'x'", "(1.5,)")),
    )
)
def test_a_ledger_of_any_content_is_a_ledger_or_refused(content: bytes | str) -> None:
    path = ledger_folder() / "2" / "1.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        header = content.encode().ljust(118) + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 6
    path.write_bytes(content)
    for grid in ((2, 3), None):
        try:
            cells = open_ledger(str(path), grid)
        except (OSError, ValueError):
            continue
        assert cells.dtype == np.uint8 and cells.size in (0, 6)


def test_process_ids_of_any_size_are_of_no_running_engine() -> None:
    for pid in (1 << 22, (1 << 31) - 1):
        run = RunFile.model_validate(run_file(pid=pid, address=f"/x/{pid}.socket"))
        assert not run.alive() or psutil.pid_exists(pid)
