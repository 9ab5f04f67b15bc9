"""The text of a YAML file with the lines of its keys, for targets_file.py.

YAML's nodes are read instead of what `yaml.safe_load` makes of them, because they know their lines, still have keys
that were given twice, and make nothing large of a small file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

import yaml

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text, printable, quote
from softcopy_napari.engine.targets.value_text import Unreadable, value_text

_MAX_SIZE = 1 << 18  # a thousand targets; whoever gives us a chunk file should not wait for its parsing
_MAX_KEYS = 64  # of a mapping with what is merged into it; more, merged a thousand times, fill the memory
_MAX_SCALAR = 4096  # characters of a number in base 60 (1:30:00); PyYAML takes minutes over longer ones
_MAX_REASON = 200
_MAX_MISTAKES = 30
_MERGE = "tag:yaml.org,2002:merge"
WINDOWS_HINT = "; write Windows paths in single quotes or with forward slashes"
_HINTS = {
    "'\\t' that cannot start": "; use spaces, not tabs",
    "that cannot start": "; put the text in quotes",
    "mapping values are not allowed": '; check the indentation, and put text that contains ": " in quotes',
    "could not find expected ':'": '; every line needs a key and a value, as in "source: /data/x.zarr"',
    "expected <block end>": "; check the indentation",
    "undefined alias": "; put text that begins with * in quotes",
}


class Item(NamedTuple):
    """What a key of a mapping, or a place in a list, holds."""

    line: int
    """The key's, or the value's in a list."""
    node: yaml.Node

    @property
    def is_plain(self) -> bool:
        """Whether it stands there without quotes, and is no list or mapping."""
        return isinstance(self.node, yaml.ScalarNode) and not self.node.style


def read_value(node: yaml.Node, numbers_as_text: bool = False) -> object:
    """Return a value as YAML reads it; an empty list or mapping stands for every other."""
    if not isinstance(node, yaml.ScalarNode):
        return [] if isinstance(node, yaml.SequenceNode) else {}
    if len(node.value) > _MAX_SCALAR and ":" in node.value and node.tag != "tag:yaml.org,2002:str":
        return Unreadable(node.value)
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except Exception:  # a date such as 2024-13-01, a tag that does not fit: PyYAML lets every kind of error out
        return Unreadable(node.value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return node.value if numbers_as_text and is_number else value


class YamlFile:
    """A YAML file that a user wrote, and the mistakes that were found in it so far.

    Raises
    ------
    TargetsError
        The file is missing, or is not YAML.
    """

    def __init__(self, path: Path) -> None:
        self.name = printable(str(path))
        self.mistakes: list[tuple[int, str]] = []
        """Lines, and what is wrong there."""
        self._mappings: dict[int, dict[str, Item]] = {}
        self.root = self._compose(self._read(path))
        """None where there is nothing in the file."""

    def note(self, line: int, words: str) -> None:
        """Note a mistake."""
        self.mistakes.append((line, words))

    def fail(self, line: int, words: str) -> NoReturn:
        """Give up because of a mistake; no other one is told."""
        raise TargetsError(f"{self.name}, line {line}: {words}")

    def raise_mistakes(self) -> None:
        """Raise a `TargetsError` with a line for each mistake, if there are any, in the order of the file."""
        lines = [f"{self.name}, line {line}: {words}" for line, words in sorted(self.mistakes, key=lambda one: one[0])]
        if len(lines) > _MAX_MISTAKES:
            lines[_MAX_MISTAKES:] = [f"{self.name}: and {count_text(len(lines) - _MAX_MISTAKES, 'more mistake')}"]
        if lines:
            raise TargetsError("\n".join(lines))

    def mapping(self, node: yaml.Node, where: str = "") -> dict[str, Item]:
        """Return the keys of a mapping, those merged into it (`<<`) included; `where` says in messages what has it."""
        if id(node) in self._mappings:
            return self._mappings[id(node)]
        items = self._mappings[id(node)] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = line_of(key)
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                self.note(line, f"{value_text(read_value(key))} cannot be a key{where}")
            elif first := items.get(key.value):
                words = f"the key {quote(key.value)} is given twice{where}, first in line {first.line}; remove one"
                self.note(line, words)
            else:
                items[key.value] = Item(line, value)
        for other in dict.fromkeys(merged):
            if isinstance(other, yaml.MappingNode):
                items.update({key: item for key, item in self.mapping(other, where).items() if key not in items})
            else:
                line = line_of(other)
                self.note(line, f'"<<" needs a mapping{where}, not {value_text(read_value(other))}')
        if len(items) > _MAX_KEYS:
            self.fail(line_of(node), f"there are more than {_MAX_KEYS} keys in one place; a target has a few only")
        return items

    def _read(self, path: Path) -> str:
        try:
            if path.is_dir():
                raise TargetsError(
                    f"{self.name} is a folder, not a targets file; to copy it, give a destination as well"
                )
            with open(path, "rb") as file:
                data = file.read(_MAX_SIZE + 1)
        except FileNotFoundError:
            raise TargetsError(f"{self.name} does not exist; check the path of the targets file") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such path"
            raise TargetsError(f"{self.name} cannot be read: {reason}") from None
        if len(data) > _MAX_SIZE:
            raise TargetsError(f"{self.name} is too large for a targets file")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.fail(data.count(b"\n", 0, error.start) + 1, "this is not UTF-8 text; save it as UTF-8")

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            node: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
            return node
        except RecursionError:
            raise TargetsError(f"{self.name} is nested too deeply for a targets file") from None
        except yaml.reader.ReaderError as error:
            character = quote(text[error.position : error.position + 1])
            line = text.count("\n", 0, error.position) + 1
            self.fail(line, f"this is not YAML: it has the special character {character}")
        except yaml.MarkedYAMLError as error:
            raise TargetsError(f"{self.name}, {_syntax_problem(error, text)}") from None
        except (ArithmeticError, LookupError, TypeError, ValueError):  # such as \UFFFFFFFF, which PyYAML lets out
            words = "this is not valid YAML: it has a number or character that there is not"
            raise TargetsError(f"{self.name}: {words}") from None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say where a text stops being YAML, why, and what may help."""
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
    return f"line {line}, column {column}: this is not valid YAML: {reason}{hint}"


def line_of(node: yaml.Node) -> int:
    """Return the line in which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def nested_value(file: YamlFile, node: yaml.Node, where: str) -> object:
    """Return a value, a list of values, or a mapping of both; `where` says in messages what has it."""
    if isinstance(node, yaml.MappingNode):
        return {key: _value_or_list(item.node) for key, item in file.mapping(node, where).items()}
    return _value_or_list(node)


def _value_or_list(node: yaml.Node) -> object:
    return [read_value(one) for one in node.value] if isinstance(node, yaml.SequenceNode) else read_value(node)
