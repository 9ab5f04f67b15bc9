"""Before a target starts: does its cluster answer, and do its machines see both folders, with the same softcopy?

Where there is no worker yet, some may come: nothing is refused then. A destination that is yet to be made is known by
the nearest folder above it that is there.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

from softcopy_napari import __version__
from softcopy_napari.engine.dask_workers.scheduler import close, connect, list_workers
from softcopy_napari.engine.dask_workers.source_evidence import find_identity, gather_evidence
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.verify.content_reader import identify

_TIMEOUT = 60.0
"""Seconds that a machine has to look at two folders."""


class _View(NamedTuple):
    """What a machine sees."""

    host: str
    version: str
    clock: float
    sees_source: bool
    sees_destination: bool


def check_cluster(scheduler: str, source: Path | None, destination: Path) -> int:
    """Check a cluster, and return the number of threads of the machines that can be used; 0 where there are none yet.

    Parameters
    ----------
    scheduler : str
        Its address, or the path of its file.
    source : Path or None
        None where only a destination is read.
    destination : Path

    Raises
    ------
    TargetsError
        The scheduler does not answer, or none of its workers can be used; the message says why.
    """
    folders = [_existing(folder) for folder in (source, destination) if folder is not None]
    evidence = [gather_evidence(folder, identify(folder)) for folder in folders]
    client = connect(scheduler)
    try:
        threads_of = {worker.address: worker.threads for worker in list_workers(client)}
        started = time.time()
        found = client.sync(client._run, _view_folders, folders, evidence, on_error="return", callback_timeout=_TIMEOUT)
        ended = time.time()
    except (OSError, TimeoutError) as error:
        raise TargetsError(
            f"machines of the Dask cluster at {scheduler} do not answer: {error or 'they may hang at a share'}"
        ) from None
    finally:
        close(client)
    threads, refused = 0, list[str]()
    for address, view in found.items():
        if words := _why_unusable(view, address, source, destination, started, ended):
            refused.append(words)
        else:
            threads += threads_of.get(address, 1)
    if refused and not threads:
        raise TargetsError(f"none of {len(found)} Dask workers can be used: {'; '.join(sorted(set(refused))[:3])}")
    return threads


def _view_folders(folders: list[str], evidence: list[object]) -> _View:
    """Look from a Dask worker."""
    seen = [find_identity(folder, one) is not None for folder, one in zip(folders, evidence, strict=True)]  # type: ignore[arg-type]
    return _View(socket.gethostname(), __version__, time.time(), seen[0], seen[-1])


def _why_unusable(
    view: _View | BaseException, address: str, source: Path | None, destination: Path, started: float, ended: float
) -> str:
    if isinstance(view, ImportError):
        return f"{address} has no softcopy-napari: install the same version there ({view})"
    if isinstance(view, BaseException):
        return f"{address} cannot look at the folders: {view}"
    if view.version != __version__:
        return f"{view.host} has softcopy {view.version}, and this computer {__version__}: install the same on both"
    if source is not None and not view.sees_source:
        return f"{view.host} does not see the source as this computer does: mount it there as {source}"
    if not view.sees_destination:
        return f"{view.host} does not see the destination as this computer does: mount it there as {destination}"
    skew = max(view.clock - ended, started - view.clock)
    return f"the clock of {view.host} is {skew:.0f} s off: set it (NTP)" if skew > 1 else ""


def _existing(folder: Path) -> str:
    """Return the nearest folder above, or itself, that is there."""
    while not os.path.isdir(extended_path(str(folder))) and folder != folder.parent:
        folder = folder.parent
    return str(folder)
