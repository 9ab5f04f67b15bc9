"""Frees one source in a process of its own, for a front end that shows how far it is and can end it.

`python -m softcopy_napari.engine.freeing.free_process SOURCE DESTINATION` writes reasons to its standard output, each
as a line of JSON: how far it is, and at last what came of it. A line on its standard input ends it between two files;
the end of the input does not: what has begun goes on when its front end has gone.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from pathlib import Path

from softcopy_napari.engine.dispatch.priority import lower_priority
from softcopy_napari.engine.freeing.free_rules import FreeOptions
from softcopy_napari.engine.freeing.free_source import FreeJob
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.reasons import Reason, ReasonCode, encode_reason, make_reason, quote_text
from softcopy_napari.engine.receipt.freed_record import find_freed
from softcopy_napari.engine.verify.verify import Interrupted

_INTERVAL = 0.2
"""Seconds between two lines about how far it is."""


def main(source: Path, destination: Path) -> None:
    """Free the source, and say how far it is and what came of it."""
    lower_priority()
    stopped, told = threading.Event(), 0.0
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def await_stop() -> None:
        if sys.stdin.readline():
            stopped.set()

    threading.Thread(target=await_stop, daemon=True).start()

    def progress(what: ReasonCode, files: int, total: int) -> bool:
        nonlocal told
        if (now := time.monotonic()) - told >= _INTERVAL:
            told = now
            _tell(make_reason(what, files=files, total=total))
        return not stopped.is_set()

    try:
        done = FreeJob(source, destination, FreeOptions(progress=progress)).run()
    except FreeRefused as error:
        _tell(make_reason(ReasonCode.SOURCE_NOT_FREED, why=error.reason))
    except Interrupted:
        record = find_freed(source)
        half = record.describe() if record is not None and not record.ended else None
        _tell(half or make_reason(ReasonCode.FREEING_STOPPED))
    except OSError as error:
        _tell(make_reason(ReasonCode.SOURCE_NOT_FREED, why=quote_text(str(error))))
    else:
        _tell(make_reason(ReasonCode.SOURCE_FREED, files=done.moved, grace=str(done.grace), until=done.until))


def _tell(reason: Reason) -> None:
    with contextlib.suppress(OSError, ValueError):  # whoever started it may have gone
        print(json.dumps(encode_reason(reason)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
