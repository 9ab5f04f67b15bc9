"""Targets files: `targets.yaml` made to targets, and targets written to one.

What the text of such a file says, and in which lines, is found out by yaml_reader.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text, printable
from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.targets.rate_schedule import rate_error
from softcopy_napari.engine.targets.target import Settings, Target, check_targets, find_conflicts, setting_values
from softcopy_napari.engine.targets.user_paths import spell_path, written_path
from softcopy_napari.engine.targets.yaml_reader import WINDOWS_HINT, Entry, Mistake, Value, read_entries

_MOST_TOLD = 30


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
    entries, mistakes = read_entries(
        path, ("source", "destination"), tuple(Settings.model_fields), ("max_rate",), ("permissions",)
    )
    folder = path.absolute().parent
    targets = [_target(entry, folder, defaults, mistakes) for entry in entries]
    for index, words in find_conflicts(targets):
        mistakes.append(Mistake(entries[index].values["destination"].line, words))
    if mistakes:
        name = printable(str(path))
        lines = [f"{name}, line {line}: {words}" for line, words in sorted(mistakes, key=lambda one: one.line)]
        if len(lines) > _MOST_TOLD:
            lines[_MOST_TOLD:] = [f"{name}: and {count_text(len(lines) - _MOST_TOLD, 'more mistake')}"]
        raise TargetsError("\n".join(lines))
    return tuple(target for target in targets if target is not None)  # which all are, where nothing is wrong


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
        settings = target.model_dump(exclude={"source", "destination", "check", "detached"}, exclude_defaults=True)
        rows.append({"source": _spell(target.source), "destination": _spell(target.destination), **settings})
    text = yaml.safe_dump({"targets": rows}, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    try:
        write_atomically(os.path.realpath(path), text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such path"
        raise TargetsError(f"{printable(str(path))} cannot be written: {reason}") from None


def _spell(path: Path) -> str:
    """Write a path so that it is read back as what it is."""
    text = spell_path(path)
    with contextlib.suppress(ValueError):
        if written_path(text, path) == path:
            return text
    raise TargetsError(f"{printable(str(path))} cannot stand in a targets file: it would be read as another path")


def _target(entry: Entry, folder: Path, defaults: Settings, mistakes: list[Mistake]) -> Target | None:
    """Make a target of what the file says about it; None, and what is wrong with it, where that cannot be."""
    fields = setting_values(defaults)
    for key, value in entry.values.items():
        if key in Settings.model_fields:
            fields[key] = value.value
            continue
        try:
            fields[key] = _path(value, folder)
        except ValueError as error:
            mistakes.append(Mistake(value.line, f"the {key} of target {entry.number} {error}"))
    try:
        return Target.model_validate(fields)
    except ValidationError as error:
        # A path that is not there has been told of.
        refused = {str(one["loc"][0]): one for one in error.errors()}
        mistakes += [_setting_mistake(entry, key, refused[key]) for key in refused if key in Settings.model_fields]
    return None


def _setting_mistake(entry: Entry, key: str, error: Mapping[str, Any]) -> Mistake:
    value, allowed = entry.values[key], Target.model_fields[key].description
    if (rate := rate_error(error)) and not isinstance(value.value, yaml.Node):
        return Mistake(value.lines.get(rate.key, value.line), f"{key} of target {entry.number} {rate}")
    words = f"{key} of target {entry.number} must be {allowed}, not {value.words}{_hint(value)}"
    return Mistake(value.line, words)


def _hint(value: Value) -> str:
    """What may help where a text stands in the place of a number or of true or false."""
    text = value.value
    if not isinstance(text, str):
        return ""
    try:
        float(text)
    except ValueError:
        return "; remove the quotes" if text.lower() in ("true", "false") else ""
    return "; write an exponent as in 1.0e+3" if value.plain else "; remove the quotes"


def _path(value: Value, folder: Path) -> Path:
    text = value.value
    if not isinstance(text, str):
        hint = "; put it in quotes" if value.plain and text is not None else ""
        raise ValueError(f"must be a path, not {value.words}{hint}")
    try:
        return written_path(text, folder)
    except ValueError as error:
        raise ValueError(f"{error}{'' if value.plain or text.isprintable() else WINDOWS_HINT}") from None
