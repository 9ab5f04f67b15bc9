"""Is a folder on another machine the source that the engine means? Devices have other numbers there.

File servers and cluster file systems give a folder the same inode on every machine. Those that make inodes up (FUSE,
SMB) are believed if the zarr metadata at the top are the same bytes.
"""

from __future__ import annotations

import os

from xxhash import xxh3_128_digest

from softcopy_napari.engine.dask_workers.worker_messages import SourceEvidence
from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.verify.content_reader import identify
from softcopy_napari.engine.worker.tasks import Identity
from softcopy_napari.engine.zarr_layout.probe import read_metadata

_OWN_INODES = ("fuse", "cifs", "smb", "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs")
"""Beginnings of the names of file systems whose inodes may differ from machine to machine."""


def gather_evidence(source: str, identity: Identity) -> SourceEvidence:
    """Return by what other machines know a source that has this device and inode here."""
    return SourceEvidence(identity, _digest_metadata(source))


def find_identity(source: str, evidence: SourceEvidence) -> Identity | None:
    """Return device and inode of the same source on this machine; None where it is not there, or is another folder."""
    try:
        here = identify(source)
    except OSError:
        return None
    if here[1] == evidence.identity[1]:
        return here
    invented = os.name != "posix" or identify_file_system(source).kind.startswith(_OWN_INODES)
    if invented and evidence.metadata and evidence.metadata == _digest_metadata(source):
        return here
    return None


def _digest_metadata(source: str) -> bytes:
    """Return a digest of the metadata at the top of a source; empty where there are none."""
    found = read_metadata(source, "")
    parts = [name.encode() + b"\0" + xxh3_128_digest(content) for name, content in sorted(found.items())]
    return xxh3_128_digest(b"".join(parts)) if parts else b""
