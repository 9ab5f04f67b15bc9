"""A source on a file system that does not say when folders were made: known again, and told from one made anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.statx import read_birth_time
from softcopy_napari.engine.states import TargetState
from tests.engine.support import tree
from tests.faults.lab import Lab, copied, make_chunks
from tests.support.faultfs import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "FUSE works")


def shows_no_birth_times(source: Path) -> bool:
    return not read_birth_time(str(source), os.stat(source))


def rewrite_all(source: Path) -> None:
    """Write every chunk file again, and nothing else."""
    for path in source.rglob("*"):
        if path.is_file() and path.name[0].isdigit():
            path.write_bytes(b"written again" + path.read_bytes())


def test_a_copy_goes_on_after_every_chunk_file_was_written_again(lab: Lab) -> None:
    lab.faulty_source()
    make_chunks(lab.real_source, 6)
    assert shows_no_birth_times(lab.source)
    assert copied(lab).state is TargetState.COMPLETE
    rewrite_all(lab.real_source)
    assert copied(lab).state is TargetState.COMPLETE
    lab.assert_equal()


def test_a_dataset_made_from_the_same_template_is_another(lab: Lab) -> None:
    """Its metadata have the content and the modification time of the first one's."""
    lab.faulty_source()
    make_chunks(lab.real_source, 6)
    template = lab.folder / "template.zarr"
    shutil.copytree(lab.real_source, template)
    assert copied(lab).state is TargetState.COMPLETE
    yesterdays = tree(lab.destination)
    shutil.rmtree(lab.real_source)
    shutil.copytree(template, lab.real_source)
    rewrite_all(lab.real_source)
    ended = copied(lab)
    assert ended.state is TargetState.FAILED and "another dataset" in ended.reason
    assert tree(lab.destination) == yesterdays
