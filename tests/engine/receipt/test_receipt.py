"""The receipt of a copy, with the real xxhsum as judge."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.own_files import is_own_temporary
from softcopy_napari.engine.receipt import receipt_files
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.receipt import Receipt, check_unchanged, find_receipt, receipt_paths, write_receipt
from softcopy_napari.engine.states import TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, tree, until, write, zarray
from tests.support.command import softcopy

posix_only = pytest.mark.skipif(os.name != "posix", reason="odd names, links")
needs_xxhsum = pytest.mark.skipif(not shutil.which("xxhsum"), reason="needs xxhsum (Debian's package xxhash)")

FACTS = Receipt(software="softcopy-napari", source="/a", destination="/b", started="", finished="")
ODD = ["plain", "sub/ lead and trail ", "ü/日本", "back\\slash", "a  b", "*star", os.fsdecode(b"raw-\xff")]


def fill(folder: Path, names: list[str]) -> list[tuple[bytes, str]]:
    for name in names:
        write(folder / name, name.encode(errors="surrogateescape"))
    return [(xxh3_128_digest(name.encode(errors="surrogateescape")), name) for name in names]


def xxhsum(folder: Path, sums: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["xxhsum", "-c", sums.name], cwd=folder, capture_output=True)


@posix_only
@needs_xxhsum
def test_xxhsum_agrees_and_finds_what_is_changed(tmp_path: Path) -> None:
    lines = fill(tmp_path / "data.zarr", ODD)
    sums = write_receipt(tmp_path / "data.zarr", iter(lines), FACTS)
    assert sums == tmp_path / "data.zarr.xxh128"
    done = xxhsum(tmp_path, sums)
    assert done.returncode == 0 and done.stdout.count(b": OK") == len(ODD), done
    (tmp_path / "data.zarr" / "plain").write_bytes(b"plaim")
    assert xxhsum(tmp_path, sums).returncode == 1


@posix_only
@needs_xxhsum
@pytest.mark.parametrize("style", [[], ["--tag"]], ids=["GNU", "BSD"])
def test_what_xxhsum_wrote_can_be_read(tmp_path: Path, style: list[str]) -> None:
    names = ["plain", "sub/ü", "a b"]
    lines = fill(tmp_path / "data", names)
    paths = [f"data/{name}" for name in names]
    done = subprocess.run(["xxhsum", "-H128", *style, *paths], cwd=tmp_path, capture_output=True, check=True)
    write(tmp_path / "data.xxh128", done.stdout)
    assert list(read_lines(tmp_path / "data.xxh128", tmp_path / "data")) == lines


@posix_only
def test_every_name_comes_back(tmp_path: Path) -> None:
    lines = fill(tmp_path / "data", [*ODD, "new\nline", "both\\\n", "carriage\r"])
    sums = write_receipt(tmp_path / "data", lines, FACTS)
    assert list(read_lines(sums, tmp_path / "data")) == lines


@posix_only
@needs_xxhsum
def test_a_name_with_a_line_break_does_no_harm_to_the_others(tmp_path: Path) -> None:
    """Debian 12's xxhsum (0.8.1) skips its line and says so; later ones read it."""
    lines = fill(tmp_path / "data", ["a", "new\nline", "z"])
    done = xxhsum(tmp_path, write_receipt(tmp_path / "data", lines, FACTS))
    assert done.returncode == 0, done
    assert done.stdout.count(b": OK") == 3 or b"1 line is improperly formatted" in done.stdout


@posix_only
def test_lines_that_need_a_closer_look_are_read_among_many_that_do_not(tmp_path: Path) -> None:
    names = [f"c/{number // 300}/{number % 300}" for number in range(40_000)]
    names[25_000] = "c/back\\slash"
    names[30_000] = "c/new\nline"
    lines = [(xxh3_128_digest(name.encode()), name) for name in names]
    sums = write_receipt(tmp_path / "data", lines, FACTS)
    assert list(read_lines(sums, tmp_path / "data")) == lines
    content = sums.read_bytes().splitlines()
    content[35_000] = content[35_000][1:]
    sums.write_bytes(b"\n".join(content))
    with pytest.raises(ReceiptError, match="line 35001: "):
        list(read_lines(sums, tmp_path / "data"))


def test_a_receipt_that_was_changed_is_not_trusted(tmp_path: Path) -> None:
    sums = write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a", "b"]), FACTS)
    facts = find_receipt(tmp_path / "data")[1]
    assert facts is not None
    check_unchanged(sums, tmp_path / "data", facts)
    sums.write_bytes(sums.read_bytes().splitlines(keepends=True)[0])  # a line is lost: nothing else would tell
    with pytest.raises(ReceiptError, match="damaged or was changed"):
        check_unchanged(sums, tmp_path / "data", facts)


@pytest.mark.parametrize("content", [b"", b"x" * 3_000_000], ids=["empty", "one endless line"])
def test_what_is_no_checksum_file_is_refused(tmp_path: Path, content: bytes) -> None:
    sums = write(tmp_path / "data.xxh128", content)
    with pytest.raises(ReceiptError, match=re.escape(str(sums))):
        list(read_lines(sums, tmp_path / "data"))


def test_of_two_receipts_the_later_one_counts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lines = fill(data, ["a"])
    beside = write_receipt(data, lines, FACTS.model_copy(update={"finished": "2026-01-01T09:00:00+02:00"}))
    within = data / "softcopy.xxh128"
    within.write_bytes(b"0" * 32 + b"  a\n")
    for finished, found in (("2026-01-01T07:30:00+00:00", within), ("2026-01-01T06:30:00+00:00", beside)):
        facts = FACTS.model_copy(update={"finished": finished})
        (data / "softcopy.receipt.json").write_text(facts.model_dump_json())
        assert find_receipt(data)[0] == found


def test_what_a_power_failure_left_is_cleared_away(tmp_path: Path) -> None:
    seen: list[Path] = []

    def watched() -> Iterator[tuple[bytes, str]]:
        seen.extend(path for path in tmp_path.iterdir() if is_own_temporary(path.name))
        yield from lines

    lines = fill(tmp_path / "data", ["a"])
    write_receipt(tmp_path / "data", watched(), FACTS)
    assert len(seen) == 1
    seen[0].write_bytes(b"half a line")  # as it lies there after a power failure
    write_receipt(tmp_path / "data", lines, FACTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.receipt.json", "data.xxh128"]


@posix_only
def test_a_receipt_that_cannot_be_written_whole_keeps_the_one_before_and_is_named(tmp_path: Path) -> None:
    import resource

    sums = write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a"]), FACTS)
    before = sums.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_receipt(tmp_path / "data", ((bytes(16), str(number)) for number in range(10_000)), FACTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(sums)
    assert sums.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.receipt.json", "data.xxh128"]


@posix_only
@needs_xxhsum
@pytest.mark.parametrize("name", ["n" * 250, "n" * 255, "\u4e2d" * 85], ids=["250", "255", "255 bytes of 85 letters"])
def test_the_receipt_of_a_long_name_has_a_shorter_one_and_is_found(tmp_path: Path, name: str) -> None:
    data, other = tmp_path / name, tmp_path / (name[:-1] + "x")
    lines = fill(data, ["a"])
    sums = write_receipt(data, lines, FACTS)
    assert sums.parent == tmp_path and sums.name.startswith(name[:50]) and sums.name.endswith(".xxh128")
    assert write_receipt(other, fill(other, ["b"]), FACTS) != sums, "two names that begin alike have two receipts"
    found, facts = find_receipt(data)
    assert found == sums and facts is not None
    assert list(read_lines(sums, data)) == lines
    assert xxhsum(tmp_path, sums).returncode == 0
    done = softcopy("verify", data)
    assert done.returncode == 0, done


OWN_JSON = '{"software": "somebody else", "source": "", "destination": "", "started": "", "finished": ""}'


@pytest.mark.parametrize(
    "theirs",
    [
        {"data.xxh128": "their checksums"},
        {"data.receipt.json": OWN_JSON},
        {"data.receipt.json": "no JSON at all"},
        {"data.xxh128": "their checksums", "data.receipt.json": OWN_JSON},
    ],
)
def test_somebody_elses_files_with_the_names_of_a_receipt_are_kept(tmp_path: Path, theirs: dict[str, str]) -> None:
    for name, content in theirs.items():
        (tmp_path / name).write_text(content)
    lines = fill(tmp_path / "data", ["a"])
    for _ in range(2):
        sums = write_receipt(tmp_path / "data", lines, FACTS)
        assert sums == tmp_path / "data.softcopy.xxh128" == receipt_paths(tmp_path / "data")[0]
    found, facts = find_receipt(tmp_path / "data")
    assert found == sums and facts is not None
    assert {name: (tmp_path / name).read_text() for name in theirs} == theirs
    done = softcopy("verify", tmp_path / "data")
    assert done.returncode == 0, done


def test_a_receipt_that_its_user_has_changed_is_kept(tmp_path: Path) -> None:
    """As after `xxhsum -H128` over files that were changed on purpose."""
    lines = fill(tmp_path / "data", ["a"])
    sums = write_receipt(tmp_path / "data", lines, FACTS)
    assert write_receipt(tmp_path / "data", lines, FACTS) == sums
    sums.write_bytes(sums.read_bytes() + b"# looked at by Ada\n")
    changed = sums.read_bytes()
    assert write_receipt(tmp_path / "data", lines, FACTS) == tmp_path / "data.softcopy.xxh128"
    assert sums.read_bytes() == changed


@posix_only
def test_what_a_receipts_name_links_to_is_not_replaced(tmp_path: Path) -> None:
    write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a"]), FACTS)
    (tmp_path / "archive").mkdir()
    for name in ("data.xxh128", "data.receipt.json"):
        os.rename(tmp_path / name, tmp_path / "archive" / name)
        os.symlink(tmp_path / "archive" / name, tmp_path / name)
    kept = {path: path.read_bytes() for path in (tmp_path / "archive").iterdir()}
    assert write_receipt(tmp_path / "data", [], FACTS) == tmp_path / "data.softcopy.xxh128"
    assert {path: path.read_bytes() for path in (tmp_path / "archive").iterdir()} == kept
    assert (tmp_path / "data.xxh128").is_symlink()


def test_where_all_names_are_taken_the_receipt_lies_in_the_destination(tmp_path: Path) -> None:
    for name in ("data.xxh128", "data.softcopy.receipt.json"):
        (tmp_path / name).write_text("theirs")
    assert write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a"]), FACTS).parent == tmp_path / "data"
    assert find_receipt(tmp_path / "data")[0] == tmp_path / "data" / "softcopy.xxh128"


def test_what_somebody_puts_there_while_the_receipt_is_written_is_kept(tmp_path: Path) -> None:
    def late() -> Iterator[tuple[bytes, str]]:
        yield from lines
        (tmp_path / "data.xxh128").write_text("theirs")

    lines = fill(tmp_path / "data", ["a"])
    assert write_receipt(tmp_path / "data", late(), FACTS) == tmp_path / "data.softcopy.xxh128"
    assert (tmp_path / "data.xxh128").read_text() == "theirs"
    facts = find_receipt(tmp_path / "data")[1]
    assert facts is not None and facts.checksums == "data.softcopy.xxh128"


@pytest.mark.parametrize("again", [False, True], ids=["the first receipt", "one that is replaced"])
def test_a_kill_between_the_two_files_leaves_a_receipt_that_is_still_known_as_ours(
    tmp_path: Path, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    lines = fill(data, ["a", "b"])
    if again:
        write_receipt(data, lines[:1], FACTS)
    left: dict[str, bytes] = {}
    replace = os.replace

    def killed(source: os.PathLike[str], target: os.PathLike[str], **how: int) -> None:
        if Path(target).name == "data.receipt.json":
            left.update({Path(source).name: Path(source).read_bytes()})
            raise KeyboardInterrupt
        replace(source, target, **how)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_receipt(data, lines, FACTS)
    for name, content in left.items():  # a process that is killed removes nothing
        (tmp_path / name).write_bytes(content)
    assert write_receipt(data, lines, FACTS.model_copy(update={"run": "later"})) == tmp_path / "data.xxh128"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.receipt.json", "data.xxh128"]


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a folder that another disk is mounted on")
def test_the_receipt_of_a_mounted_disk_is_on_that_disk() -> None:
    assert receipt_paths(Path("/dev/shm")) == (Path("/dev/shm/softcopy.xxh128"), Path("/dev/shm/softcopy.receipt.json"))


def test_the_facts_name_the_checksum_file_and_its_hash(tmp_path: Path) -> None:
    sums = write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a", "b"]), FACTS)
    found, facts = find_receipt(tmp_path / "data")
    assert found == sums and facts is not None
    assert (facts.files, facts.checksums) == (2, "data.xxh128")
    assert facts.checksums_xxh128 == xxh3_128_digest(sums.read_bytes()).hex()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.receipt.json", "data.xxh128"]


def test_facts_of_a_later_version_can_be_read_and_damaged_ones_do_no_harm(tmp_path: Path) -> None:
    write_receipt(tmp_path / "data", fill(tmp_path / "data", ["a"]), FACTS)
    facts = tmp_path / "data.receipt.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "something": "new"}))
    assert find_receipt(tmp_path / "data")[1] is not None
    facts.write_text("{")
    assert find_receipt(tmp_path / "data")[1] is None


def test_a_destination_with_nothing_beside_it_holds_its_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_files.os, "access", lambda *_: False)
    lines = fill(tmp_path / "data", ["a"])
    sums = write_receipt(tmp_path / "data", lines, FACTS)
    assert sums == tmp_path / "data" / "softcopy.xxh128"
    assert find_receipt(tmp_path / "data")[0] == sums
    assert list(read_lines(sums, tmp_path / "data")) == lines
    root = Path(tmp_path.anchor)
    assert receipt_paths(root) == (root / "softcopy.xxh128", root / "softcopy.receipt.json")


def test_a_receipt_in_its_destination_does_not_list_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not match: a source that was itself a copy may have had one of the same name."""
    monkeypatch.setattr(receipt_files.os, "access", lambda *_: False)
    data = tmp_path / "data"
    lines = fill(data, ["a", "softcopy.xxh128", "softcopy.receipt.json", "sub/softcopy.xxh128"])
    sums = write_receipt(data, lines, FACTS)
    assert [path for _, path in read_lines(sums, data)] == ["a", "sub/softcopy.xxh128"]
    assert json.loads((data / "softcopy.receipt.json").read_text())["files"] == 2


def test_a_renamed_dataset_keeps_its_receipt(tmp_path: Path) -> None:
    lines = fill(tmp_path / "data", ["a", "sub/b"])
    write_receipt(tmp_path / "data", lines, FACTS)
    for name in ("data", "data.xxh128", "data.receipt.json"):
        os.rename(tmp_path / name, tmp_path / name.replace("data", "experiment 7"))
    assert list(read_lines(tmp_path / "experiment 7.xxh128", tmp_path / "experiment 7")) == lines


@pytest.mark.parametrize(
    "line",
    [
        b"what is this",
        b"0" * 31 + b"  data/x",
        b"0" * 32 + b"  data/../../etc/passwd",
        b"0" * 32 + b"  data//etc/passwd",
        b"0" * 32 + b"  data/a/./b",
        b"0" * 32 + b"  data/a\0b",
        b"",
    ],
)
def test_a_damaged_or_hostile_line_is_named(tmp_path: Path, line: bytes) -> None:
    write(tmp_path / "data" / "x", b"")
    sums = write(tmp_path / "data.xxh128", b"0" * 32 + b"  data/x\n" + line + b"\n")
    with pytest.raises(ReceiptError, match=re.escape(f"{sums}, line 2: ")):
        list(read_lines(sums, tmp_path / "data"))


def test_without_a_receipt_one_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReceiptError, match="softcopy verify SOURCE DESTINATION"):
        find_receipt(tmp_path / "data")


@posix_only
@needs_xxhsum
def test_a_complete_copy_has_a_receipt_that_xxhsum_agrees_with(jobs: Jobs) -> None:
    make_array(jobs.source, (3, 2))
    (jobs.source / "2.1").unlink()
    write(jobs.source / "notes ü.txt", b"text", old=True)
    os.symlink("notes", jobs.source / "link")
    jobs.start(finish_idle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    sums, facts = find_receipt(jobs.destination)
    done = xxhsum(sums.parent, sums)
    assert done.returncode == 0, done
    contents = tree(jobs.destination)
    assert done.stdout.count(b": OK") == len(contents)
    assert facts is not None
    assert (facts.files, facts.links, facts.chunk_files, facts.never_written) == (len(contents), 1, 5, 1)
    assert facts.bytes == sum(map(len, contents.values()))
    assert facts.verified == "size" and "nothing has changed" in facts.finished_because
    assert facts.user == getpass.getuser()
    assert facts.source == str(jobs.source) and not facts.failures
    assert facts.started <= facts.finished and facts.arrays[0].never_written == 1


def test_a_resumed_copys_receipt_is_that_of_the_whole(jobs: Jobs) -> None:
    make_array(jobs.source, (4,))
    jobs.start(settle=0.0)
    assert jobs.ends().state is TargetState.COMPLETE
    first = find_receipt(jobs.destination)[0].read_bytes()
    jobs.start(settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE and end.files_copied == 0
    assert find_receipt(jobs.destination)[0].read_bytes() == first


def test_a_receipt_that_cannot_be_written_is_told_and_the_copy_is_complete(jobs: Jobs) -> None:
    make_array(jobs.source, (2,))
    for name in ("destination.xxh128", "destination.softcopy.xxh128"):  # something is in its place
        (jobs.destination.parent / name).mkdir()
    write(jobs.source / "softcopy.xxh128" / "a", b"", old=True)
    jobs.start(settle=0.0)
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE
    assert any("receipt" in notice and "could not be written" in notice for notice in end.notices)


def test_the_receipt_names_wells_that_never_came_and_chunks_that_cannot_be_whole(jobs: Jobs) -> None:
    wells = [{"path": "A/1"}, {"path": "A/2"}, {"path": "B/1"}]
    for folder in ("", "A", "A/1"):
        write(jobs.source / folder / ".zgroup", b'{"zarr_format": 2}', old=True)
    write(jobs.source / ".zattrs", json.dumps({"plate": {"wells": wells}}).encode(), old=True)
    image = jobs.source / "A" / "1" / "0"
    write(image / ".zarray", json.dumps({**json.loads(zarray((2,))), "compressor": None}).encode(), old=True)
    write(image / "0", b"four", old=True)
    write(image / "1", b"one", old=True)
    running = jobs.start()
    assert until(lambda: jobs.now.other_files)
    running.order("finish")
    end = jobs.ends()
    assert end.state is TargetState.COMPLETE, end
    facts = find_receipt(jobs.destination)[1]
    assert facts is not None
    assert (facts.missing_images.count, facts.missing_images.first) == (2, ("A/2", "B/1"))
    assert facts.damaged_files.count == 1
    assert facts.damaged_files.first[0].startswith("A/1/0/1 ")
    assert facts.open_files.count == 0
