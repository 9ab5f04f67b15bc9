"""Targets: what to copy where, and how; made from two paths here, from a targets file by targets_file.py.

Front ends make targets and give them to the engine. Whatever is wrong with them is one clear line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import printable, quote
from softcopy_napari.engine.fs.permissions import is_valid_permissions
from softcopy_napari.engine.targets import rate_schedule
from softcopy_napari.engine.targets.rate_schedule import FULL, RateSetting, rate_error
from softcopy_napari.engine.targets.timeout import in_time
from softcopy_napari.engine.targets.user_paths import absolute_path, path_problem, written_path

LINGER = 86400.0
"""Seconds for which copies that napari or `start()` began watch their sources on."""
_SECONDS = "a number of seconds, 0 or more"


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
    linger: float | None = Field(None, ge=0, description=f"{_SECONDS}, or null for what is usual")
    """Seconds for which a source is watched on after its copy is complete; the copy resumes when it changes.

    None: `LINGER` where the engine outlives who started it, and else 0.
    """
    verify: Literal["size", "checksum"] = Field("size", description="size or checksum")
    """Whether what has arrived is known by size and time, or read back and compared as well."""
    max_rate: RateSetting = Field(FULL, description=rate_schedule.DESCRIPTION)
    """The most that is copied in a second, always or by time of day."""
    pace: Literal["auto", "full"] = Field("auto", description="auto or full")
    """Whether to slow down while the acquisition suffers."""
    overwrite: bool = Field(False, description="true or false")
    """Whether to replace another dataset that lies at the destination; if not, it is left alone."""
    permissions: str = Field("source", description="source, group, or a mode such as 0664")
    """Which permissions copies have: the source's, those that the destination's folder is meant for, or a mode."""
    links: Literal["keep", "copy"] = Field("keep", description="keep or copy")
    """Whether links that lead out of the source are copied as links, or what they lead to is copied."""

    @field_validator("permissions")
    @classmethod
    def _is_known(cls, setting: str) -> str:
        if not is_valid_permissions(setting):
            raise ValueError(setting)
        return setting


class Target(Settings, frozen=True):
    """One source and one destination: absolute paths, spelled as their user spelled them."""

    source: Path
    destination: Path
    check: bool = False
    """Whether both are only to be compared, and nothing copied. No targets file can say so."""
    detached: bool = False
    """Whether its engine outlives who started it. No targets file can say so."""

    @field_validator("source", "destination")
    @classmethod
    def _is_usable(cls, path: Path) -> Path:
        if problem := path_problem(str(path)):
            raise ValueError(problem)
        if not path.is_absolute():
            raise ValueError("is not an absolute path")
        return path

    @property
    def linger_seconds(self) -> float:
        """Seconds for which its source is watched on once it is complete."""
        if self.linger is None:
            return LINGER if self.detached else 0.0
        return self.linger


def settings_of(target: Target) -> Settings:
    """A target's settings without the target."""
    return Settings.model_validate(setting_values(target))


def setting_values(settings: Settings) -> dict[str, object]:
    """Settings by name; of a target, without its paths."""
    return {name: getattr(settings, name) for name in Settings.model_fields}


def make_target(source: str | Path, destination: str | Path, defaults: Settings) -> Target:
    """Make a target of two paths; relative ones start from the current folder.

    Parameters
    ----------
    source, destination : str or Path
        Read as what a person wrote: quotation marks, variables, `file:` URLs. An absolute `Path` is taken as it is.
    defaults : Settings

    Raises
    ------
    TargetsError
        The paths cannot be used, or do not go together.
    """
    paths = {}
    for key, path in (("source", source), ("destination", destination)):
        try:
            is_made = isinstance(path, Path) and path.is_absolute()
            paths[key] = (absolute_path if is_made else written_path)(os.fspath(path), Path())
        except ValueError as error:
            raise TargetsError(f"the {key} {error}") from None
    target = Target.model_validate({**setting_values(defaults), **paths})
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
    if conflict := in_time(lambda: next(find_conflicts(targets), None), targets):
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


def find_conflicts(targets: Sequence[Target | None]) -> Iterator[tuple[int, str]]:
    """Find the targets that must not run beside the others.

    Parameters
    ----------
    targets : sequence of Target or None
        None keeps the place of one that cannot be used.

    Yields
    ------
    tuple of int and str
        Index of such a target, and why.
    """
    identities: dict[str, tuple[int, int] | None] = {}
    sources = [_lineage(target.source, identities) if target else [] for target in targets]
    destinations = [_lineage(target.destination, identities) if target else [] for target in targets]
    in_sources, in_destinations = _owners(sources), _owners(destinations)
    told: set[frozenset[int]] = set()
    # Whatever lies in whatever, the inner one has the outer one among its parents. Sources may share folders.
    for index in range(len(targets)):
        hits = [
            ("destination", "source", _first_hit(destinations[index], in_sources, prefer=index)),
            ("source", "destination", _first_hit(sources[index], in_destinations, prefer=index)),
            ("destination", "destination", _first_hit(destinations[index], in_destinations, ignore=index)),
        ]
        for inner, outer, hit in hits:
            if hit is None or frozenset((index, hit[0])) in told:
                continue
            if inner == outer and hit[0] > index and hit[1]:
                continue  # of two with one destination, name the second
            told.add(frozenset((index, hit[0])))
            yield index, _words(targets, (index, inner), (hit[0], outer), hit[1])


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
        for mark in lineage[0] if lineage else ():
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


def _words(targets: Sequence[Target | None], inner: tuple[int, str], outer: tuple[int, str], same: bool) -> str:
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
