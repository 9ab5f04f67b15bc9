"""Checking data by content: everything that can be wrong with a copy is found, and nothing else is said."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.receipt.checksum_file import ReceiptError
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt, write_receipt
from softcopy_napari.engine.verify.verify import (
    Interrupted,
    Selection,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    verify_receipt,
    verify_source,
)
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from tests.engine.support import tree, write

posix_only = pytest.mark.skipif(os.name != "posix", reason="links, fifos, odd names")
NAMES = ["zarr.json", "c/0/0", "c/0/1", "c/1/0", "c/1/1", "notes ü.txt"]
FACTS = Receipt(software="softcopy-napari", source="/a", destination="/b", started="", finished="")
ALL = Selection()
Found = set[tuple[CheckOutcome, str]]
How = Callable[[Path, Path, Selection], Found]


class Sides:
    """A source and its good copy with a receipt."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "source", folder / "copy"
        for name in NAMES:
            write(self.source / name, name.encode() * 1000)
        shutil.copytree(self.source, self.destination)
        self.sign()

    def sign(self, links: int = 0) -> None:
        lines = [(xxh3_128_digest(content), path) for path, content in tree(self.destination).items()]
        write_receipt(self.destination, lines, FACTS.model_copy(update={"links": links}))


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def with_receipt(source: Path, destination: Path, choice: Selection = ALL) -> Found:
    found: Found = set()
    report = VerifyReport(lambda kind, text: found.add((kind, text)))
    verify_receipt(destination, *find_receipt(destination), VerifyOptions(choice, 2), report)
    assert report.good == (not found)
    return found


def with_source(source: Path, destination: Path, choice: Selection = ALL) -> Found:
    found: Found = set()
    verify_source(
        source, destination, VerifyOptions(choice, 2), VerifyReport(lambda kind, text: found.add((kind, text)))
    )
    return found


both = pytest.mark.parametrize("how", [with_receipt, with_source], ids=["receipt", "source"])


@both
def test_a_good_copy_is_good(sides: Sides, how: How) -> None:
    assert how(sides.source, sides.destination, Selection()) == set()


@both
def test_a_flipped_bit_is_found_though_size_and_time_are_kept(sides: Sides, how: How) -> None:
    file = sides.destination / "c" / "1" / "0"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[2000] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert how(sides.source, sides.destination, Selection()) == {(CheckOutcome.CHANGED, "c/1/0")}


@both
def test_what_is_missing_and_what_is_extra_is_found(sides: Sides, how: How) -> None:
    shutil.rmtree(sides.destination / "c" / "1")
    write(sides.destination / "c" / "9" / "9", b"extra")
    where = "not in the receipt" if how is with_receipt else "not at the source"
    assert how(sides.source, sides.destination, Selection()) == {
        (CheckOutcome.MISSING, "c/1/0"),
        (CheckOutcome.MISSING, "c/1/1"),
        (CheckOutcome.EXTRA, f"c/9/9 ({where})"),
    }


def test_with_the_source_truncated_and_grown_files_are_called_so(sides: Sides) -> None:
    size = (sides.source / "c" / "0" / "0").stat().st_size
    os.truncate(sides.destination / "c" / "0" / "0", size - 7)
    with open(sides.destination / "c" / "0" / "1", "ab") as file:
        file.write(b"more")
    os.truncate(sides.destination / "zarr.json", 0)
    assert with_source(sides.source, sides.destination) == {
        (CheckOutcome.TRUNCATED, f"c/0/0 ({size - 7:,} of {size:,} bytes)"),
        (CheckOutcome.CHANGED, "c/0/1 (4 bytes longer)"),
        (CheckOutcome.TRUNCATED, "zarr.json (0 of 9,000 bytes)"),
    }
    assert with_receipt(sides.source, sides.destination) == {
        (CheckOutcome.CHANGED, "c/0/0"),
        (CheckOutcome.CHANGED, "c/0/1"),
        (CheckOutcome.CHANGED, "zarr.json (empty)"),
    }


@both
def test_temporaries_and_receipts_are_nobodys_data(sides: Sides, how: How) -> None:
    for name in (".softcopy-1234-0.tmp", "c/0/0.__lock", "softcopy.xxh128", "softcopy.receipt.json", "c/x.tmp"):
        write(sides.destination / name, b"")
    os.utime(sides.destination / "softcopy.xxh128")
    assert how(sides.source, sides.destination, Selection()) == set()


@both
def test_what_should_not_be_there_is_looked_for_only_where_everything_is(sides: Sides, how: How) -> None:
    write(sides.destination / "extra", b"")
    assert how(sides.source, sides.destination, Selection(parts=2, part=1)) == set()


@posix_only
@both
def test_links_are_not_followed_and_fifos_not_opened(sides: Sides, how: How) -> None:
    elsewhere = write(sides.source.parent / "elsewhere", (sides.source / "c/0/0").read_bytes())
    for name in ("c/0/0", "c/0/1", "c/1/0"):
        (sides.destination / name).unlink()
    os.symlink(elsewhere, sides.destination / "c/0/0")  # with the right content
    os.mkfifo(sides.destination / "c/0/1")
    (sides.destination / "c/1/0").mkdir()
    found = how(sides.source, sides.destination, Selection())
    assert found >= {
        (CheckOutcome.CHANGED, "c/0/0 (is a link, not a file)"),
        (CheckOutcome.CHANGED, "c/0/1 (is a fifo, not a file)"),
        (CheckOutcome.CHANGED, "c/1/0 (is a folder, not a file)"),
    }
    if how is with_source:
        assert len(found) == 3


@posix_only
def test_links_are_compared_by_where_they_lead(sides: Sides) -> None:
    for name, here, there in (("same", "c", "c"), ("other", "c", "d"), ("broken", "nowhere", "nowhere")):
        os.symlink(here, sides.source / name)
        os.symlink(there, sides.destination / name)
    write(sides.destination / "file", b"")
    os.symlink("c", sides.source / "file")
    assert with_source(sides.source, sides.destination) == {
        (CheckOutcome.CHANGED, "other (leads to d, not to c)"),
        (CheckOutcome.CHANGED, "file (is a file, not a link)"),
    }


@posix_only
def test_a_receipt_counts_links(sides: Sides) -> None:
    os.symlink("c", sides.destination / "one")
    sides.sign(links=1)
    assert with_receipt(sides.source, sides.destination) == set()
    (sides.destination / "one").unlink()
    ((kind, text),) = with_receipt(sides.source, sides.destination)
    assert kind is CheckOutcome.MISSING and text.startswith("of links there are 0, not 1")


@posix_only
def test_odd_names_are_found_by_their_receipt(sides: Sides) -> None:
    for name in ("new\nline", "back\\slash", " lead", os.fsdecode(b"raw-\xff")):
        for side in (sides.source, sides.destination):
            write(side / name, name.encode(errors="surrogateescape"))
    sides.sign()
    for how in (with_receipt, with_source):
        assert how(sides.source, sides.destination) == set()


@pytest.fixture
def another_user() -> Iterator[Path]:
    """A folder, and nobody's rights where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    os.chmod(folder, 0o755)
    root = os.geteuid() == 0
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder / "copy" / "c", folder / "copy" / "zarr.json"):
        os.chmod(path, 0o755)
    shutil.rmtree(folder)


@posix_only
def test_what_cannot_be_read_or_listed_is_named_and_the_rest_goes_on(another_user: Path) -> None:
    sides = Sides(another_user)
    os.chmod(sides.destination / "zarr.json", 0)
    os.chmod(sides.destination / "c", 0)
    (sides.destination / "notes ü.txt").write_bytes(b"other")
    if os.geteuid() == 0:
        os.seteuid(65534)
    assert with_receipt(sides.source, sides.destination) == {
        (CheckOutcome.UNREADABLE, "zarr.json (Permission denied)"),
        *((CheckOutcome.UNREADABLE, f"{name} (Permission denied)") for name in NAMES if name.startswith("c/")),
        (CheckOutcome.UNREADABLE, "c (cannot be listed: Permission denied)"),
        (CheckOutcome.CHANGED, "notes ü.txt"),
    }


def test_a_destination_that_goes_away_is_not_reported_file_by_file(sides: Sides) -> None:
    (sides.destination / "zarr.json").unlink()
    found: list[str] = []

    def take_out(kind: CheckOutcome, text: str) -> None:
        if not found:
            sides.destination.rename(sides.destination.with_name("elsewhere"))
            sides.destination.mkdir()
        found.append(text)

    lines = [(xxh3_128_digest(b""), name) for name in ("zarr.json", *(f"more/{number}" for number in range(1000)))]
    sums = write_receipt(sides.destination, lines, FACTS)
    with pytest.raises(VerifyError, match="another folder lies there"):
        verify_receipt(sides.destination, sums, None, VerifyOptions(Selection(), 1), VerifyReport(take_out))
    assert found == ["zarr.json"]


def test_it_stops_when_told_to(sides: Sides) -> None:
    with pytest.raises(Interrupted):
        verify_receipt(
            sides.destination,
            *find_receipt(sides.destination),
            VerifyOptions(Selection(), 2, lambda: False),
            VerifyReport(lambda *_: None),
        )


def test_a_damaged_line_ends_it_with_one_error(sides: Sides) -> None:
    sums, _ = find_receipt(sides.destination)
    content = sums.read_bytes().splitlines(keepends=True)
    sums.write_bytes(b"".join([*content[:4], b"nonsense\n", *content[4:]]))
    for facts in (None, find_receipt(sides.destination)[1]):
        with pytest.raises(ReceiptError, match="line 5: "):
            verify_receipt(sides.destination, sums, facts, VerifyOptions(Selection(), 2), VerifyReport(lambda *_: None))


# -- which files --------------------------------------------------------------------------------------------

PATHS = [f"{array}/c/{frame}/{plane}" for array in range(2) for frame in range(100) for plane in range(50)]


@pytest.mark.parametrize("parts", [1, 2, 7, 30])
def test_all_parts_together_are_every_file_once_and_of_about_one_size(parts: int) -> None:
    chosen = [[path for path in PATHS if Selection(part=part, parts=parts).has(path)] for part in range(1, parts + 1)]
    assert sorted(itertools.chain(*chosen)) == sorted(PATHS)
    assert max(map(len, chosen)) < 1.3 * len(PATHS) / parts


def test_a_part_is_the_same_on_every_computer() -> None:
    """Or a scrub that moves to another computer, or to a later Python, leaves files out."""
    assert [path for path in PATHS[:40] if Selection(part=3, parts=10).has(path)] == [
        "0/c/0/4",
        "0/c/0/11",
        "0/c/0/15",
        "0/c/0/38",
    ]


def test_a_sample_is_of_the_size_asked_for_and_its_seed_chooses_it() -> None:
    first, again, other = ({path for path in PATHS if Selection(0.05, seed=seed).has(path)} for seed in (1, 1, 2))
    assert 0.04 * len(PATHS) < len(first) < 0.06 * len(PATHS)
    assert first == again and len(first & other) < 0.2 * len(first)


def test_a_sample_of_a_part_is_of_that_part() -> None:
    sample = {path for path in PATHS if Selection(0.5, 2, 5, seed=3).has(path)}
    part = {path for path in PATHS if Selection(part=2, parts=5).has(path)}
    assert sample < part and 0.4 * len(part) < len(sample) < 0.6 * len(part)
