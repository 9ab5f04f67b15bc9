"""Makes a target of two paths, and finds targets that would write into a source, or into one another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import quote
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.targets.target import Settings, Target, mistake_text, mistakes_of
from softcopy_napari.engine.targets.timeout import SECONDS, call_with_timeout

Side = Literal["source", "destination"]
Folder = tuple[object, ...]
"""What identifies a folder: the system's identity of what exists of it, and the names below that.

On a disk that ignores upper and lower case, or that is mounted twice, one folder has several paths.
"""
_NOT_TOGETHER: tuple[tuple[Side, Side], ...] = (
    ("destination", "source"),
    ("source", "destination"),
    ("destination", "destination"),  # sources may share folders
)


class _Hit(NamedTuple):
    """A target's folder, which another folder is, or lies in."""

    target: int
    """Index of the target."""
    same: bool
    """Whether it is that folder itself."""


def make_target(source: str | Path, destination: str | Destination, defaults: Settings) -> Target:
    """Make a target of two paths; relative ones start from the current folder.

    Parameters
    ----------
    source, destination : str, Path or StoreUrl
        Read as what a person wrote: quotation marks, variables, `file:` URLs. An absolute `Path` is taken as it is.
        A text may name a destination in an object store, as in `s3://bucket/embryo.zarr`.
    defaults : Settings

    Raises
    ------
    TargetsError
        The paths cannot be used, or do not go together.
    """
    try:
        target = Target.model_validate(
            {**defaults.model_dump(), "source": source, "destination": destination}, context=Path()
        )
    except ValidationError as error:
        key, mistake = next(iter(mistakes_of(error).items()))
        raise TargetsError(mistake_text(f"the {key}", mistake)) from None
    check_targets([target])
    return target


def check_targets(targets: Sequence[Target], by_name: bool = False) -> None:
    """Make sure that no target writes into a source, or into another target's destination.

    Parameters
    ----------
    targets : sequence of Target
        All targets that are to run at the same time.
    by_name : bool
        Whether to call targets by the names of their sources, where their user sees no numbers.

    Raises
    ------
    TargetsError
        They must not run together, or a disk or share does not answer.
    """
    if conflict := call_with_timeout(lambda: next(find_conflicts(targets, by_name), None), no_answer_text(targets)):
        raise TargetsError(conflict[1])


def no_answer_text(targets: Sequence[Target]) -> str:
    """Return what to say when the disks of targets do not answer."""
    sides = ", or ".join(f"source {one.source} or destination {one.destination}" for one in targets)
    return (
        f"{sides} has not answered for {SECONDS:.0f} s: "
        "see whether their disks or shares can be reached, then start again"
    )


def find_conflicts(targets: Sequence[Target | None], by_name: bool = False) -> Iterator[tuple[int, str]]:
    """Find the targets that must not run beside the others.

    Parameters
    ----------
    targets : sequence of Target or None
        None keeps the place of one that cannot be used.
    by_name : bool
        Whether to call targets by the names of their sources, rather than by their numbers.

    Yields
    ------
    tuple of int and str
        Index of such a target, and why.
    """
    known: dict[str, Folder] = {}
    lineages: dict[Side, list[list[Folder]]] = {
        "source": [_lineage(target.source, known) if target else [] for target in targets],
        "destination": [_lineage(target.destination, known) if target else [] for target in targets],
    }
    owners: dict[tuple[Side, Folder], list[int]] = {}
    for side, each in lineages.items():
        for index, lineage in enumerate(each):
            for folder in lineage[:1]:
                owners.setdefault((side, folder), []).append(index)
    reported: set[frozenset[int]] = set()
    for index in range(len(targets)):
        for inner, outer in _NOT_TOGETHER:
            hit = _find_outer(lineages[inner][index], outer, owners, index, inner == outer)
            if hit is None or frozenset((index, hit.target)) in reported:
                continue
            if inner == outer and hit.same and hit.target > index:
                continue  # of two with one destination, name the second
            reported.add(frozenset((index, hit.target)))
            names = _names(targets, by_name)
            yield index, _conflict_text(targets, names, (index, inner), (hit.target, outer), hit.same)


def _lineage(path: Destination, known: dict[str, Folder]) -> list[Folder]:
    """Return a folder, its parent, and so on up to the root. Whatever lies in a folder has it in its lineage."""
    if isinstance(path, StoreUrl):
        return [(place,) for place in _places(path)]
    real = Path(os.path.realpath(path))
    lineage: list[Folder] = []
    for folder in [*reversed(real.parents), real]:
        spelled = os.path.normcase(str(folder))
        if spelled not in known:
            above = lineage[-1] if lineage else ()
            known[spelled] = _identity(folder) or (*above, os.path.normcase(folder.name or folder.anchor))
        lineage.append(known[spelled])
    return lineage[::-1]


def _places(url: StoreUrl) -> list[str]:
    """Return what identifies a place in an object store, then what it lies in, up to the first part of its prefix."""
    parts = url.prefix.split("/")
    return [
        StoreUrl(url.scheme, url.bucket, "/".join(parts[:length]), url.options).place
        for length in range(len(parts), 0, -1)
    ]


def _identity(folder: Path) -> Folder:
    """Return a folder's device and inode; nothing where it does not exist, or its system has none."""
    try:
        found = os.stat(folder)
    except (OSError, ValueError):
        return ()
    return (found.st_dev, found.st_ino) if found.st_ino else ()


def _find_outer(
    lineage: list[Folder], side: Side, owners: dict[tuple[Side, Folder], list[int]], own: int, others_only: bool
) -> _Hit | None:
    """Find the nearest folder of targets that a folder is or lies in; its own target's rather than another's."""
    for level, folder in enumerate(lineage):
        found = [index for index in owners.get((side, folder), ()) if not others_only or index != own]
        if found:
            return _Hit(own if own in found else found[0], level == 0)
    return None


def _names(targets: Sequence[Target | None], by_name: bool) -> list[str]:
    """Return what targets are called in messages; a single one needs no name."""
    if len(targets) == 1:
        return [""]
    if by_name:
        return [f" of {one.source.name}" if one is not None else "" for one in targets]
    return [f" of target {number}" for number in range(1, len(targets) + 1)]


def _conflict_text(
    targets: Sequence[Target | None], names: list[str], inner: tuple[int, Side], outer: tuple[int, Side], same: bool
) -> str:
    """Say that one target's folder is, or lies in, one of the same or of another target."""
    of = [names[index] for index, _ in (inner, outer)]
    paths = [quote(str(getattr(targets[index], side))) for index, side in (inner, outer)]
    its = f"its {outer[1]}" if inner[0] == outer[0] else f"the {outer[1]}{of[1]}"
    advice = "choose another destination"
    if inner[1] == outer[1]:
        advice = "give each target a destination of its own"
    if same:
        return f"the {inner[1]}{of[0]} is {its}, {paths[0]}; {advice}"
    return f"the {inner[1]}{of[0]}, {paths[0]}, lies inside {its}, {paths[1]}; {advice}"
