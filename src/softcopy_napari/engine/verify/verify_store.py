"""Checks the objects of a destination in a store against its receipt, by content. For `softcopy verify s3://...`."""

from __future__ import annotations

import itertools
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from xxhash import xxh3_64_intdigest

from softcopy_napari.engine.fs.own_files import OWN_FILES
from softcopy_napari.engine.object_store.object_manifest import KnownObject, ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt
from softcopy_napari.engine.state_folder.destination_lock import manifest_path
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.verify.verify import (
    Items,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    in_threads,
    verify_receipt,
)
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.engine.worker.sides.object_check import check_object
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES, is_named_like_chunk

_REQUESTS = 4
"""Objects that are read at a time, for each file that would be."""
_TOGETHER = 16


def find_store_receipt(url: StoreUrl) -> tuple[Path, Path, Receipt | None]:
    """Fetch the receipt of a destination in a store.

    Returns
    -------
    destination, sums, facts
        A path that stands for the destination, and what `find_receipt` returns of it.

    Raises
    ------
    ReceiptError
        There is none.
    VerifyError
        The store cannot be asked.
    """
    try:
        destination = FilesBesideStore(url).fetch_receipts()
    except OSError as error:
        raise VerifyError(f"{url} cannot be reached: {error.strerror}") from None
    return (destination, *find_receipt(destination))


def verify_store_receipt(
    url: StoreUrl, found: tuple[Path, Path, Receipt | None], options: VerifyOptions, report: VerifyReport
) -> None:
    """Compare objects with their receipt, as `find_store_receipt` has found it; raises what `verify_receipt` does."""
    destination, sums, facts = found
    reading = replace(options, read_all=partial(_read_all, url))
    verify_receipt(destination, sums, facts, reading, report)
    if options.selection.everything:
        in_threads(options, lambda check: _find_unlisted(url, destination, sums, report, check))


def _read_all(
    url: StoreUrl, source: Path | None, destination: Path, items: Items, options: VerifyOptions, report: VerifyReport
) -> None:
    """Have threads check objects, which they draw from the iterator as they come to need them."""
    drawing, store = threading.Lock(), StoreConnection(url)
    place = manifest_path(url)
    manifest = ObjectManifest(place) if place.exists() else None

    def draw() -> list[tuple[str, bytes, KnownObject | None]]:
        with drawing:
            batch = list(itertools.islice(items, _TOGETHER))
            known = manifest.find_paths([path for path, _ in batch]) if manifest is not None else {}
        return [(path, digest, known.get(path)) for path, digest in batch]

    def work(check: Callable[[], None]) -> None:
        def go_on(_: int) -> bool:
            check()
            return True

        while batch := draw():
            for path, digest, known in batch:
                check()
                report.add_result(path, check_object(store, path, digest, known, go_on))

    try:
        in_threads(options, *[work] * options.nprocs * _REQUESTS)
    except StoreError as error:
        raise VerifyError(f"{url} cannot be reached any more: {error.strerror}") from None
    finally:
        if manifest is not None:
            manifest.close()


def _find_unlisted(
    url: StoreUrl, destination: Path, sums: Path, report: VerifyReport, check: Callable[[], None]
) -> None:
    """Find objects that the receipt does not list; that takes 8 bytes of memory for each that it does."""
    listed = np.sort(np.frombuffer(array("Q", _hashes(sums, destination)), np.uint64))
    try:
        for page in StoreConnection(url).list():
            check()
            paths = [one.key for one in page if one.key not in OWN_FILES]
            hashes = np.array([xxh3_64_intdigest(os.fsencode(path)) for path in paths], np.uint64)
            at = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
            for path in itertools.compress(paths, listed[at] != hashes):
                name = path.rpartition("/")[2]
                is_data = is_named_like_chunk(name) or name in METADATA_NAMES
                report.note(CheckOutcome.EXTRA, path, "not in the receipt", fault=is_data)
    except StoreError as error:
        raise VerifyError(f"{url} cannot be reached any more: {error.strerror}") from None


def _hashes(sums: Path, destination: Path) -> Iterator[int]:
    return (xxh3_64_intdigest(os.fsencode(path)) for _, path in read_lines(sums, destination))
