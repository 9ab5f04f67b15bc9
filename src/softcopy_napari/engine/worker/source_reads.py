"""Reads small files of the source, and what was appended to one, in a copy process."""

from __future__ import annotations

import os
import stat

from softcopy_napari.engine.fs.files import extended_path, native_path, open_source_file
from softcopy_napari.engine.worker.tasks import ReadDone, ReadTask, TailDone, TailTask
from softcopy_napari.engine.zarr_layout.probe import read_metadata_file

_MOST = 4 << 20
"""Bytes of one answer."""


def read_source(source: str, task: ReadTask | TailTask) -> ReadDone | TailDone:
    """Carry out a task that reads from a source, which may be on a disk that hangs."""
    root = extended_path(source)
    if isinstance(task, ReadTask):
        return ReadDone({path: read_metadata_file(root, path) for path in task.paths})
    try:
        with open(open_source_file(os.path.join(root, native_path(task.path))), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return TailDone()
            file.seek(task.offset)
            # Not beyond the size that goes with it: what is appended meanwhile comes with the next answer.
            data = file.read(max(0, min(_MOST, found.st_size - task.offset))) or b""
            return TailDone(data, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino))
    except OSError:
        return TailDone()
