"""Checking what lies in real stores against its receipt, and against its source."""

from __future__ import annotations

import os

import pytest

from softcopy_napari.engine.receipt.checksum_file import ReceiptError
from softcopy_napari.engine.verify.verify import Selection, VerifyError, VerifyOptions, VerifyReport
from softcopy_napari.engine.verify.verify_store import find_store_receipt, verify_store_receipt, verify_store_source
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from tests.engine.store_jobs import NAME, StoreJobs, jobs_over
from tests.support.fault_proxy import Fault, FaultProxy

jobs = jobs_over((2, 3, 2))


def verify(jobs: StoreJobs, with_source: bool = False) -> tuple[VerifyReport, list[tuple[CheckOutcome, str]]]:
    told: list[tuple[CheckOutcome, str]] = []
    report = VerifyReport(lambda kind, text: told.append((kind, text)))
    options = VerifyOptions(Selection(), 2)
    if with_source:
        verify_store_source(jobs.source, jobs.url, options, report)
    else:
        verify_store_receipt(jobs.url, find_store_receipt(jobs.url), options, report)
    return report, told


def test_what_lies_there_is_compared_with_the_receipt(jobs: StoreJobs, faulty: FaultProxy) -> None:
    jobs.endpoint = faulty.endpoint
    jobs.complete()
    report, told = verify(jobs)
    assert report.good and told == [] and report.files == report.listed == len(jobs.source_files())
    assert report.bytes == sum(map(len, jobs.source_files().values()))
    jobs.store.write(f"{NAME}/0.0.0", b"changed")
    jobs.store.delete(f"{NAME}/0.1.1")
    jobs.store.write(f"{NAME}/9.9.9", b"one more")
    jobs.store.write(f"{NAME}/notes.txt", b"of people")
    report, told = verify(jobs)
    assert {(kind, text.split()[0]) for kind, text in told} == {
        (CheckOutcome.CHANGED, "0.0.0"),
        (CheckOutcome.MISSING, "0.1.1"),
        (CheckOutcome.EXTRA, "9.9.9"),
        (CheckOutcome.EXTRA, "notes.txt"),
    }
    assert report.faults == 3
    faulty.inject(Fault.DENIED, key=f"{NAME}/")
    with pytest.raises(VerifyError, match="Access Denied"):
        verify(jobs)


def test_what_the_store_has_told_is_not_read(jobs: StoreJobs, faulty: FaultProxy) -> None:
    jobs.endpoint = faulty.endpoint
    jobs.complete(verify="checksum")
    faulty.forget()
    report, told = verify(jobs)
    assert report.good and report.files == len(jobs.source_files()) and told == []
    assert faulty.count("GET", rf"{NAME}/\d") == 0
    jobs.store.write(f"{NAME}/0.0.0", b"changed")
    report, told = verify(jobs)
    assert [(kind, text.split()[0]) for kind, text in told] == [(CheckOutcome.CHANGED, "0.0.0")]


def test_without_a_receipt_there_is_nothing_to_compare_with(jobs: StoreJobs) -> None:
    with pytest.raises(ReceiptError):
        verify(jobs)


def test_what_lies_there_is_compared_with_the_source(jobs: StoreJobs, faulty: FaultProxy) -> None:
    (jobs.source / "link").symlink_to("0.0.0")
    jobs.endpoint = faulty.endpoint
    jobs.complete()
    report, told = verify(jobs, with_source=True)
    assert report.good and told == [] and report.files == len(jobs.source_files())
    assert report.bytes == sum(map(len, jobs.source_files().values()))
    jobs.store.write(f"{NAME}/0.0.0", jobs.store.read(f"{NAME}/0.0.0")[:-1] + b"!")
    jobs.store.write(f"{NAME}/0.0.1", b"short")
    jobs.store.delete(f"{NAME}/0.1.1")
    jobs.store.write(f"{NAME}/9.9.9", b"in no grid")
    (jobs.source / "1.2.1").unlink()
    report, told = verify(jobs, with_source=True)
    assert {(kind, text.split()[0]) for kind, text in told} == {
        (CheckOutcome.CHANGED, "0.0.0"),
        (CheckOutcome.TRUNCATED, "0.0.1"),
        (CheckOutcome.MISSING, "0.1.1"),
        (CheckOutcome.EXTRA, "9.9.9"),
        (CheckOutcome.EXTRA, "1.2.1"),
    }
    assert report.faults == 4, "what is in no array's grid is nobody's fault"
    faulty.inject(Fault.DENIED, key=f"{NAME}/")
    with pytest.raises(VerifyError, match="Access Denied"):
        verify(jobs, with_source=True)


def test_a_source_that_was_changed_later_is_read_although_the_store_tells_of_the_copy(jobs: StoreJobs) -> None:
    jobs.complete(verify="checksum")
    file = jobs.source / "0.0.0"
    found = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    report, told = verify(jobs, with_source=True)
    assert [(kind, text.split()[0]) for kind, text in told] == [(CheckOutcome.CHANGED, "0.0.0")]
    assert report.bytes == found.st_size, "the others were proven by what the store tells"
