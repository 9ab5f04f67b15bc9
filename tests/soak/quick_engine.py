"""An engine process that waits less, and that file permissions hold even where it is run by root."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys

_DROP_FROM_BOUNDING_SET = 24
_PASS_OVER_PERMISSIONS = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def main() -> None:
    """Be an engine."""
    from softcopy_napari.engine import server
    from softcopy_napari.engine.dispatch import retries, worker_pool
    from softcopy_napari.engine.job import final_check, job_parts
    from softcopy_napari.engine.source import event_rules, source_tracker

    faulthandler.register(signal.SIGUSR1)  # says where all its threads are
    for module in (event_rules, job_parts, source_tracker):
        module.QUIET = 0.3  # type: ignore[attr-defined]
    worker_pool._HUNG = 3.0
    retries._LAST = 3.0
    final_check.LAST_CHANCE, final_check.OPEN_FILE_TIMEOUT = 0.5, 2.0
    server.main()


if __name__ == "__main__":
    if sys.platform == "linux" and os.geteuid() == 0 and "again" not in sys.argv:
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            for capability in _PASS_OVER_PERMISSIONS:
                libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
        os.execv(sys.executable, [sys.executable, *sys.argv, "again"])  # from here on it counts
    main()
