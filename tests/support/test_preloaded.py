"""Processes that are forked from a server: what they are to those who have them started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import preloaded

_MODULE = "softcopy_napari.engine.worker.process"


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
def test_a_process_that_dies_before_it_has_begun_keeps_nobody_waiting(tmp_path: Path) -> None:
    impossible = 1 << 30  # no file can have this number
    pid = preloaded._server(_MODULE).start_child(_MODULE, str(tmp_path), dict(os.environ), {impossible: 1}, False)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
