"""Every message to a user has words in the table of troubleshooting by which it is found when it is pasted there."""

from __future__ import annotations

import ast
import functools
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.english import ENGLISH
from softcopy_napari.engine.reasons import Reason, ReasonCode
from softcopy_napari.engine.wording import describe

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "softcopy_napari"

SHORTEST = 12
"""Characters of a part that tells a message from others."""
ENOUGH = 20
"""Characters of a message that tell it from others, wherever in it they stand."""
CALLS = {
    *("notice", "_notice", "_fail", "_end", "refuse", "set_problem"),
    *("TargetsError", "ReceiptError", "VerifyError", "GoalError", "StateFolderError", "EngineGone", "CannotOrder"),
    *("RateError", "NoScreen", "CannotShow", "MicroscopeError", "BadParameter"),
    "ValueError",
}
"""What is called with a message."""
TABLES = {"ENGLISH", "DETAILS", "TERMINAL", "NAPARI"}
"""Words for reason codes: the engine's, and what is other in a front end's."""
NAMES = {"problem", "reason", "_reason", "_why_ended", "words", "what", "error", *TABLES}
"""What messages are assigned to, or handed over as."""
RETURNED_BY = {
    *("words", "describe_problem", "flush", "lower_priority", "write", "check", "_source_problem", "_syntax_problem"),
    *("settings_problem", "foreign_words", "_save"),
}
"""Functions that return messages."""

NO_MESSAGES = {
    "how far it is, and what is normal": {
        *("files compared so far", "checking every file", "flushing to disk", "writing the receipt"),
        *("reading back the copy", "finding the checksums of files copied before"),
        *(
            "missing at the destination",
            "different there",
            "only the times differ",
            "only at the destination",
            "damaged at the source",
        ),
        *("nothing of the source is at the destination", "check again to compare everything"),
        *("sizes and times match", "checksums match", "sizes and contents match"),
        *("files of the source are at the destination, equal in size and time",),
        *("files of the source are at the destination, equal in size and content",),
        *("a file named 'complete' says that the acquisition is over", "nothing has changed for"),
        *("every chunk is there and nothing has changed for", "says that the acquisition is over"),
        *("Keeping up. Done about", "after the acquisition, which ends about"),
        *("file or folder", "files and folders", "left to copy", "Press Start to continue", "run it again to continue"),
        *("complete at the destination", "all read back"),
        *("never written (read as empty", "not at the source so far"),
        *("without napari", "To see more: softcopy status"),
    },
    "what the system says of itself, behind a message that has a row": {"permission denied"},
    "what tensorstore's errors begin with, which is cut off": {"FAILED_PRECONDITION", "INVALID_ARGUMENT"},
    "between programs; no front end of ours gives cause for it": {
        *("not an order", "there is no target", "changes go with set, and set with changes"),
        *("shape, chunk_shape and grid are of different lengths", "the grid is not the shape in chunk files"),
        "is not an absolute path",
    },
    "caught where it arises": {
        *("is no address of an engine", "it is another engine's", "it is too large", "it is no file"),
        *("is no field of a reason", "is no reason"),
        *("is no ledger's path", "is no ledger", "is of the shape"),
    },
    "a mistake in the program": {
        *("three 1-D arrays of one length are needed, not", "counts are needed, one a state, not"),
    },
}
"""Parts that no table has, by the reason."""


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def is_told(node: ast.Call) -> bool:
    """Whether a call tells its arguments to a user."""
    function = ast.unparse(node.func)
    to_stderr = function == "click.echo" and any(one.arg == "err" for one in node.keywords)
    return called(node) in CALLS or function.endswith("problem.emit") or to_stderr


def given(node: ast.AST) -> list[ast.expr]:
    """What a call, an assignment or a function gives a user to read, if it does."""
    match node:
        case ast.Call(args=args, keywords=keywords):
            named = [one.value for one in keywords if one.arg in NAMES]
            return args + named if is_told(node) else named
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
            return [value] if name in NAMES else []
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            return [value] if name in NAMES else []
        case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), value=ast.expr() as value):
            return [value] if name in NAMES else []
        case ast.FunctionDef(name=name) if name in RETURNED_BY:
            return [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
    return []


def texts(node: ast.AST) -> Iterator[list[str]]:
    """The constant parts of each text in an expression."""
    match node:
        case ast.Constant(value=str(text)):
            yield re.split(r"{[^}]*}", text)
        case ast.JoinedStr(values=values):
            yield [str(one.value) for one in values if isinstance(one, ast.Constant)]
            for one in values:
                if isinstance(one, ast.FormattedValue):
                    yield from texts(one.value)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from texts(child)


def plain(text: str) -> str:
    return " ".join(text.split())


def longest(parts: Iterable[str]) -> str:
    """The part of a message by which it is looked for."""
    return max((plain(part).strip(string.punctuation + " ") for part in parts), key=len, default="")


def messages(module: str) -> set[tuple[str, ...]]:
    """The constant parts of all messages in a module."""
    found = {
        tuple(map(plain, parts)) for node in ast.walk(ast.parse(module)) for one in given(node) for parts in texts(one)
    }
    return {parts for parts in found if len(longest(parts)) >= SHORTEST}


def tables(page: str) -> list[str]:
    """What stands in code or in quotes in the first column of a page's tables."""
    cells = "\n".join(line.split(" | ")[0] for line in page.splitlines() if line.startswith("|"))
    return [plain(code or quoted) for code, quoted in re.findall(r'`([^`\n]+)`|"([^"`\n]+)"', cells)]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


DETAILS_OF = {
    "not whole at the source": {
        *(ReasonCode.ENDS_EARLY, ReasonCode.ENDS_IN_ZEROS, ReasonCode.BEGINS_WITH_ZEROS, ReasonCode.BEGINS_OTHERWISE),
        *(ReasonCode.CANNOT_INFLATE, ReasonCode.NO_ZSTD, ReasonCode.CHECKSUM_DIFFERS, ReasonCode.INDEX_TOO_SHORT),
        *(ReasonCode.INDEX_CHECKSUM, ReasonCode.INDEX_NOT_WHOLE, ReasonCode.INDEX_BEYOND_END),
        *(ReasonCode.INDEX_INTO_ITSELF, ReasonCode.CHUNKS_OVERLAP),
    },
    "holds another dataset": {
        *(ReasonCode.FORMAT_DIFFERS, ReasonCode.RANK_DIFFERS, ReasonCode.SHAPE_DIFFERS, ReasonCode.TYPE_DIFFERS),
        *(ReasonCode.NOW_SHARDED, ReasonCode.NOT_SHARDED, ReasonCode.CHUNKS_DIFFER, ReasonCode.SHARDS_DIFFER),
        *(ReasonCode.INNER_CHUNKS_DIFFER, ReasonCode.KEYS_DIFFER, ReasonCode.NO_GROUP, ReasonCode.COPY_OF),
        *(ReasonCode.ANOTHER_SOURCE, ReasonCode.WRITTEN_ANEW),
    },
    "Its files were copied": {
        *(ReasonCode.NOT_AN_OBJECT, ReasonCode.NO_ZARR_FORMAT, ReasonCode.OTHER_ZARR_FORMAT, ReasonCode.NO_NODE_TYPE),
        *(ReasonCode.METADATA_TOO_LARGE, ReasonCode.TOO_MANY_CHUNKS, ReasonCode.STORAGE_TRANSFORMERS),
        *(ReasonCode.NO_NAME, ReasonCode.NO_SUFFIX, ReasonCode.VALUE_TOO_LONG, ReasonCode.NO_LENGTH),
        *(ReasonCode.NO_LENGTHS, ReasonCode.LENGTH_ZERO, ReasonCode.LENGTH_TOO_LARGE, ReasonCode.TOO_MANY_LENGTHS),
        *(ReasonCode.TOO_MANY_DIMENSIONS, ReasonCode.OTHER_RANK, ReasonCode.CHUNKS_END_EARLY),
        *(ReasonCode.UNKNOWN_GRID, ReasonCode.UNKNOWN_KEYS, ReasonCode.KEYS_LEAD_ELSEWHERE, ReasonCode.KEYS_OF_OTHERS),
        *(ReasonCode.BAD_SEPARATOR, ReasonCode.NO_CHUNKS_IN_SHARDS),
    },
}
"""Reasons that are told only behind a message that has a row, by that row."""


def parts_of(code: str) -> set[str]:
    """The words by which each template of a reason is looked for, where it has enough."""
    templates = [found] if isinstance(found := ENGLISH[code], str) else found
    return {part for one in templates if len(part := longest(re.split(r"{[^}]*}", one))) >= SHORTEST}


LISTED = tables(text_of(ROOT / "docs" / "troubleshooting.md"))
EXCEPTIONS = set().union(*NO_MESSAGES.values(), *(parts_of(code) for codes in DETAILS_OF.values() for code in codes))


NOT_OURS = {
    "what PyYAML says": {"expected a single document in the stream but found another document"},
    "made of parts too short to look for": {
        'target … has no "source"; add it',
        "the … of target … must be a path, not …",
    },
}
"""Rows that no text of the program can be found for, by the reason."""


def words_of(module: str) -> Iterator[list[str]]:
    """The constant parts of every text in a module that is longer than a word or two."""
    found = (parts for node in ast.walk(ast.parse(module)) if isinstance(node, ast.Constant) for parts in texts(node))
    return (parts for parts in found if len(longest(parts)) >= 8)


# Looking through all of the program takes seconds: not while tests are collected, which every process does.
@functools.cache
def all_messages() -> dict[str, set[tuple[str, ...]]]:
    """The messages of each module, by its path."""
    return {path.relative_to(PACKAGE).as_posix(): messages(text_of(path)) for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def all_words() -> tuple[set[str], set[str]]:
    """Every constant part of the program's texts, and the longest of each text."""
    words = [parts for path in PACKAGE.rglob("*.py") for parts in words_of(text_of(path))]
    return {plain(part) for parts in words for part in parts}, {longest(parts) for parts in words}


def is_said(listed: str) -> bool:
    """Whether the program still has the words of a listed message: its longest part, or one that is in there."""
    part = longest(listed.split("…"))
    words, longest_words = all_words()
    return any(part in one for one in words) or any(one in part for one in longest_words)


FIXED = [longest(text.split("…")) for text in LISTED]


def is_listed(parts: tuple[str, ...]) -> bool:
    """Whether a row has the longest part of a message, or enough words of it."""
    if any(longest(parts) in text for text in LISTED):
        return True
    return any(len(words) >= ENOUGH and words in part for words in FIXED for part in parts)


def test_every_message_has_a_row_with_its_cause_and_remedy() -> None:
    needed = {(name, parts) for name, found in all_messages().items() for parts in found}
    assert len({name for name, _ in needed}) > 40
    needed = {(name, parts) for name, parts in needed if longest(parts) not in EXCEPTIONS}
    assert sorted((name, parts) for name, parts in needed if not is_listed(parts)) == []


def test_every_row_has_words_that_the_program_still_says() -> None:
    assert {text for text in LISTED if not is_said(text)} == set().union(*NOT_OURS.values())


@pytest.mark.parametrize("row", ["… has turned into a pumpkin", "turned into …: a pumpkin at midnight, or so"])
def test_a_row_whose_message_is_gone_is_found(row: str) -> None:
    assert not is_said(row)


def test_what_details_are_told_behind_has_a_row() -> None:
    assert set(LISTED) >= set(DETAILS_OF)


def test_every_exception_is_a_text_that_the_program_still_has() -> None:
    assert {longest(parts) for found in all_messages().values() for parts in found} >= EXCEPTIONS


# A field above the table (docs/javascripts/filter.js) finds a pasted message by the longest fixed part of a listed one.
WORDS_WITHIN = {"why", "problem", "parts", "objection", "difference", "copy", "text", "next"}
"""Fields that hold other reasons, which are found by themselves."""
NOT_FOUND_BY_PASTING = {ReasonCode.CHECK_SOURCE_GONE, ReasonCode.BAD_VALUE, ReasonCode.NO_KEY, ReasonCode.SCANNING}
"""What has too few words of its own."""


def pasted(code: str, template: str) -> str:
    """A message as somebody would paste it, or nothing where another one within it is looked for."""
    fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(template) if name]
    if any(name in WORDS_WITHIN for name, _ in fields):
        return ""
    return describe(
        Reason(code, tuple((name, 3 if spec not in ("", "quoted", "array") else "x") for name, spec in fields))
    )


def is_found_by_pasting(message: str) -> bool:
    fixed = [max(map(plain, text.split("…")), key=len).strip() for text in LISTED]
    return any(len(part) >= 8 and part in message for part in fixed) or any(message in text for text in LISTED)


def test_a_pasted_message_finds_its_row() -> None:
    templates = {code: [one] if isinstance(one, str) else one for code, one in ENGLISH.items()}
    codes = set(ENGLISH).difference(NOT_FOUND_BY_PASTING, *DETAILS_OF.values())
    messages = [pasted(code, one) for code in codes for one in templates[code]]
    told = [one for one in messages if one and not any(part in one for part in EXCEPTIONS)]
    assert [one for one in told if not is_found_by_pasting(one)] == []


def test_what_tells_messages_is_still_called_so() -> None:
    code = "\n".join(text_of(path) for path in PACKAGE.rglob("*.py"))
    assert {name for name in CALLS | NAMES | RETURNED_BY if not re.search(rf"\b{name}\b", code)} == set()
    assert {name for name in RETURNED_BY if not re.search(rf"def {name}\b", code)} == set()


@pytest.mark.parametrize(
    "told",
    [
        'self._reporter.notice(f"{path} has turned into {kind}")',
        'raise TargetsError("the source has " + f"{kind}" + " and has turned into something")',
        "self._end(TargetState.FAILED, f\"{path}{' has turned into a pumpkin' if late else ''}\")",
        'self.problem = (\n    "has turned into a "\n    f"pumpkin at {hour}"\n)',
        'what += f"{number} has turned into another"',
        'def describe_problem(path):\n    return f"{path} has turned into another" if path else ""',
        'Result(Outcome.FAILED, reason=f"has turned into {kind}")',
    ],
)
def test_a_message_that_nobody_has_documented_is_found_however_it_is_told(told: str) -> None:
    (found,) = (parts for parts in messages(told) if "has turned into" in longest(parts))
    assert not is_listed(found)


def test_words_that_are_no_messages_are_not_asked_for() -> None:
    assert messages('log.info("a thing that only a log tells")\nname = "a thing that nobody is told"') == set()


def test_a_message_outside_of_the_first_column_of_a_table_has_no_cause_and_remedy() -> None:
    page = 'See `is told in passing`.\n\n| `is  listed`<br>"is too" | cause, `by the way` | remedy |\n'
    assert tables(page) == ["is listed", "is too"]
