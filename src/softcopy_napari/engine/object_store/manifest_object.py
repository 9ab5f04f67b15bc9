"""The manifest as an object beside the dataset: with it, another computer can go on with a copy.

A gzip file of lines; each says of an object, between tabs: path, size, modification time of the source's file (ns),
XXH3-128, ETag. What lies in the store is compared with it before any of it is believed.
"""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from typing import IO

from softcopy_napari.engine.object_store.object_manifest import CopiedObject, ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection

SUFFIX = ".softcopy-manifest.gz"
"""What the object's name has behind the dataset's."""
_TOGETHER = 4096


def write_manifest(store: StoreConnection, manifest: ObjectManifest) -> None:
    """Store a destination's manifest beside it.

    Raises
    ------
    OSError
        It cannot be stored, or there is no room for a temporary file.
    """
    with tempfile.TemporaryFile() as file:
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
            for one in manifest.all_copies():
                if "\t" not in one.path and "\n" not in one.path:
                    facts = (one.path, str(one.size), str(one.modified), one.digest.hex(), one.etag)
                    packed.write("\t".join(facts).encode() + b"\n")
        store.beside(store.url.name + SUFFIX).put_file("", file)


def read_manifest(store: StoreConnection, manifest: ObjectManifest) -> int:
    """Take in the manifest that lies beside a destination; returns how many objects it lists, 0 where there is none.

    Raises
    ------
    OSError
        The store cannot be asked.
    """
    count = 0
    with tempfile.TemporaryFile() as file:
        try:
            for block in store.beside(store.url.name + SUFFIX).read(""):
                file.write(block)
        except FileNotFoundError:
            return 0
        file.seek(0)
        copies: list[CopiedObject] = []
        try:
            for one in _lines(file):
                copies.append(one)
                if len(copies) == _TOGETHER:
                    count += len(copies)
                    manifest.note_copies(copies, replace=False)
                    copies = []
        except (ValueError, EOFError, gzip.BadGzipFile):  # damaged: what it lists so far is compared all the same
            pass
        manifest.note_copies(copies, replace=False)
    return count + len(copies)


def _lines(file: IO[bytes]) -> Iterator[CopiedObject]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        for line in io.TextIOWrapper(unpacked, encoding="utf-8", newline="\n"):
            path, size, modified, digest, etag = line.rstrip("\n").split("\t")
            if not os.path.isabs(path):
                yield CopiedObject(path, int(size), etag, int(modified), bytes.fromhex(digest))
