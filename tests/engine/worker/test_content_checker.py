"""Checking one file by content: it is what it should be, or what is wrong with it is said, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.content_checker import TELLS_CHANGES, CheckOutcome, ContentChecker
from tests.engine.support import write

posix_only = pytest.mark.skipif(os.name != "posix", reason="links")
FILE = "c/0/0"
CONTENT = FILE.encode() * 1000
BLOCKS = len(FILE)  # of 1000 bytes each
FORGED = b"\x5a" * 16


class Sides:
    """A source with one file, and its copy."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "source", folder / "copy"
        for side in (self.source, self.destination):
            write(side / FILE, CONTENT, old=True)

    @contextmanager
    def checker(self, go_on: Callable[[int], bool] = lambda _: True, attempts: int = 1) -> Iterator[ContentChecker]:
        here, there = RootFolder(str(self.source)), RootFolder(str(self.destination))
        here.open()
        there.open()
        try:
            yield ContentChecker(here, there, memoryview(bytearray(1000)), go_on, attempts)
        finally:
            here.close()
            there.close()


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def test_a_file_is_equal_to_its_digest_and_to_its_source_and_to_no_others(sides: Sides) -> None:
    digest = xxh3_128_digest(CONTENT)
    with sides.checker() as checker:
        assert checker.compare_with_digest(FILE, digest) == (CheckOutcome.EQUAL, len(CONTENT), digest, "", None)
        assert checker.compare_with_source(FILE) == (CheckOutcome.EQUAL, len(CONTENT), digest, "", None)
        assert checker.compare_with_digest(FILE, FORGED).outcome is CheckOutcome.CHANGED
        write(sides.destination / FILE, CONTENT[:-1])
        result = checker.compare_with_source(FILE)
        assert (result.outcome, result.detail) == (CheckOutcome.TRUNCATED, "4,999 of 5,000 bytes")
        (sides.destination / FILE).unlink()
        assert checker.compare_with_source(FILE).outcome is CheckOutcome.MISSING
        assert checker.compare_with_digest(FILE, digest).outcome is CheckOutcome.MISSING
        assert checker.find_digest(FILE, ()).outcome is CheckOutcome.MISSING


def test_a_file_that_waits_to_be_copied_is_no_fault_of_the_destination(sides: Sides) -> None:
    """Read back while its source has a new version that nobody has heard of yet: it is not given up as damaged."""
    write(sides.source / FILE, CONTENT[::-1])
    with sides.checker() as checker:
        assert checker.compare_with_source(FILE).outcome is CheckOutcome.CHANGED
        checker.capabilities = Capabilities()
        assert checker.compare_with_source(FILE).outcome is CheckOutcome.MOVING
        found = (sides.source / FILE).stat()
        os.utime(sides.destination / FILE, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert checker.compare_with_source(FILE).outcome is CheckOutcome.CHANGED


@posix_only
def test_a_link_in_a_files_place_is_not_taken_for_it(sides: Sides) -> None:
    elsewhere = write(sides.source.parent / "elsewhere", CONTENT)
    (sides.destination / FILE).unlink()
    os.symlink(elsewhere, sides.destination / FILE)
    with sides.checker() as checker:
        assert checker.compare_with_digest(FILE, xxh3_128_digest(CONTENT)).outcome is CheckOutcome.CHANGED
        assert checker.compare_with_digest(FILE, LINK_DIGEST).outcome is CheckOutcome.LINK
        assert checker.compare_with_source(FILE).outcome is CheckOutcome.CHANGED
        assert checker.find_digest(FILE, ()) == (CheckOutcome.LINK, 0, NO_DIGEST, "", None)


@pytest.mark.skipif(not TELLS_CHANGES, reason="needs to be told when a file was changed")
def test_a_known_digest_serves_until_the_file_changes(sides: Sides) -> None:
    changed = (sides.destination / FILE).stat().st_ctime_ns
    with sides.checker() as checker:
        assert checker.find_digest(FILE, [(changed, FORGED)]).digest == xxh3_128_digest(CONTENT)
        known = [(changed, FORGED), (changed + 1, NO_DIGEST), (changed + 1, FORGED)]
        assert checker.find_digest(FILE, known) == (CheckOutcome.HASHED, len(CONTENT), FORGED, "", None)
        time.sleep(0.02)  # the system's clock for files goes on
        os.utime(sides.destination / FILE)
        assert checker.find_digest(FILE, known).digest == xxh3_128_digest(CONTENT)


def test_a_check_that_is_told_to_stop_says_nothing_of_the_file(sides: Sides) -> None:
    with sides.checker(lambda _: False) as checker:
        for result in (
            checker.compare_with_source(FILE),
            checker.compare_with_digest(FILE, FORGED),
            checker.find_digest(FILE, ()),
        ):
            assert result.outcome is CheckOutcome.STOPPED and not result.good


# -- what is replaced meanwhile -----------------------------------------------------------------------------


def checked(
    sides: Sides, path: str, meanwhile: Callable[[int], object], source: bool = True
) -> tuple[CheckOutcome, str]:
    """Check a file in blocks of 1000 bytes; `meanwhile` is called after each, with its number."""
    number = 0

    def go_on(_: int) -> bool:
        nonlocal number
        number += 1
        meanwhile(number)
        return True

    digest = xxh3_128_digest((sides.source / path).read_bytes())
    with sides.checker(go_on, attempts=3) as checker:
        result = checker.compare_with_source(path) if source else checker.compare_with_digest(path, digest)
    return result.outcome, result.detail if isinstance(result.detail, str) else describe(result.detail)


def replace(file: Path, content: bytes) -> None:
    temporary = write(file.with_name("replacement"), content)
    temporary.replace(file)


def test_a_source_that_keeps_changing_is_still_being_written(sides: Sides) -> None:
    def rewrite(number: int) -> None:
        replace(sides.source / FILE, b"%d" % number * 5000)

    assert checked(sides, FILE, rewrite) == (CheckOutcome.MOVING, "at the source")


def test_a_source_that_is_written_while_its_copy_is_read_is_no_fault_of_the_copy(sides: Sides) -> None:
    """The copy is of the new version already: it differs from what was read of the source, and is right."""

    def rewrite(number: int) -> None:
        if number == BLOCKS + 1:  # the source has been read, and the end of it was seen
            for side in (sides.source, sides.destination):
                replace(side / FILE, b"new" * 2000)

    assert checked(sides, FILE, rewrite) == (CheckOutcome.EQUAL, "")


def test_a_source_that_is_deleted_meanwhile_is_not_called_missing(sides: Sides) -> None:
    def delete(number: int) -> None:
        if number == 1:
            for side in (sides.source, sides.destination):
                (side / FILE).unlink()

    assert checked(sides, FILE, delete) == (CheckOutcome.MOVING, "deleted at the source just now")


@pytest.mark.parametrize("source", [True, False], ids=["source", "receipt"])
def test_a_copy_that_is_replaced_once_while_it_is_read_is_read_again(sides: Sides, source: bool) -> None:
    at = BLOCKS + 2 if source else 2

    def rewrite(number: int) -> None:
        if number == at:
            replace(sides.destination / FILE, (sides.source / FILE).read_bytes())

    write(sides.destination / FILE, b"bad" * 5000)
    assert checked(sides, FILE, rewrite, source) == (CheckOutcome.EQUAL, "")


def test_a_copy_that_keeps_changing_is_still_being_written(sides: Sides) -> None:
    def rewrite(number: int) -> None:
        replace(sides.destination / FILE, b"%d" % number * 5000)

    assert checked(sides, FILE, rewrite, source=False) == (CheckOutcome.MOVING, "at the destination")
