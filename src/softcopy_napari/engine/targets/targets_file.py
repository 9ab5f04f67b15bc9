"""Targets files: `targets.yaml` made to targets, and targets written to one."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import printable, quote
from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.targets.build import check_targets, find_conflicts, no_answer_text
from softcopy_napari.engine.targets.notify import read_notify
from softcopy_napari.engine.targets.rate_schedule import RateError
from softcopy_napari.engine.targets.store_url import Destination
from softcopy_napari.engine.targets.target import KEYS, PATHS, Settings, Target, mistake_text, mistakes_of, reason_of
from softcopy_napari.engine.targets.timeout import call_with_timeout
from softcopy_napari.engine.targets.user_paths import spell_path, written_destination
from softcopy_napari.engine.targets.value_text import value_text
from softcopy_napari.engine.targets.yaml_reader import WINDOWS_HINT, Item, YamlFile, line_of, nested_value, read_value

_EXAMPLE = 'write "- source: ..." and, below it, "destination: ..."'
_FOR_ALL = "notify"
"""The key that may also stand beside the list, for all targets that do not say otherwise."""
_AS_WRITTEN = ("permissions", "group", "max_rate", "marker")
"""Keys of which a number counts as it is spelled: 0664 would be an octal one, and 1:30 one in base 60."""


def load_targets(path: Path, defaults: Settings) -> tuple[Target, ...]:
    """Read a targets file.

    Parameters
    ----------
    path : Path
        The file. Relative paths in it start from its folder.
    defaults : Settings
        What counts where a target does not say otherwise.

    Raises
    ------
    TargetsError
        Anything is wrong with the file or its targets: a line for each mistake, in the order of the file.
    """
    file = YamlFile(path)
    entries = _find_entries(file)
    folder = path.absolute().parent
    defaults = defaults.model_copy(update={_FOR_ALL: _read_for_all(file, defaults)})
    targets = [_read_target(file, number, entry, folder, defaults) for number, entry in enumerate(entries, 1)]
    usable = [target for target in targets if target is not None]
    for index, words in call_with_timeout(lambda: list(find_conflicts(targets)), no_answer_text(usable)):
        file.note(file.mapping(entries[index])["destination"].line, words)
    file.raise_mistakes()
    return tuple(usable)  # which all are, where nothing is wrong


def dump_targets(targets: Sequence[Target], path: Path) -> None:
    """Write a targets file that `load_targets` reads back.

    Settings that are the defaults are left out, and so are targets that are only to be checked.

    The file is there as a whole or not at all.

    Raises
    ------
    TargetsError
        The targets must not run together, or the file cannot be written.
    """
    targets = [target for target in targets if not target.check]
    if not targets:
        raise TargetsError("there are no targets to write; add a source and a destination")
    check_targets(targets)
    rows = []
    for target in targets:
        settings = target.model_dump(include=set(Settings.model_fields), exclude_defaults=True)
        if target.notify is not None:
            settings[_FOR_ALL] = target.notify.plain()
        rows.append({"source": _spell(target.source), "destination": _spell(target.destination), **settings})
    text = yaml.safe_dump({"targets": rows}, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    has_secret = any(one.notify is not None and one.notify != one.notify.without_secrets() for one in targets)
    try:
        write_atomically(os.path.realpath(path), text.encode(), mode=0o600 if has_secret else 0o666)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such path"
        raise TargetsError(f"{printable(str(path))} cannot be written: {reason}") from None


def _spell(path: Destination) -> str:
    """Write a path so that it is read back as what it is."""
    text = spell_path(path)
    with contextlib.suppress(ValueError):
        if written_destination(text, Path()) == path:
            return text
    raise TargetsError(f"{printable(str(path))} cannot stand in a targets file: it would be read as another path")


def _find_entries(file: YamlFile) -> list[yaml.Node]:
    """Find the list of targets."""
    root = file.root
    if root is None or root.tag == "tag:yaml.org,2002:null":
        raise TargetsError(f'{file.name} is empty; begin it with "targets:" and below that {_EXAMPLE}')
    if not isinstance(root, yaml.MappingNode):
        file.fail(line_of(root), f'this is {value_text(read_value(root))}; begin the file with "targets:"')
    items = file.mapping(root)
    for key, item in items.items():
        if key in KEYS and key != _FOR_ALL:
            file.note(item.line, f'{quote(key)} belongs in a target, in the list below "targets:"')
        elif key not in ("targets", _FOR_ALL):
            file.note(item.line, f"unknown key {quote(key)}{_did_you_mean(key, ['targets', _FOR_ALL])}")
    if "targets" not in items:  # some other file, of which one line is enough
        line, words = (*file.mistakes, (line_of(root), 'there is no "targets"; begin the file with "targets:"'))[0]
        file.fail(line, words)
    line, node = items["targets"]
    if not isinstance(node, yaml.SequenceNode):
        file.fail(line, f'"targets" must be a list, not {value_text(read_value(node))}; below it {_EXAMPLE}')
    if not node.value:
        file.fail(line, f'"targets" is an empty list; below it {_EXAMPLE}')
    return list(node.value)


def _read_for_all(file: YamlFile, defaults: Settings) -> object:
    """Return where notifications of all targets go, as far as the file says so; note what is wrong with it."""
    item = file.mapping(file.root).get(_FOR_ALL) if file.root is not None else None
    if item is None:
        return defaults.notify
    try:
        said = read_notify(nested_value(file, item.node, f" in {_FOR_ALL}"))
    except ValueError as error:
        file.note(item.line, f"{_FOR_ALL} {error}")
        return defaults.notify
    return said.over(defaults.notify) if said is not None else defaults.notify


def _read_target(file: YamlFile, number: int, node: yaml.Node, folder: Path, defaults: Settings) -> Target | None:
    """Make a target of what the file says about it; note what is wrong, and return None, where that cannot be."""
    line, of = line_of(node), f" of target {number}"
    if not isinstance(node, yaml.MappingNode):
        words = value_text(read_value(node))
        file.note(line, f"target {number} is {words}, not a source and a destination; {_EXAMPLE}")
        return None
    items = file.mapping(node, f" in target {number}")
    unknown = {key: item for key, item in items.items() if key not in KEYS}
    for key, item in unknown.items():
        file.note(item.line, f"unknown key {quote(key)} in target {number}{_did_you_mean(key, KEYS)}")
    values = {key: _value(file, key, item, of) for key, item in items.items() if key not in unknown}
    try:
        target = Target.model_validate({**defaults.model_dump(), **values}, context=folder)
        notify = target.notify.over(defaults.notify) if target.notify is not None else defaults.notify
        return target.model_copy(update={_FOR_ALL: notify})
    except ValidationError as error:
        for key, mistake in mistakes_of(error).items():
            if key in items:
                name = f"the {key}{of}" if key in PATHS else f"{key}{of}"
                file.note(_line(file, items[key], mistake), mistake_text(name, mistake) + _hint(items[key], key))
            elif not any(key in _close(other, KEYS) for other in unknown):
                file.note(line, f'target {number} has no "{key}"; add it')
    return None


def _value(file: YamlFile, key: str, item: Item, where: str) -> object:
    """Return what a target says of a key: one value, but for rates by time of day, freeing, and notifications."""
    if key == "max_rate" and isinstance(item.node, yaml.MappingNode):
        times = file.mapping(item.node, f" in {key}{where}")
        return {time: read_value(rate.node, numbers_as_text=True) for time, rate in times.items()}
    if key in ("free", _FOR_ALL):
        return nested_value(file, item.node, f" in {key}{where}")
    return read_value(item.node, numbers_as_text=key in _AS_WRITTEN)


def _line(file: YamlFile, item: Item, mistake: Mapping[str, Any]) -> int:
    """Return the line of a mistake: of rates by time of day, that of the time."""
    reason = reason_of(mistake)
    if isinstance(reason, RateError) and reason.key and isinstance(item.node, yaml.MappingNode):
        return file.mapping(item.node)[reason.key].line
    return item.line


def _hint(item: Item, key: str) -> str:
    """Return what may help where quotes are missing, or are too many."""
    value = read_value(item.node)
    if key in PATHS:
        if not isinstance(value, str):
            return "; put it in quotes" if item.is_plain and value is not None else ""
        return "" if item.is_plain or value.isprintable() else WINDOWS_HINT
    if not isinstance(value, str) or key in (*_AS_WRITTEN, _FOR_ALL):
        return ""
    try:
        float(value)
    except ValueError:
        return "; remove the quotes" if value.lower() in ("true", "false") else ""
    return "; write an exponent as in 1.0e+3" if item.is_plain else "; remove the quotes"


def _close(key: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)


def _did_you_mean(key: str, known: Sequence[str]) -> str:
    if close := _close(key, known):
        return f'; did you mean "{close[0]}"?'
    return f"; known keys are {', '.join(known)}"
