"""Targets files as people write them: every mistake is one clear line, and what is written is read back."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.notify import read_notify
from softcopy_napari.engine.targets.target import Settings, Target, targets_from_json, targets_to_json
from softcopy_napari.engine.targets.targets_file import dump_targets, load_targets

GOOD = "targets:\n- source: a\n  destination: b\n"
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows allows such paths, or has no such thing")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a targets file."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "targets.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def mistakes(path: Path, defaults: Settings | None = None) -> list[str]:
    """What a targets file's user is told, a line a mistake, without the path of the file."""
    with pytest.raises(TargetsError) as caught:
        load_targets(path, defaults or Settings())
    message = str(caught.value)
    lines = message.splitlines()
    assert lines and all(line.startswith(str(path)) for line in lines)
    for jargon in ("pydantic", "ValidationError", "Input should", "int_type", "Traceback", "None"):
        assert jargon not in message
    return [line.removeprefix(str(path)).lstrip(" ,") for line in lines]


def mistake(path: Path, defaults: Settings | None = None) -> str:
    """The only one."""
    (only,) = mistakes(path, defaults)
    return only


# --- what works ---------------------------------------------------------------------------------------------


def test_settings_of_a_target_override_those_of_the_command_line(write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write(
        "targets:\n"
        "  - source: /data/run.zarr\n"
        "    destination: /nas/run.zarr\n"
        "    nprocs: 8\n"
        "    sleep_time: 1\n"
        "    wait_for_source: no\n"
        "    finish_idle: 2.5e+2\n"
        "  - {source: here, destination: ../there}\n"
    )
    first, second = load_targets(path, Settings(nprocs=2, settle=5.0))
    assert first.source == Path("/data/run.zarr").absolute()
    assert first.model_dump(exclude={"source", "destination", "check", "by_content", "detached"}) == {
        "nprocs": 8,
        "sleep_time": 1.0,
        "wait_for_source": False,
        "kind": "zarr",
        "marker": "complete",
        "settle": 5.0,
        "finish_idle": 250.0,
        "linger": None,
        "verify": "size",
        "max_rate": "full",
        "pace": "auto",
        "overwrite": False,
        "permissions": "folder",
        "group": None,
        "links": "keep",
        "dask": None,
        "free": None,
        "notify": None,
        "progress_file": True,
    }
    assert (second.source, second.destination) == (tmp_path / "here", tmp_path / ".." / "there")
    assert (second.nprocs, second.settle, second.wait_for_source, second.finish_idle) == (2, 5.0, True, None)


def test_null_switches_finish_idle_off_for_one_target(write: Callable[[str], Path]) -> None:
    path = write(GOOD + "  finish_idle: null\n")
    assert load_targets(path, Settings(finish_idle=60.0))[0].finish_idle is None


def test_the_home_folder_is_expanded(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    (target,) = load_targets(write(GOOD.replace(" a", " ~/a")), Settings())
    assert target.source == tmp_path / "me" / "a"
    assert make_target("~/a", "b", Settings()).source == tmp_path / "me" / "a"


def test_shared_settings_may_be_merged(write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write(
        "targets:\n- &one {source: a, destination: b, nprocs: 2}\n- {<<: *one, destination: c}\n"
        "- {<<: [*one], destination: d, nprocs: 1}\n"
    )
    targets = load_targets(path, Settings())
    assert [(t.source.name, t.destination.name, t.nprocs) for t in targets] == [
        ("a", "b", 2),
        ("a", "c", 2),
        ("a", "d", 1),
    ]


def test_notifications_are_for_all_targets_but_those_that_say_otherwise(write: Callable[[str], Path]) -> None:
    path = write(
        "notify: {urls: [env:LAB, 'ntfy://a/b'], events: [done]}\ntargets:\n- {source: a, destination: b}\n"
        "- {source: c, destination: d, notify: {events: [failed]}}\n- {source: e, destination: f, notify: off}\n"
    )
    first, second, third = load_targets(path, Settings(notify="env:OF_THE_COMMAND"))
    assert first.notify == read_notify({"urls": ["env:LAB", "ntfy://a/b"], "events": ["done"]})
    assert second.notify == read_notify({"urls": ["env:LAB", "ntfy://a/b"], "events": ["failed"]})
    assert third.notify == read_notify({"urls": [], "events": ["done"]})


def test_a_list_that_is_saved_keeps_its_notifications_and_nobody_else_reads_a_password(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    path = write("targets:\n- {source: a, destination: b, notify: 'ntfy://mika:hunter2@host/topic'}\n")
    targets, saved = load_targets(path, Settings()), tmp_path / "saved.yaml"
    dump_targets(targets, saved)
    assert load_targets(saved, Settings()) == targets
    if os.name == "posix":
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_file_saved_by_windows_notepad_is_read(write: Callable[[bytes], Path]) -> None:
    path = write(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert len(load_targets(path, Settings())) == 1


# --- mistakes in the file -----------------------------------------------------------------------------------

MISTAKES = [
    ("", "is empty"),
    ("# nothing yet\n", "is empty"),
    ("null", "is empty"),
    ("- a", 'line 1: this is a list; begin the file with "targets:"'),
    ("just words", 'line 1: this is the text "just words"; begin the file with "targets:"'),
    ("{}", 'line 1: there is no "targets"; begin the file with "targets:"'),
    ("\ntarget:\n- x", 'line 2: unknown key "target"; did you mean "targets"?'),
    (GOOD + "version: 2", 'line 4: unknown key "version"; known keys are targets, notify'),
    (GOOD + "notify: hunter2", "line 4: notify has a URL that is not one; write it as in ntfy://ntfy.sh/TOPIC"),
    (GOOD + "notify: {urls: a://b, urls: c://d}", 'the key "urls" is given twice in notify'),
    (GOOD + "  notify: {paused_minutes: 1, hunter2: 2}", "line 4: notify of target 1 has a key that is not known"),
    (GOOD + "  notify: [ntfy://a, 5]", "line 4: notify of target 1 has a URL 2 that is not text, or too long"),
    (GOOD + "nprocs: 2", 'line 4: "nprocs" belongs in a target, in the list below "targets:"'),
    ("source: a", 'line 1: "source" belongs in a target, in the list below "targets:"'),
    ("targets:", 'line 1: "targets" must be a list, not empty; below it write "- source: ..."'),
    ("targets: []", 'line 1: "targets" is an empty list'),
    ("targets: {source: a}", 'line 1: "targets" must be a list, not a mapping'),
    ("targets: 3", 'line 1: "targets" must be a list, not 3'),
    (GOOD + "- x", 'line 4: target 2 is the text "x", not a source and a destination; write "- source: ..."'),
    (GOOD + "-", "line 4: target 2 is empty, not a source and a destination"),
    ("targets:\n- [a, b]", "line 2: target 1 is a list, not a source and a destination"),
    (GOOD + "- sorce: c\n  destination: d", 'line 4: unknown key "sorce" in target 2; did you mean "source"?'),
    (GOOD + "  sleep-time: 1", 'line 4: unknown key "sleep-time" in target 1; did you mean "sleep_time"?'),
    (GOOD + "  zzz: 1", 'line 4: unknown key "zzz" in target 1; known keys are source, destination, dask, nprocs'),
    (GOOD + "  1: 1", 'line 4: unknown key "1" in target 1'),
    (GOOD + "  [x]: 1", "line 4: a list cannot be a key in target 1"),
    ("targets:\n- source: a", 'line 2: target 1 has no "destination"; add it'),
    (GOOD + "- destination: c", 'line 4: target 2 has no "source"; add it'),
    (
        GOOD + "  source: c",
        'line 4: the key "source" is given twice in target 1, first in line 2; remove one',
    ),
    (GOOD + "targets: []", 'line 4: the key "targets" is given twice, first in line 1; remove one'),
    (GOOD + "  <<: 3", 'line 4: "<<" needs a mapping in target 1, not 3'),
    # types
    (GOOD + "  nprocs: 0", "line 4: nprocs of target 1 must be a whole number from 1 to 64, not 0"),
    (GOOD + "  nprocs: 65", "from 1 to 64, not 65"),
    (GOOD + "  nprocs: 4.0", "from 1 to 64, not 4.0"),
    (GOOD + "  nprocs: true", "from 1 to 64, not true"),
    (GOOD + "  nprocs:", "from 1 to 64, not empty"),
    (GOOD + '  nprocs: "4"', 'from 1 to 64, not the text "4"; remove the quotes'),
    (GOOD + "  nprocs: 0x" + "f" * 9000, "from 1 to 64, not a huge number"),
    (GOOD + "  settle: -1", "line 4: settle of target 1 must be a number of seconds, 0 or more, not -1"),
    (GOOD + "  settle: .inf", "0 or more, not inf"),
    (GOOD + "  settle: .nan", "0 or more, not nan"),
    (GOOD + "  settle: 30s", '0 or more, not the text "30s"'),
    (GOOD + "  settle: 1e3", '0 or more, not the text "1e3"; write an exponent as in 1.0e+3'),
    (GOOD + "  settle: " + "9" * 9000, "which YAML cannot read"),
    (GOOD + "  sleep_time: [1]", "sleep_time of target 1 must be a number of seconds, 0 or more, not a list"),
    (GOOD + "  finish_idle: off", "0 or more, or null for never, not false"),
    (
        GOOD + "  wait_for_source: maybe",
        'wait_for_source of target 1 must be true or false, not the text "maybe"',
    ),
    (GOOD + "  wait_for_source: 'true'", 'not the text "true"; remove the quotes'),
    (GOOD + "  wait_for_source: 1", "must be true or false, not 1"),
    (
        GOOD + "  max_rate: 20 MB",
        "line 4: max_rate of target 1 must be a rate such as 200 MB/s, or full, or rates by time of day, not the text "
        '"20 MB"; did you mean "20 MB/s"?',
    ),
    (GOOD + "  max_rate: 1:30", 'or rates by time of day, not the text "1:30"'),
    (GOOD + "  max_rate: [1]", "or rates by time of day, not a list"),
    (GOOD + "  max_rate: {}", "or rates by time of day, not an empty mapping"),
    (
        GOOD + "  max_rate:\n    09:00-18:00: full\n    12:00-13:00: full",
        "line 6: max_rate of target 1 has 09:00",
    ),
    (GOOD + "  max_rate: {else: full, else: full}", 'the key "else" is given twice in max_rate of target 1'),
    (
        GOOD + "  max_rate: {else: [1]}",
        "of target 1 at else must be a rate such as 50 MB/s, or full, not a list",
    ),
    (GOOD + "  max_rates: full", 'unknown key "max_rates" in target 1; did you mean "max_rate"?'),
    (GOOD + "  pace: slow", 'pace of target 1 must be auto or full, not the text "slow"'),
    (GOOD + "  settle: {a: 1}", "settle of target 1 must be a number of seconds, 0 or more, not a mapping"),
    # paths
    (GOOD.replace(" a", ""), "line 2: the source of target 1 must be a path, not empty"),
    (GOOD.replace(" a", " ''"), "line 2: the source of target 1 is empty; write a path"),
    (GOOD.replace(" a", " 2024-01-31"), "must be a path, not a date; put it in quotes"),
    (
        GOOD.replace(" a", " 2024-13-31"),
        'must be a path, not "2024-13-31", which YAML cannot read; put it in quotes',
    ),
    (GOOD.replace(" a", " 12"), "must be a path, not 12; put it in quotes"),
    (GOOD.replace(" b", " [b]"), "line 3: the destination of target 1 must be a path, not a list"),
    (GOOD.replace(" a", " ~no-such-user/x"), "begins with the home folder of an unknown user"),
    (GOOD.replace(" a", " " + "x/" * 5000), "is too long for a path"),
    # YAML
    (GOOD.replace(" a", r' "C:\Users\me"'), "single quotes or with forward slashes"),
    (GOOD.replace(" a", r' "D:\data\run"'), "line 2, column 15: this is not valid YAML: while scanning"),
    (GOOD.replace(" a", r' "D:\data\run"'), "single quotes or with forward slashes"),
    (GOOD.replace(" a", r' "D:\"'), "line 2, column 11: "),
    (GOOD.replace(" a", r' "D:\"'), "single quotes or with forward slashes"),
    (GOOD.replace(" a", r' "D:\"').replace(" b", ' "E"'), "single quotes or with forward slashes"),
    (GOOD.replace(" a", r' "D:\temp"'), "single quotes or with forward slashes"),  # a valid escape: a tab
    (GOOD.replace("  destination", "\tdestination"), "line 3, column 1: this is not valid YAML"),
    (GOOD.replace("  destination", "\tdestination"), "use spaces, not tabs"),
    (GOOD.replace("  destination", "    destination"), "line 3, column 16: this is not valid YAML"),
    (GOOD.replace(" a", " *a"), "put text that begins with * in quotes"),
    (GOOD.replace(" a", " @a"), "put the text in quotes"),
    (GOOD + "---\n" + GOOD, "line 4, column 1: this is not valid YAML"),
    (GOOD + "\x00", 'line 4: this is not YAML: it has the special character "\\x00"'),
    ("[" * 5000, "is nested too deeply for a targets file"),
    ("x" * (1 << 20) + "x", "is too large for a targets file"),
    (GOOD.encode() + b"# caf\xe9", "line 4: this is not UTF-8 text; save it as UTF-8"),
    ("targets: !!python/object/apply:os.system [exit]", 'line 1: target 1 is the text "exit"'),
    # what does not go together
    (GOOD.replace(" b", " a"), "line 3: the destination is its source"),
    (GOOD.replace(" b", " ./x/../a"), "line 3: the destination is its source"),
    (GOOD.replace(" b", " a/copy"), "line 3: the destination, "),
    (GOOD.replace(" a", " b/c"), "lies inside its destination, "),
    (
        GOOD + "- {source: c, destination: b}",
        "line 4: the destination of target 2 is the destination of target 1, ",
    ),
]


@pytest.mark.parametrize(("content", "words"), MISTAKES, ids=[str(i) for i in range(len(MISTAKES))])
def test_a_mistake_in_the_file_is_told_in_one_line(
    write: Callable[[str | bytes], Path], content: str | bytes, words: str
) -> None:
    assert words in mistake(write(content))


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_its_lines(write: Callable[[str], Path]) -> None:
    path = write(
        "targets:\n"
        "- source: s3://bucket/a.zarr\n"
        "  destination: $NO_SUCH_DISK/a.zarr\n"
        "  nprocs: 0\n"
        "  settle: soon\n"
        "- sorce: b.zarr\n"
        "  destination: copies/b.zarr\n"
        "- {source: c.zarr, destination: copies/b.zarr}\n"
        "- {source: d.zarr, destination: c.zarr}\n"
        "- {source: e.zarr, destination: f.zarr, settle: 1, settle: 2}\n"
    )
    told = mistakes(path)
    lines = (2, 3, 4, 5, 6, 8, 10)
    assert [words.partition(":")[0] for words in told] == [f"line {line}" for line in lines]
    assert "the source of target 3 is the destination of target 4" in told[5]
    assert "given twice in target 5" in told[6]


@POSIX
@pytest.mark.parametrize("path", ["C:\\data", "C:/data", "\\\\nas\\data"])
def test_a_windows_path_does_not_become_a_folder_of_that_name(write: Callable[[str], Path], path: str) -> None:
    assert "is a Windows path" in mistake(write(GOOD.replace(" b", f" '{path}'")))
    with pytest.raises(TargetsError, match="the destination is a Windows path"):
        make_target("a", path, Settings())


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert mistake(tmp_path / "nope.yaml") == "does not exist; check the path of the targets file"
    assert mistake(tmp_path) == "is a folder, not a targets file; to copy it, give a destination as well"
    with pytest.raises(TargetsError, match="cannot be read"):
        load_targets(Path("a\0b"), Settings())


def test_a_file_that_grows_without_end_when_expanded_is_refused_at_once(write: Callable[[str], Path]) -> None:
    lists = "".join(f"- &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 40))
    merges = "".join(f"- &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], destination: d{i}}}\n" for i in range(1, 40))
    started = time.perf_counter()
    assert mistakes(write(f"targets:\n- &l0 [x]\n{lists}"))[-1] == ": and 10 more mistakes"
    assert len(load_targets(write(f"targets:\n- &m0 {{source: s, destination: d0}}\n{merges}"), Settings())) == 40
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("content", ["targets: &a [*a]", "targets:\n- &a {<<: *a}", "&a {targets: *a}", "&a {*a : *a}"])
def test_a_file_that_contains_itself_is_refused(write: Callable[[str], Path], content: str) -> None:
    assert mistakes(write(content))


# --- anything at all ----------------------------------------------------------------------------------------


def assert_clear_lines(error: Exception, most: int = 1) -> None:
    lines = str(error).splitlines()
    assert 1 <= len(lines) <= most
    assert all(line.isprintable() for line in lines)


def assert_a_result_or_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        targets = load_targets(path, Settings())
    except TargetsError as error:
        assert_clear_lines(error, most=31)
    else:
        assert targets
        assert all(t.source.is_absolute() and t.destination.is_absolute() for t in targets)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets") / "targets.yaml"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_targets_file_or_a_clear_mistake(scratch: Path, content: bytes) -> None:
    assert_a_result_or_one_line(scratch, content)


WORDS = """targets source destination nprocs settle a b ~ 1e3 1:30 2024-99-99 '' &a *a << { } [ ] | > ' " \\
? # % --- !!int !!map !!set !!timestamp !!binary !!float !!null !!bool !!omap !!merge !x"""
TOKENS = [*WORDS.split(), ": ", "- ", ", ", "\n", "\n  ", "\n- ", "\t"]
tokens = st.sampled_from(TOKENS)


@given(st.lists(tokens, max_size=25).map("".join), st.booleans())
def test_any_yaml_is_a_targets_file_or_a_clear_mistake(scratch: Path, text: str, within: bool) -> None:
    assert_a_result_or_one_line(scratch, (f"{GOOD}  settle: {text}" if within else text).encode())


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.dates(),
    st.binary(max_size=3),
)
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
target_like = st.dictionaries(st.sampled_from(list(Target.model_fields)), structures, max_size=7).map(
    lambda changes: {"source": "a", "destination": "b", **changes}
)


@given(st.one_of(structures, st.lists(target_like, max_size=3).map(lambda targets: {"targets": targets})))
def test_any_structure_is_a_targets_file_or_a_clear_mistake(scratch: Path, structure: object) -> None:
    assert_a_result_or_one_line(scratch, yaml.safe_dump(structure, allow_unicode=True).encode("utf-8", "replace"))


# --- writing ------------------------------------------------------------------------------------------------


def targets_of(folder: Path, *pairs: tuple[str, str]) -> list[Target]:
    return [Target(source=folder / source, destination=folder / destination) for source, destination in pairs]


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters='/\\:~<>"|?*'),
    min_size=1,
    max_size=12,
)
seconds = st.floats(0, allow_nan=False, allow_infinity=False)
settings = st.builds(
    Settings,
    nprocs=st.integers(1, 64),
    sleep_time=seconds,
    wait_for_source=st.booleans(),
    settle=seconds,
    finish_idle=st.none() | seconds,
)


@given(st.lists(st.tuples(names, settings), min_size=1, max_size=4))
def test_what_is_written_is_read_back(scratch: Path, rows: list[tuple[str, Settings]]) -> None:
    base = scratch.parent
    targets = tuple(
        Target(source=base / f"s{i}" / f"{name}x", destination=base / f"d{i}" / f"{name}x", **how.model_dump())
        for i, (name, how) in enumerate(rows)
    )
    dump_targets(targets, scratch)
    assert load_targets(scratch, Settings()) == targets


@POSIX
def test_a_file_name_that_is_not_utf8_is_written_and_read_back(tmp_path: Path) -> None:
    target = Target(source=tmp_path / "caf\udce9", destination=tmp_path / "b")
    dump_targets([target], tmp_path / "targets.yaml")
    assert load_targets(tmp_path / "targets.yaml", Settings()) == (target,)


def test_only_settings_that_are_not_the_defaults_are_written(tmp_path: Path) -> None:
    source, destination = tmp_path / "a", tmp_path / "b"
    dump_targets([Target(source=source, destination=destination, nprocs=2, settle=30)], tmp_path / "targets.yaml")
    assert yaml.safe_load((tmp_path / "targets.yaml").read_bytes()) == {
        "targets": [{"source": str(source), "destination": str(destination), "nprocs": 2}]
    }


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text("old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TargetsError, match=r"targets.yaml cannot be written: No space left on device"):
        dump_targets(targets_of(tmp_path, ("a", "b")), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["targets.yaml"]


def test_targets_that_could_not_be_read_back_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with pytest.raises(TargetsError, match="there are no targets"):
        dump_targets([], path)
    with pytest.raises(TargetsError, match="is its source"):
        dump_targets(targets_of(tmp_path, ("a", "a")), path)
    if os.name == "posix":
        with pytest.raises(TargetsError, match="would be read as another path"):
            dump_targets(targets_of(tmp_path, ("%PATH%", "a")), path)
    with pytest.raises(TargetsError, match="cannot be written"):
        dump_targets(targets_of(tmp_path, ("a", "b")), tmp_path / "no" / "such" / "targets.yaml")
    assert os.listdir(tmp_path) == []


@POSIX
def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    dump_targets(targets_of(tmp_path, ("a", "b")), tmp_path / "link.yaml")
    assert (tmp_path / "link.yaml").is_symlink()
    assert len(load_targets(tmp_path / "real.yaml", Settings())) == 1


def test_rates_by_time_of_day_are_read_written_and_handed_to_the_engine(write: Callable[[str], Path]) -> None:
    path = write(GOOD + "  max_rate:\n    09:00-18:00: 50MB/s\n    else: full\n  pace: full\n")
    (target,) = load_targets(path, Settings(max_rate="1 GB/s"))
    assert str(target.max_rate) == "09:00-18:00: 50 MB/s, else: full"
    assert target.pace == "full"
    dump_targets([target], path)
    assert load_targets(path, Settings()) == (target,)
    assert targets_from_json(targets_to_json([target])) == (target,)


@pytest.mark.parametrize("text", ["group", "0664", '"0664"', "664", "0440", "440", "source", "keep", "folder"])
def test_permissions_are_read_as_they_are_written(write: Callable[[str], Path], text: str, tmp_path: Path) -> None:
    """YAML would make an octal number of 0440, and another number of 440."""
    (target,) = load_targets(write(GOOD + f"  permissions: {text}\n"), Settings())
    assert target.permissions == text.strip('"')
    dump_targets([target], tmp_path / "again.yaml")
    assert load_targets(tmp_path / "again.yaml", Settings()) == (target,)


@pytest.mark.parametrize("text", ["0164", "7777", "rw-r--r--", "9", "null"])
def test_permissions_that_there_are_not_are_refused(write: Callable[[str], Path], text: str) -> None:
    with pytest.raises(
        TargetsError, match="permissions of target 1 must be folder, keep, group, or a mode such as 0664, not"
    ):
        load_targets(write(GOOD + f"  permissions: {text}\n"), Settings())


@pytest.mark.parametrize(
    ("written", "days"), [("7", 7.0), ("0.5", 0.5), ("{after: verified, keep_days: 3}", 3.0), ("{keep_days: 2}", 2.0)]
)
def test_when_a_source_is_freed_is_read_and_written(
    write: Callable[[str], Path], tmp_path: Path, written: str, days: float
) -> None:
    (target,) = load_targets(
        write(f"targets:\n  - {{source: a.zarr, destination: b.zarr, free: {written}}}\n"), Settings()
    )
    assert target.free is not None and target.free.keep_days == days
    dump_targets([target], tmp_path / "again.yaml")
    assert load_targets(tmp_path / "again.yaml", Settings()) == (target,)


@pytest.mark.parametrize(
    "written", ["-1", "yes", "'7'", "{after: 3 days}", "{after: complete, keep_days: 7}", "{days: 3}", "[7]", "{}"]
)
def test_a_wrong_way_to_free_a_source_is_refused(write: Callable[[str], Path], written: str) -> None:
    with pytest.raises(TargetsError, match=r"free of target 1 must be a number of days, or \{after: verified"):
        load_targets(write(f"targets:\n  - {{source: a.zarr, destination: b.zarr, free: {written}}}\n"), Settings())
