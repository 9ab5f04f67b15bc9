"""Remembers in the state folder what was said of a destination, so that another run of its copy does not repeat it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.notify.decisions import Trace
from softcopy_napari.engine.state_folder.folder import private_folder, read_regular_file

_MAX_SIZE = 1 << 16
_MOST = 50
"""Conditions that are remembered of a destination."""
_KEPT = 30 * 86400.0
"""Seconds for which something is remembered."""
_TRACES = TypeAdapter(dict[str, Trace])


def read_traces(identity: str) -> dict[str, Trace]:
    """Return what was said of a destination, by its `destination_id`; nothing where that is not known."""
    with contextlib.suppress(OSError, ValueError):
        found = _TRACES.validate_json(read_regular_file(_path(identity), _MAX_SIZE))
        return {key: trace._replace(on=False) for key, trace in found.items()}
    return {}


def write_traces(identity: str, traces: Mapping[str, Trace]) -> None:
    """Remember what was said of a destination. What cannot be written is said again at worst."""
    latest = sorted(traces.items(), key=lambda one: one[1].last)[-_MOST:]
    with contextlib.suppress(OSError):
        path = _path(identity)
        content = json.dumps(dict(latest)).encode()
        write_atomically(path, content, path.with_suffix(".tmp"), flush=False, mode=0o600)


def remove_old_traces() -> None:
    """Forget what was said of destinations that nothing has been copied to for a month."""
    with contextlib.suppress(OSError):
        for path in _folder().iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - _KEPT:
                    path.unlink()


def claim_report(name: str) -> bool:
    """Take something upon oneself that only one of several processes is to say; return whether nobody else has.

    It stays taken for a month after somebody has last asked.
    """
    path = _folder() / name
    try:
        with open(path, "x", encoding="ascii"):
            return True
    except FileExistsError:
        os.utime(path)
        return False


def _folder() -> Path:
    return private_folder("notified")


def _path(identity: str) -> Path:
    return _folder() / f"{identity}.json"
