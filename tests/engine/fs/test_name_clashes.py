"""Names that are one name at a destination: what is overlooked is lost there."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from softcopy_napari.engine.fs import name_clashes
from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.name_clashes import NameClashes, find_other_spellings
from tests.engine.support import write

NFC, NFD = (unicodedata.normalize(form, "Z\u00e9lla") for form in ("NFC", "NFD"))
FOLDING = Capabilities(case_sensitive=False)
COMPOSING = Capabilities(form_sensitive=False)


def clashes(can: Capabilities, names: list[str]) -> set[frozenset[str]]:
    """Pairs of names that clash, as a walk finds them."""
    found = NameClashes(can)
    pairs = [(other, name) for name in names if (other := found.add_name(name))]
    return {frozenset(pair) for pair in [*pairs, *found.find_in_large_folder(lambda: names)]}


@pytest.mark.parametrize(
    ("can", "names", "expected"),
    [
        (Capabilities(), ["IMG", "img", NFC, NFD], []),
        (FOLDING, ["IMG", "img", "Img2", "0", "1.0", "c"], [("IMG", "img")]),
        (FOLDING, ["\u00c4", "\u00e4"], [("\u00c4", "\u00e4")]),
        (FOLDING, [NFC, NFD], []),
        (COMPOSING, [NFC, NFD, NFC.upper()], [(NFC, NFD)]),
        (Capabilities(case_sensitive=False, form_sensitive=False), [NFC, NFD.upper()], [(NFC, NFD.upper())]),
    ],
)
def test_only_what_the_destination_takes_for_one_name_clashes(
    can: Capabilities, names: list[str], expected: list[tuple[str, str]]
) -> None:
    assert clashes(can, names) == {frozenset(pair) for pair in expected}


def test_clashes_are_found_in_a_folder_with_more_names_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_clashes, "_MOST", 50)
    names = [f"file{number}" for number in range(1000)]
    assert clashes(FOLDING, [*names, "FILE3", "FILE990"]) == {
        frozenset(("file3", "FILE3")),
        frozenset(("file990", "FILE990")),
    }


def test_numbers_of_chunks_are_not_remembered() -> None:
    found = NameClashes(FOLDING)
    for number in range(1000):
        found.add_name(str(number))
    assert not found._seen


def test_two_files_that_differ_by_the_form_of_an_accent_are_two_where_they_can_be(tmp_path: Path) -> None:
    write(tmp_path / NFC, b"x")
    assert find_other_spellings(str(tmp_path), NFC) == []
    write(tmp_path / NFD, b"y")
    assert find_other_spellings(str(tmp_path), NFC) == []
