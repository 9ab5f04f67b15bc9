"""Targets: what to copy where, and how. Read from and written to `targets.yaml`, or made from two paths.

Front ends make targets here and give them to the engine. Whatever is wrong with them is one clear line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from softcopy_napari.engine import maxrate
from softcopy_napari.engine.maxrate import FULL, RateSetting, rate_error
from softcopy_napari.engine.patience import in_time
from softcopy_napari.engine.targetsyaml import (
    WINDOWS_HINT,
    Entry,
    TargetsError,
    Value,
    quote,
    read_entries,
)
from softcopy_napari.engine.text import printable
from softcopy_napari.engine.writers import TEMPORARY_PREFIX, TEMPORARY_SUFFIX

_SECONDS = "a number of seconds, 0 or more"
_MAX_LENGTH = 4096
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Settings(BaseModel, frozen=True, extra="forbid", strict=True, allow_inf_nan=False):
    """How a target is copied. The descriptions say what is allowed, as error messages have it."""

    nprocs: int = Field(4, ge=1, le=64, description="a whole number from 1 to 64")
    """Copy processes."""
    sleep_time: float = Field(0.0, ge=0, description=_SECONDS)
    """Seconds that each copy process sleeps between copies."""
    wait_for_source: bool = Field(True, description="true or false")
    """Whether to wait for a source that does not exist yet; if not, fail."""
    settle: float = Field(30.0, ge=0, description=_SECONDS)
    """Seconds of quiet before a source with all its chunks counts as finished."""
    finish_idle: float | None = Field(None, ge=0, description=f"{_SECONDS}, or null for never")
    """Seconds without any change after which the acquisition counts as finished, chunks missing or not."""
    verify: Literal["size", "checksum"] = Field("size", description="size or checksum")
    """Whether what has arrived is known by size and time, or read back and compared as well."""
    max_rate: RateSetting = Field(FULL, description=maxrate.DESCRIPTION)
    """The most that is copied in a second, always or by time of day."""
    pace: Literal["auto", "full"] = Field("auto", description="auto or full")
    """Whether to slow down while the acquisition suffers."""


class Target(Settings, frozen=True):
    """One source and one destination: absolute paths, spelled as their user spelled them."""

    source: Path
    destination: Path
    check: bool = False
    """Whether both are only to be compared, and nothing copied. No targets file can say so."""

    @field_validator("source", "destination")
    @classmethod
    def _is_usable(cls, path: Path) -> Path:
        if problem := _problem(str(path)):
            raise ValueError(problem)
        if not path.is_absolute():
            raise ValueError("is not an absolute path")
        return path


def settings_of(target: Target) -> Settings:
    """A target's settings without the target."""
    return Settings.model_validate(_values(target))


def _values(settings: Settings) -> dict[str, object]:
    """Settings by name; of a target, without its paths."""
    return {name: getattr(settings, name) for name in Settings.model_fields}


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
    if conflict := _find_conflict(targets):
        index, words = conflict
        raise TargetsError(f"{name}, line {entries[index].values['destination'].line}: {words}")
    return targets


def make_target(source: str | Path, destination: str | Path, defaults: Settings) -> Target:
    """Make a target of two paths; relative ones start from the current folder.

    Raises
    ------
    TargetsError
        The paths cannot be used, or do not go together.
    """
    paths = {}
    for key, path in (("source", source), ("destination", destination)):
        try:
            paths[key] = _absolute(os.fspath(path), Path())
        except ValueError as error:
            raise TargetsError(f"the {key} {error}") from None
    target = Target.model_validate({**_values(defaults), **paths})
    check_targets([target])
    return target


def check_targets(targets: Sequence[Target], where: str = "") -> None:
    """Make sure that no target writes into a source, or into another target's destination.

    Parameters
    ----------
    targets : sequence of Target
        All targets that are to run at the same time.
    where : str
        What the message begins with, such as a file's name.

    Raises
    ------
    TargetsError
        They must not run together, or a disk or share does not answer.
    """
    if conflict := in_time(lambda: _find_conflict(targets), targets):
        raise TargetsError(f"{where}: {conflict[1]}" if where else conflict[1])


def settings_problem(error: ValidationError, prefix: str = "") -> str:
    """Say in one line what is wrong with settings that were refused; the prefix stands before a setting's name.

    With the prefix of options, names are spelled as options are.
    """
    first = error.errors()[0]
    name = str(first["loc"][0])
    field = Settings.model_fields.get(name)
    if prefix == "--":
        name = name.replace("_", "-")
    if field is None:
        return f"there is no setting {prefix}{name}; there are {', '.join(Settings.model_fields)}"
    if rate := rate_error(first):
        return f"{prefix}{name} {rate}"
    return f"{prefix}{name} must be {field.description}, not {printable(str(first['input']))}"


def targets_to_json(targets: Sequence[Target]) -> bytes:
    """Targets for another process; paths may hold bytes that are no text."""
    fields = [
        {**target.model_dump(), "source": str(target.source), "destination": str(target.destination)}
        for target in targets
    ]
    return json.dumps(fields).encode()


def targets_from_json(data: bytes) -> tuple[Target, ...]:
    """Read what `targets_to_json` wrote.

    Raises
    ------
    ValueError
        It is something else.
    """
    fields = json.loads(data)
    if not isinstance(fields, list) or not all(isinstance(one, dict) for one in fields):
        raise ValueError("not a list of targets")
    paths = ("source", "destination")
    return tuple(
        Target(**{**one, **{key: Path(one[key]) for key in paths if isinstance(one.get(key), str)}}) for one in fields
    )


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
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
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
    fields = _values(defaults)
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
        return _absolute(text, folder)
    except ValueError as error:
        raise ValueError(f"{error}{'' if value.plain or text.isprintable() else WINDOWS_HINT}") from None


def _absolute(text: str, folder: Path) -> Path:
    """Expand `~`, and put the folder before a relative path. Links and `..` stay: they are for the system.

    Raises
    ------
    ValueError
        With words that go on after "the source".
    """
    if problem := _problem(text):
        raise ValueError(problem)
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(f"begins with the home folder of a user who is not known here: {quote(text)}")
    try:
        absolute = (folder / path).absolute()
    except OSError:
        raise ValueError(f"starts from the current folder, which is gone: {quote(text)}") from None
    if problem := _problem(str(absolute)):
        raise ValueError(problem)
    return absolute


def _problem(text: str) -> str:
    """Say why a text can be no path; empty where it can."""
    if not text.strip():
        return "is empty; write a path"
    if len(text) > _MAX_LENGTH:
        return f"is too long for a path: {quote(text)}"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in text):
        return f"has a control character in it: {quote(text)}"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return f"has a character that no file name can have: {quote(text)}"
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        return f"is a Windows path, {quote(text)}; write it as this computer does"
    return ""


def _find_conflict(targets: Sequence[Target]) -> tuple[int, str] | None:
    """Find a target that must not run beside the others: its index, and why."""
    identities: dict[str, tuple[int, int] | None] = {}
    sources = [_lineage(target.source, identities) for target in targets]
    destinations = [_lineage(target.destination, identities) for target in targets]
    in_sources, in_destinations = _owners(sources), _owners(destinations)
    # Whatever lies in whatever, the inner one has the outer one among its parents. Sources may share folders.
    for index in range(len(targets)):
        if hit := _first_hit(destinations[index], in_sources, prefer=index):
            return index, _words(targets, (index, "destination"), (hit[0], "source"), hit[1])
        if hit := _first_hit(sources[index], in_destinations, prefer=index):
            return index, _words(targets, (index, "source"), (hit[0], "destination"), hit[1])
        hit = _first_hit(destinations[index], in_destinations, ignore=index)
        if hit and (hit[0] < index or not hit[1]):  # of two with one destination, name the second
            return index, _words(targets, (index, "destination"), (hit[0], "destination"), hit[1])
    return None


def _lineage(path: Path, identities: dict[str, tuple[int, int] | None]) -> list[set[object]]:
    """What identifies a folder, then its parent, up to the root: two are the same if they share a mark.

    The marks are the path without links, and the system's identity of what exists of it: on a disk that
    does not tell upper from lower case, or that is mounted twice, one folder has several paths.
    """
    chain = [os.path.realpath(path)]
    while (parent := os.path.dirname(chain[-1])) != chain[-1]:
        chain.append(parent)
    lineage: list[set[object]] = []
    identity: tuple[int, int] | None = None
    below: tuple[str, ...] = ()
    for folder in reversed(chain):
        if folder not in identities:
            identities[folder] = _identity(folder)
        if found := identities[folder]:
            identity, below = found, ()
        else:
            below = (*below, os.path.normcase(os.path.basename(folder)))
        lineage.append({os.path.normcase(folder)})
        if identity:
            lineage[-1].add((identity, below))
    return lineage[::-1]


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _owners(lineages: list[list[set[object]]]) -> dict[object, list[int]]:
    """Which targets' folders have a mark."""
    owners: dict[object, list[int]] = {}
    for index, lineage in enumerate(lineages):
        for mark in lineage[0]:
            owners.setdefault(mark, []).append(index)
    return owners


def _first_hit(
    lineage: list[set[object]], owners: dict[object, list[int]], prefer: int = -1, ignore: int = -1
) -> tuple[int, bool] | None:
    """Index of a target whose folder this one lies in, and whether it is that folder itself."""
    for level, marks in enumerate(lineage):
        found = {index for mark in marks for index in owners.get(mark, ()) if index != ignore}
        if found:
            return prefer if prefer in found else min(found), level == 0
    return None


def _words(targets: Sequence[Target], inner: tuple[int, str], outer: tuple[int, str], same: bool) -> str:
    """Say that one target's folder is, or lies in, one of the same or of another target."""
    of = [f" of target {index + 1}" if len(targets) > 1 else "" for index, _ in (inner, outer)]
    paths = [quote(str(getattr(targets[index], kind))) for index, kind in (inner, outer)]
    its = f"its {outer[1]}" if inner[0] == outer[0] else f"the {outer[1]}{of[1]}"
    advice = "choose another destination"
    if inner[1] == outer[1]:
        advice = "give each target a destination of its own"
    if same:
        return f"the {inner[1]}{of[0]} is {its}, {paths[0]}; {advice}"
    return f"the {inner[1]}{of[0]}, {paths[0]}, lies inside {its}, {paths[1]}; {advice}"
