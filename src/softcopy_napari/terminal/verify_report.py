"""The report of `softcopy verify --report FILE`: JSON lines, one for each file that does not match, and a last one."""

from __future__ import annotations

import json
from pathlib import Path

from softcopy_napari.engine.targets.store_url import Destination
from softcopy_napari.engine.verify.verify import VerifyError, VerifyReport
from softcopy_napari.engine.worker.content_checker import CheckOutcome

_VERSION = 1


class ReportFile:
    """Writes the report while files are checked.

    Parameters
    ----------
    path : str
        The file, which is replaced.

    Raises
    ------
    VerifyError
        It cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            self._file = open(self._path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        except OSError as error:
            raise VerifyError(f"{path} cannot be written: {error.strerror}") from None

    def add(self, kind: CheckOutcome, path: str, detail: str) -> None:
        """Write what is wrong with a file."""
        self._write({"kind": kind.name.lower(), "path": path, **({"detail": detail} if detail else {})})

    def close(self, folders: tuple[Destination, ...], report: VerifyReport, complete: bool, seconds: float) -> None:
        """Write the last line: what was checked, and whether to the end."""
        *source, destination = map(str, folders)
        self._write(
            {
                "version": _VERSION,
                "destination": destination,
                "source": source[0] if source else None,
                "complete": complete,
                "good": complete and report.good,
                "files": report.files,
                "found_right_earlier": report.earlier,
                "bytes_read": report.bytes,
                "counts": {kind.name.lower(): count for kind, count in report.counts.items()},
                "seconds": round(seconds, 3),
            }
        )
        self._file.close()

    def _write(self, line: dict[str, object]) -> None:
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise VerifyError(f"{self._path} cannot be written: {error.strerror}") from None
