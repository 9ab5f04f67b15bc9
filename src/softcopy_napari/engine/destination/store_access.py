"""May we copy to this place in an object store? Each right is tried once, before anything is started.

Called where a store that does not answer holds up nobody: before an engine starts, and in threads of front ends.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import NamedTuple

from softcopy_napari.engine.fs.destination_problem import ProblemKind
from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.targets.store_url import StoreUrl

_PATIENCE = 5.0
"""Seconds for which a request that fails is repeated: longer than a hiccup, shorter than somebody waits."""
_WAITS = (ProblemKind.GONE, ProblemKind.OVERLOADED)
"""What passes by itself."""
_PROBE = b"softcopy tried whether it may write here; delete this\n"


class StoreAccess(NamedTuple):
    """What a place in an object store lets us do; at most one of the reasons is there."""

    refused: Reason | None = None
    """Why nothing can be copied there."""
    unreachable: Reason | None = None
    """Why it is not known: it does not answer just now, and is waited for."""
    has_objects: bool = False
    """Whether anything is there already."""


def check_store_access(url: StoreUrl, write: bool) -> StoreAccess:
    """Try what a copy will do.

    Parameters
    ----------
    url : StoreUrl
    write : bool
        Whether to put a tiny object beside the dataset, ask for it and delete it; else objects are only listed.
    """
    store = StoreConnection(url, patience=_PATIENCE)
    code = ReasonCode.STORE_NOT_LISTED
    try:
        has_objects = store.has_objects()
        probe = store.beside(f"{url.name}.{TEMPORARY_PREFIX}{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        if write:
            code = ReasonCode.STORE_NOT_WRITTEN
            probe.put("", _PROBE)
            code = ReasonCode.STORE_NOT_READ
            probe.look_up("")
    except OSError as error:
        return _explain(url, code, error)
    finally:
        if code is ReasonCode.STORE_NOT_READ:
            with contextlib.suppress(OSError):  # who may not delete can still copy
                probe.delete([""])
    return StoreAccess(has_objects=has_objects)


def _explain(url: StoreUrl, code: ReasonCode, error: OSError) -> StoreAccess:
    """Say what an error at one of the tries means for the whole."""
    kind = error.kind if isinstance(error, StoreError) else None
    fields = {"destination": str(url), "problem": error.strerror or str(error)}
    if kind in _WAITS:
        return StoreAccess(unreachable=make_reason(ReasonCode.STORE_UNREACHABLE, **fields))
    if kind is ProblemKind.CLOCK:
        return StoreAccess(make_reason(ReasonCode.STORE_CLOCK, **fields))
    if kind is ProblemKind.NO_BUCKET:
        return StoreAccess(make_reason(ReasonCode.STORE_BUCKET_MISSING, **fields, bucket=url.bucket))
    if isinstance(error, StoreError) and kind is ProblemKind.REFUSED and not error.denied:
        return StoreAccess(make_reason(ReasonCode.STORE_CREDENTIALS, **fields))
    return StoreAccess(make_reason(code, **fields))
