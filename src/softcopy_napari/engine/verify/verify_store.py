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

from softcopy_napari.engine.fs.files import extended_path, native_path
from softcopy_napari.engine.fs.own_files import OWN_FILES
from softcopy_napari.engine.object_store.object_manifest import ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt
from softcopy_napari.engine.state_folder.destination_lock import manifest_path
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.verify.dataset_arrays import DatasetArrays
from softcopy_napari.engine.verify.object_reader import Item, ObjectReader
from softcopy_napari.engine.verify.verify import (
    Items,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    in_threads,
    select_files,
    verify_receipt,
    why_gone,
)
from softcopy_napari.engine.worker.content_checker import CheckOutcome
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


def verify_store_source(source: Path, url: StoreUrl, options: VerifyOptions, report: VerifyReport) -> None:
    """Compare objects with the source by content, but for links; raises what `verify_source` does."""
    files = select_files(source, options.selection, report)
    _read_all(url, source, Path(), ((path, b"") for path, is_link in files if not is_link), options, report)
    if options.selection.everything:
        in_threads(options, lambda check: _find_objects_of_no_source(url, source, report, check))


def _read_all(
    url: StoreUrl, source: Path | None, _: Path, items: Items, options: VerifyOptions, report: VerifyReport
) -> None:
    """Have threads check objects, which they draw from the iterator as they come to need them."""
    drawing, store = threading.Lock(), StoreConnection(url)
    place = manifest_path(url)
    manifest = ObjectManifest(place) if place.exists() else None

    def draw() -> list[Item]:
        with drawing:
            batch = list(itertools.islice(items, _TOGETHER))
            known = manifest.find_paths([path for path, _ in batch]) if manifest is not None else {}
        return [(path, digest, known.get(path)) for path, digest in batch]

    def work(check: Callable[[], None]) -> None:
        def go_on(_: int) -> bool:
            check()
            return True

        reader = ObjectReader(store, source, go_on)
        while batch := draw():
            try:
                for path, result in reader.check(batch):
                    check()
                    report.add_result(path, result)
            except StoreError as error:
                raise VerifyError(_away(url, error)) from None
            except OSError as error:
                raise VerifyError(why_gone(error)) from None

    try:
        in_threads(options, *[work] * options.nprocs * _REQUESTS)
    finally:
        if manifest is not None:
            manifest.close()


def _find_unlisted(
    url: StoreUrl, destination: Path, sums: Path, report: VerifyReport, check: Callable[[], None]
) -> None:
    """Find objects that the receipt does not list; that takes 8 bytes of memory for each that it does."""
    listed = np.sort(np.frombuffer(array("Q", _hashes(sums, destination)), np.uint64))
    for paths in _list_objects(url, check):
        hashes = np.array([xxh3_64_intdigest(os.fsencode(path)) for path in paths], np.uint64)
        at = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
        for path in itertools.compress(paths, listed[at] != hashes):
            name = path.rpartition("/")[2]
            is_data = is_named_like_chunk(name) or name in METADATA_NAMES
            report.note(CheckOutcome.EXTRA, path, "not in the receipt", fault=is_data)


def _list_objects(url: StoreUrl, check: Callable[[], None]) -> Iterator[list[str]]:
    """List the paths of all objects but softcopy's own, a page at a time; raises VerifyError."""
    try:
        for page in StoreConnection(url).list():
            check()
            yield [one.key for one in page if one.key not in OWN_FILES]
    except StoreError as error:
        raise VerifyError(_away(url, error)) from None


def _away(url: StoreUrl, error: StoreError) -> str:
    return f"{url} cannot be reached any more: {error.strerror}"


def _find_objects_of_no_source(url: StoreUrl, source: Path, report: VerifyReport, check: Callable[[], None]) -> None:
    """Find objects that have no file, link or folder at the source."""
    root = extended_path(str(source))
    arrays = DatasetArrays(root)
    for path in itertools.chain.from_iterable(_list_objects(url, check)):
        if not os.path.lexists(os.path.join(root, native_path(path))):
            report.note(CheckOutcome.EXTRA, path, "not at the source", fault=arrays.has_chunk(path))


def _hashes(sums: Path, destination: Path) -> Iterator[int]:
    return (xxh3_64_intdigest(os.fsencode(path)) for _, path in read_lines(sums, destination))
