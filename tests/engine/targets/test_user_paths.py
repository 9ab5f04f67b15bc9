"""What people type or paste as a path never becomes a folder of that name by mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.targets import user_paths
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.targets.user_paths import find_address, spell_path, unwrap_path, written_path
from tests.support.command import softcopy

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows spells paths in its own way")
HERE = Path(os.path.abspath("/here"))


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.setenv("RUN", "7")
    monkeypatch.setenv("BUCKET", "s3://lab")
    monkeypatch.setenv("NOTHING", "")
    monkeypatch.delenv("USERPROFILE", raising=False)


@POSIX
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("s3://bucket/a.zarr", "an S3 bucket"),
        ("S3://bucket/a.zarr", "an S3 bucket"),
        ("s3:/bucket/a.zarr", "an S3 bucket"),  # what pathlib makes of it
        ("s3:bucket/a.zarr", "an S3 bucket"),
        ("s3:", "an S3 bucket"),
        ("gs://b/a", "a Google Cloud bucket"),
        ("az://b/a", "an Azure container"),
        ("abfss://c@account.dfs.core.windows.net/a", "an Azure container"),
        ("https://example.org/a.zarr", "a web address"),
        ("globus:ddb59aef-6d04-11e5-ba46-22000b92c6ec/a.zarr", "a Globus collection"),
        ("globus://ddb59aef/a.zarr", "a Globus collection"),
        ("smb://nas/lab/a.zarr", "a network share"),
        ("//nas/lab/a.zarr", "a network share"),
        ("sftp://nas/lab/a.zarr", "a folder on another computer"),
        ("nas:/lab/a.zarr", "a folder on another computer"),
        ("nas:lab/a.zarr", "a folder on another computer"),
        ("nas:~/a.zarr", "a folder on another computer"),
        ("10.0.0.7:/lab/a.zarr", "a folder on another computer"),
        ("[fe80::1]:/lab/a.zarr", "a folder on another computer"),
        ("ada@nas.lab.org:/a.zarr", "a folder on another computer"),
        ("ada@nas:7/a.zarr", "a folder on another computer"),
        ("simplecache::s3://bucket/a", "an address"),
        ("gdrive://lab/a.zarr", "an address"),
        (" \u201cs3://bucket/a.zarr\u201d", "an S3 bucket"),
        ("$BUCKET/a.zarr", "an S3 bucket"),
        ("file://nas/lab/a.zarr", "is a file URL of another computer"),
        ("file:a.zarr", "is a file URL of another computer"),
    ],
)
def test_an_address_is_refused_with_what_it_looks_like(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        written_path(text, HERE)


@POSIX
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("./s3:", "/here/s3:"),
        ("./s3:/bucket", "/here/s3:/bucket"),
        ("/data/s3:", "/data/s3:"),
        ("data/nas:/a", "/here/data/nas:/a"),
        ("run_12:30.zarr", "/here/run_12:30.zarr"),
        ("2024-01-31T12:30:00.zarr", "/here/2024-01-31T12:30:00.zarr"),
        ("my run: control", "/here/my run: control"),
        ("a:b", "/here/a:b"),
        ("file:///data/a%20b.zarr", "/data/a b.zarr"),
        ("FILE:///data/100%25.zarr", "/data/100%.zarr"),
        ("file://localhost/data/%C3%BC", "/data/\u00fc"),
        ("file:/data/a", "/data/a"),
        ("file:///data/$HOME", "/data/$HOME"),
        ('"file:///data/a"', "/data/a"),
        ("$HOME/a", "/home/ada/a"),
        ("${HOME}/a", "/home/ada/a"),
        ("%HOME%/a", "/home/ada/a"),
        ("$env:HOME/a", "/home/ada/a"),
        ("/data/run$RUN.zarr", "/data/run7.zarr"),
        ("/data/run$$RUN.zarr", "/data/run$RUN.zarr"),
        ("/data/cost$/$1", "/data/cost$/$1"),
        ("/data/10%FBS_5%CO2", "/data/10%FBS_5%CO2"),
        ("\u201c/data/a b.zarr\u201d", "/data/a b.zarr"),
        ("\u201e/data/a.zarr\u201c", "/data/a.zarr"),
        ("\u2018/data/a.zarr\u2019", "/data/a.zarr"),
        ("\u00ab /data/a.zarr \u00bb", "/data/a.zarr"),
        ('"/data/a.zarr"', "/data/a.zarr"),
        ("'/data/a.zarr'", "/data/a.zarr"),
        ("  /data/a.zarr\u00a0", "/data/a.zarr"),
        ("\u202a/data/a.zarr", "/data/a.zarr"),
        ("/data/students\u2019", "/data/students\u2019"),
        ("/data/the \u201cbig\u201d", "/data/the \u201cbig\u201d"),
        ("/data/5'", "/data/5'"),
        ("./'a", "/here/'a"),
    ],
)
def test_what_is_meant_is_read(text: str, path: str) -> None:
    assert written_path(text, HERE) == Path(path)


@POSIX
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$NO_SUCH/a", r"the variable \$NO_SUCH in it, which is not set"),
        ("${NO_SUCH}/a", r"the variable \$\{NO_SUCH\} in it, which is not set"),
        ("$NOTHING/a", r"\$NOTHING in it, which is not set"),
        ("%USERPROFILE%\\data", "the variable %USERPROFILE% in it, which is not set"),
        ("/data/%USERNAME%/a", "%USERNAME%"),
        ("/data/$(date).zarr", "has a command in it"),
        ("\u201c/data/my", "a quotation mark without its partner"),
        ("run.zarr\u201d", "a quotation mark without its partner"),
        ("'", "a quotation mark without its partner"),
        ('""', "is empty"),
        ("/data/" + "n" * 256, "a name of more than 255 bytes"),
        ("\u4e2d" * 86 + "/a", "a name of more than 255 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        written_path(text, HERE)


def test_a_path_that_a_program_made_is_taken_as_it_is() -> None:
    made = Path(os.path.abspath("/data/$HOME/a"))
    target = make_target(made, HERE, Settings())
    assert target.source == made


def test_windows_drives_are_no_schemes_and_its_variables_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_paths.os, "name", "nt")
    assert not find_address("C:\\data\\a.zarr")
    assert not find_address("c:/data")
    assert not find_address("D:")
    assert not find_address("\\\\nas\\lab")
    assert not find_address("//nas/lab")
    assert find_address("s3://bucket/a")
    assert find_address("nas:/lab")
    assert unwrap_path("file:///C:/data/a%20b") == "C:/data/a b"
    assert unwrap_path("file://nas/lab/a") == "//nas/lab/a"
    assert unwrap_path('"C:\\data\\a.zarr"') == "C:\\data\\a.zarr"
    expanded = user_paths._expand_variables(
        "%USERPROFILE%\\a_%DAY%_%NO%", {"USERPROFILE": "C:\\Users\\ada", "DAY": "1"}
    )
    assert expanded == "C:\\Users\\ada\\a_1_%NO%"
    with pytest.raises(ValueError, match="%NO%"):
        user_paths._expand_variables("%NO%\\a", {})


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12))
def test_a_path_that_is_spelled_is_read_as_itself_or_refused(name: str) -> None:
    path = Path(os.path.abspath(f"/data/{name}"))
    try:
        found = written_path(spell_path(path), HERE)
    except ValueError:
        return
    assert found == path or "%" in name


@pytest.mark.skipif(os.name != "posix", reason="a shell's current folder")
@pytest.mark.parametrize("written", ["s3://bucket/a.zarr", "nas:/lab/a.zarr", "$NO_SUCH/a.zarr", "\u201ca b.zarr"])
def test_nothing_is_copied_into_a_folder_that_is_called_like_an_address(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    for arguments in (("a.zarr", written), (written, "b.zarr"), ("check", "a.zarr", written), ("verify", written)):
        done = softcopy(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("softcopy: ")
    assert set(os.listdir(tmp_path)) <= {"a.zarr", "state"}, "state is softcopy's own"


@pytest.mark.skipif(os.name != "posix", reason="variables as a shell spells them")
@pytest.mark.parametrize(
    "written", ["targets.yaml", "$LAB/targets.yaml", "file://{}/targets.yaml", "\u201ctargets.yaml\u201d"]
)
def test_a_targets_file_is_named_as_its_user_names_it_where_that_is_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("LAB", str(tmp_path))
    (tmp_path / "targets.yaml").write_text("targets:\n- source: a\n")
    done = softcopy(written.format(tmp_path), cwd=tmp_path)
    shown = "targets.yaml" if written == "targets.yaml" else str(tmp_path / "targets.yaml")
    assert done.stderr == f'softcopy: {shown}, line 2: target 1 has no "destination"; add it\n'
    assert done.returncode == 2
