"""Reaches a Dask scheduler, and says in words why it cannot be reached."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from softcopy_napari.engine.errors import TargetsError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

_TIMEOUT = 20.0
"""Seconds that a scheduler has to answer."""


class DaskWorker(NamedTuple):
    """A Dask worker, as its scheduler lists it."""

    address: str
    host: str
    threads: int


def connect(scheduler: str, timeout: float = _TIMEOUT) -> Client:
    """Connect to a scheduler.

    Parameters
    ----------
    scheduler : str
        Its address, or the path of a file in which it says where it can be reached.
    timeout : float
        Seconds that it has to answer.

    Raises
    ------
    TargetsError
        It cannot be reached, or there is no Dask here; the message says what to do.
    """
    try:
        from distributed import Client
    except ImportError:
        raise TargetsError("Dask is not installed here: pip install distributed") from None
    # What it has to say of lost connections is said here, in other words.
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    address = scheduler if "://" in scheduler else _read_file(scheduler)
    try:
        return Client(address, timeout=timeout, set_as_default=False, name="softcopy")
    except (OSError, TimeoutError, ValueError, ImportError, RuntimeError) as error:
        why = str(error) or type(error).__name__
        raise TargetsError(
            f"no Dask scheduler answers at {address}: {_first_sentence(why)}. "
            "Start one (dask scheduler), or give the address that it prints"
        ) from None


def list_workers(client: Client) -> list[DaskWorker]:
    """Return the workers that a scheduler has now and that take tasks.

    Raises
    ------
    OSError or TimeoutError
        It does not answer.
    """
    if client.status != "running":
        raise ConnectionError("the connection was lost")
    found = client.sync(_ask, client, callback_timeout=_TIMEOUT)
    return [
        DaskWorker(str(address), str(one["host"]), int(one["nthreads"]))
        for address, one in found.items()
        if one.get("status", "running") == "running"
    ]


async def _ask(client: Client) -> dict[str, dict[str, Any]]:
    assert client.scheduler is not None  # while it is connected
    found = await client.scheduler.identity()
    return dict(found["workers"])


def close(client: Client) -> None:
    """Close a connection, within a second."""
    with contextlib.suppress(OSError, TimeoutError, RuntimeError):
        client.close(timeout=1)


def call_in_background(function: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Call a function that may wait for a machine for long; what it raises says only that one has gone."""

    def run() -> None:
        try:
            function(*arguments, **options)
        except Exception as error:  # whatever Dask raises then
            log.info("%s: %s", getattr(function, "__name__", function), error)

    threading.Thread(target=run, name="dask-call", daemon=True).start()


def _read_file(path: str) -> str:
    """Return the address that a scheduler left in a file."""
    try:
        found = json.loads(Path(path).read_text())
        address = found["address"]
    except OSError as error:
        raise TargetsError(f"the scheduler file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise TargetsError(f"{path} is not a file that a Dask scheduler wrote") from None
    return str(address)


def _first_sentence(words: str) -> str:
    return words.splitlines()[0].partition(". ")[0].rstrip(".")
