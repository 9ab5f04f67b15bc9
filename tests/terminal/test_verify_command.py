"""`softcopy verify` of what lies in a real object store."""

from __future__ import annotations

from click.testing import CliRunner

from softcopy_napari.terminal.verify_command import verify
from tests.engine.store_jobs import NAME, StoreJobs, jobs_over

jobs = jobs_over((2, 3))


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(verify, arguments)
    return done.exit_code, done.output


def test_a_copy_in_a_store_is_verified(jobs: StoreJobs) -> None:
    url = str(jobs.url)
    code, words = said(url)
    assert code == 2 and "has no receipt" in words
    jobs.complete()
    code, words = said(url)
    assert code == 0 and "OK: all 7 files match" in words, words
    jobs.store.write(f"{NAME}/1.1", b"somebody else's")
    code, words = said(url)
    assert code == 1 and "changed: 1 file" in words and "1.1" in words, words
    code, words = said(str(jobs.source), url)
    assert code == 1 and "truncated: 1 file" in words and "byte by byte" in words, words
    code, words = said(url, "--dask", "tcp://127.0.0.1:1")
    assert code == 2 and "leave out --dask" in words
