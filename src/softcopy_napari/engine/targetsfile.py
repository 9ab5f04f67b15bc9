"""Targets files: `targets.yaml` made to targets, and targets written to one.

What the text of such a file says, and in which lines, is found out by targetsyaml.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, Field, ValidationError

from softcopy_napari.engine.maxrate import rate_error
from softcopy_napari.engine.mistakes import TargetsError
from softcopy_napari.engine.targets import (
    Settings,
    Target,
    absolute_path,
    check_targets,
    find_conflict,
    setting_values,
)
from softcopy_napari.engine.targetsyaml import WINDOWS_HINT, Entry, Value, read_entries
from softcopy_napari.engine.text import printable
from softcopy_napari.engine.writers import TEMPORARY_PREFIX, TEMPORARY_SUFFIX


class TargetsFile(BaseModel, frozen=True, extra="forbid", strict=True):
    """What a targets file holds."""

    targets: tuple[Target, ...] = Field(min_length=1)


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
        Anything is wrong with the file or its targets.
    """
    entries = read_entries(path, ("source", "destination"), tuple(Settings.model_fields), ("max_rate",))
    name = printable(str(path))
    folder = path.absolute().parent
    targets = TargetsFile(targets=tuple(_target(entry, folder, defaults, name) for entry in entries)).targets
    if conflict := find_conflict(targets):
        index, words = conflict
        raise TargetsError(f"{name}, line {entries[index].values['destination'].line}: {words}")
    return targets


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
        settings = target.model_dump(exclude={"source", "destination", "check"}, exclude_defaults=True)
        rows.append({"source": str(target.source), "destination": str(target.destination), **settings})
    text = yaml.safe_dump({"targets": rows}, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    try:
        _write(Path(os.path.realpath(path)), text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such path"
        raise TargetsError(f"{printable(str(path))} cannot be written: {reason}") from None


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _target(entry: Entry, folder: Path, defaults: Settings, name: str) -> Target:
    """Make a target of what the file says about it."""
    fields = setting_values(defaults)
    for key, value in entry.values.items():
        if key in Settings.model_fields:
            fields[key] = value.value
            continue
        try:
            fields[key] = _path(value, folder)
        except ValueError as error:
            words = f"the {key} of target {entry.number} {error}"
            raise TargetsError(f"{name}, line {value.line}: {words}") from None
    try:
        return Target.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        value, allowed = entry.values[key], Target.model_fields[key].description
        if (rate := rate_error(first)) and not isinstance(value.value, yaml.Node):
            line = value.lines.get(rate.key, value.line)
            raise TargetsError(f"{name}, line {line}: {key} of target {entry.number} {rate}") from None
        words = f"{key} of target {entry.number} must be {allowed}, not {value.words}{_hint(value)}"
        raise TargetsError(f"{name}, line {value.line}: {words}") from None


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
        return absolute_path(text, folder)
    except ValueError as error:
        raise ValueError(f"{error}{'' if value.plain or text.isprintable() else WINDOWS_HINT}") from None
