"""The text of a targets file: which keys with which values, in which lines.

Used by targets_file.py. YAML's nodes are read instead of what `yaml.safe_load` makes of them, because they know
their lines, still have keys that were given twice, and make nothing large of a small file.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import printable, quote

_MAX_SIZE = 1 << 18  # a thousand targets; whoever gives us a chunk file should not wait for its parsing
_MAX_KEYS = 64  # of a mapping with what is merged into it; more, merged a thousand times, fill the memory
_MAX_SCALAR = 4096  # characters of a number in base 60 (1:30:00); PyYAML takes minutes over longer ones
_MAX_REASON = 200
_MERGE = "tag:yaml.org,2002:merge"
_EXAMPLE = 'write "- source: ..." and, below it, "destination: ..."'
WINDOWS_HINT = "; write Windows paths in single quotes or with forward slashes"
_HINTS = {
    "'\\t' that cannot start": "; use spaces, not tabs",
    "that cannot start": "; put the text in quotes",
    "mapping values are not allowed": '; check the indentation, and put text that contains ": " in quotes',
    "could not find expected ':'": '; every line needs a key and a value, as in "source: /data/x.zarr"',
    "expected <block end>": "; check the indentation",
    "undefined alias": "; put text that begins with * in quotes",
}


@dataclass(frozen=True, slots=True)
class Value:
    """What stands behind a key."""

    value: object
    """As YAML reads it; for what is no plain value, something that no setting allows."""
    words: str
    """What it is, for messages."""
    line: int
    plain: bool = False
    """Whether it stands there without quotes, and is no list or mapping."""
    lines: dict[str, int] = field(default_factory=dict)
    """Of a mapping that may be one: the lines of its keys."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One target as its file has it. All keys are known ones."""

    number: int
    """From 1."""
    line: int
    values: dict[str, Value]


class Mistake(NamedTuple):
    """What is wrong in a line of the file."""

    line: int
    words: str


def read_entries(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str],
    mappings: Sequence[str] = (),
    texts: Sequence[str] = (),
) -> tuple[list[Entry], list[Mistake]]:
    """Read a targets file.

    Parameters
    ----------
    path : Path
        The file.
    required, optional : sequence of str
        Keys that a target must have, and keys that it may have.
    mappings : sequence of str
        Those of them whose value may be a mapping.
    texts : sequence of str
        Those of them whose value is a text, even if it looks like a number: 0664 would be an octal one.

    Returns
    -------
    tuple of list of Entry and list of Mistake
        The targets as far as they can be read, and what is wrong with them.

    Raises
    ------
    TargetsError
        The file is missing, is not YAML, or does not have the form of a targets file.
    """
    name = printable(str(path))
    try:
        reader = _Reader(name, required, optional, mappings, texts)
        return reader.read(_read_text(name, path)), reader.mistakes
    except RecursionError:
        raise TargetsError(f"{name} is nested too deeply for a targets file") from None


def _read_text(name: str, path: Path) -> str:
    try:
        if path.is_dir():
            raise TargetsError(f"{name} is a folder, not a targets file; to copy it, give a destination as well")
        with open(path, "rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        raise TargetsError(f"{name} does not exist; check the path of the targets file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such path"
        raise TargetsError(f"{name} cannot be read: {reason}") from None
    if len(data) > _MAX_SIZE:
        raise TargetsError(f"{name} is too large for a targets file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TargetsError(f"{name}, line {line}: this is not UTF-8 text; save it as UTF-8") from None


class _Reader:
    def __init__(
        self,
        name: str,
        required: Sequence[str],
        optional: Sequence[str],
        mappings: Sequence[str],
        texts: Sequence[str],
    ) -> None:
        self._name = name
        self._texts = texts
        self._mappings = mappings
        self._required = required
        self._keys = (*required, *optional)
        self._items_of: dict[int, dict[str, tuple[int, yaml.Node]]] = {}
        self.mistakes: list[Mistake] = []

    def read(self, text: str) -> list[Entry]:
        root = self._compose(text)
        if root is None or root.tag == "tag:yaml.org,2002:null":
            raise TargetsError(f'{self._name} is empty; begin it with "targets:" and below that {_EXAMPLE}')
        if not isinstance(root, yaml.MappingNode):
            raise self._error(_line(root), f'this is {_value(root).words}; begin the file with "targets:"')
        items = self._items(root, "")
        for key, (line, _) in items.items():
            if key in self._keys:
                self._note(line, f'{quote(key)} belongs in a target, in the list below "targets:"')
            elif key != "targets":
                self._note(line, f"unknown key {quote(key)}{_did_you_mean(key, ['targets'])}")
        if "targets" not in items:  # some other file, of which one line is enough
            words = 'there is no "targets"; begin the file with "targets:"'
            raise self._error(*(self.mistakes[0] if self.mistakes else (_line(root), words)))
        line, node = items["targets"]
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(line, f'"targets" must be a list, not {_value(node).words}; below it {_EXAMPLE}')
        if not node.value:
            raise self._error(line, f'"targets" is an empty list; below it {_EXAMPLE}')
        return [self._entry(number, item) for number, item in enumerate(node.value, 1)]

    def _entry(self, number: int, node: yaml.Node) -> Entry:
        if not isinstance(node, yaml.MappingNode):
            words = _value(node).words
            self._note(_line(node), f"target {number} is {words}, not a source and a destination; {_EXAMPLE}")
            return Entry(number, _line(node), {})
        items = self._items(node, f" in target {number}")
        unknown = [key for key in items if key not in self._keys]
        for key in unknown:
            self._note(items[key][0], f"unknown key {quote(key)} in target {number}{_did_you_mean(key, self._keys)}")
        meant = [close for key in unknown for close in _close(key, self._keys)]
        for key in self._required:
            if key not in items and key not in meant:
                self._note(_line(node), f'target {number} has no "{key}"; add it')
        known = {key: item for key, item in items.items() if key in self._keys}
        values = {key: self._value(key, value, line, number) for key, (line, value) in known.items()}
        return Entry(number, _line(node), values)

    def _value(self, key: str, node: yaml.Node, line: int, number: int) -> Value:
        if key in self._texts and isinstance(node, yaml.ScalarNode):
            return Value(node.value, quote(node.value), line, not node.style)
        if key not in self._mappings or not isinstance(node, yaml.MappingNode):
            return _value(node, line)
        items = self._items(node, f" in {key} of target {number}")
        values = {name: _value(value).value for name, (_, value) in items.items()}
        return Value(values, "a mapping", line, lines={name: at for name, (at, _) in items.items()})

    def _items(self, node: yaml.MappingNode, where: str) -> dict[str, tuple[int, yaml.Node]]:
        """Keys of a mapping with their lines and values, those merged into it (`<<`) included."""
        if id(node) in self._items_of:
            return self._items_of[id(node)]
        items = self._items_of[id(node)] = {}
        merged: list[yaml.Node] = []
        for key_node, value in node.value:
            line = _line(key_node)
            if key_node.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(line, f"{_value(key_node).words} cannot be a key{where}")
                continue
            key = key_node.value
            if key in items:
                first = items[key][0]
                self._note(line, f"the key {quote(key)} is given twice{where}, first in line {first}; remove one")
                continue
            items[key] = line, value
            self._count(items, line)
        for other in dict.fromkeys(merged):
            if not isinstance(other, yaml.MappingNode):
                self._note(_line(other), f'"<<" needs a mapping{where}, not {_value(other).words}')
                continue
            for key, item in self._items(other, where).items():
                items.setdefault(key, item)
            self._count(items, _line(other))
        return items

    def _count(self, items: dict[str, tuple[int, yaml.Node]], line: int) -> None:
        if len(items) > _MAX_KEYS:
            raise self._error(line, f"there are more than {_MAX_KEYS} keys in one place; a target has a few only")

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            loader = yaml.SafeLoader(text)
            try:
                node: yaml.Node | None = loader.get_single_node()
                return node
            finally:
                loader.dispose()
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            character = quote(text[error.position : error.position + 1])
            raise self._error(line, f"this is not YAML: it has the special character {character}") from None
        except yaml.MarkedYAMLError as error:
            reason = printable(" ".join(f"{error.context or ''} {error.problem or ''}".split()))
            escape = error.context == "while scanning a double-quoted scalar" and "\\" in text
            if escape or '\\"' in text:  # the path's last backslash kept the quotes open
                hint = WINDOWS_HINT
            else:
                hint = next((hint for symptom, hint in _HINTS.items() if symptom in reason), "")
            unclosed = error.context == "while scanning a quoted scalar"
            mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            if len(reason) > _MAX_REASON:
                reason = f"{reason[: _MAX_REASON // 2]}...{reason[-_MAX_REASON // 2 :]}"
            raise TargetsError(
                f"{self._name}, line {line}, column {column}: this is not valid YAML: {reason}{hint}"
            ) from None
        except (ArithmeticError, LookupError, TypeError, ValueError):  # such as \UFFFFFFFF, which PyYAML lets out
            raise TargetsError(
                f"{self._name}: this is not valid YAML: it has a number or character that there is not"
            ) from None

    def _note(self, line: int, words: str) -> None:
        self.mistakes.append(Mistake(line, words))

    def _error(self, line: int, words: str) -> TargetsError:
        return TargetsError(f"{self._name}, line {line}: {words}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _close(key: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)


def _did_you_mean(key: str, known: Sequence[str]) -> str:
    if close := _close(key, known):
        return f'; did you mean "{close[0]}"?'
    return f"; known keys are {', '.join(known)}" if len(known) > 1 else f'; the only key here is "{known[0]}"'


def _value(node: yaml.Node, line: int = 0) -> Value:
    if not isinstance(node, yaml.ScalarNode):
        return Value(node, "a list" if isinstance(node, yaml.SequenceNode) else "a mapping", line)
    plain = not node.style
    if len(node.value) > _MAX_SCALAR and ":" in node.value and node.tag != "tag:yaml.org,2002:str":
        return Value(node, f"{quote(node.value)}, which YAML cannot read", line, plain)
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except Exception:  # a date such as 2024-13-01, a tag that does not fit: PyYAML lets every kind of error out
        return Value(node, f"{quote(node.value)}, which YAML cannot read", line, plain)
    return Value(value, _words(value), line, plain)


def _words(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 64:
            return "a huge number"
        case int() | float():
            return str(value)
        case str():
            return f"the text {quote(value)}" if value else "an empty text"
        case datetime.date():
            return "a date"
        case _:
            return "a value of another kind"
