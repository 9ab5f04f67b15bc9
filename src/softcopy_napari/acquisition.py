"""Copies what acquisition software writes, from the start of each acquisition to its end: `follow`.

For pymmcore-plus and ome-writers. Neither is imported here: whoever follows one of their objects has them.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self

from softcopy_napari.engine.client import Copy, EngineGone, start
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_LINGER = 60.0
"""Seconds for which a source is watched on, unless its user says otherwise: one engine for each acquisition."""
_POLL = 0.1
_SINGLE_FILES = (".tif", ".tiff")

log = logging.getLogger(__name__)

Source = str | Path | Callable[[Any], str | Path] | None


class Following:
    """Copies each acquisition of what is followed; `follow` makes it.

    It goes on without anybody keeping it. As a context manager it stops following at the end of the `with` block.

    Attributes
    ----------
    copies : list of Copy
        The copies that were started, one for each acquisition.
    """

    def __init__(self, destination: str | Path, source: Source, settings: dict[str, Any]) -> None:
        self.copies: list[Copy] = []
        self._destination, self._source, self._settings = str(destination), source, settings
        self._orders = ThreadPoolExecutor(1, "softcopy-follow")
        """Starts and ends copies, in their order: whoever acquires must not wait for that."""
        self._pending: list[Future[None]] = []
        self._started = False
        """Whether the last copy that was asked for could be started."""
        self._running = False
        """Whether a copy was asked for whose acquisition has not ended."""
        self._finishing = threading.Lock()
        self._unfollow: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Follow no longer. Copies that were started go on."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        self._orders.shutdown(wait=False)

    def wait(self, timeout: float | None = None) -> list[TargetSnapshot]:
        """Wait until the copies of all acquisitions so far have ended; return how.

        Parameters
        ----------
        timeout : float, optional
            Seconds for which each is waited for at most.
        """
        for order in list(self._pending):
            order.result(timeout)
        return [copy.wait(timeout) for copy in self.copies]

    def begin(self, find_output: Callable[[], str | None], sequence: object = None) -> None:
        """Copy an acquisition that begins now.

        Parameters
        ----------
        find_output : callable
            Return where it is written; None where that cannot be told.
        sequence : object
            What is acquired; for a `source` that is a function.
        """
        try:
            source = self._source(sequence) if callable(self._source) else self._source
            written = os.fspath(source) if source is not None else find_output()
        except Exception:  # nothing of this may disturb an acquisition
            log.exception("not copied: where the acquisition is written could not be found out")
            return
        if not written:
            log.warning("not copied: it is not known where the acquisition is written; say so: follow(..., source=...)")
            return
        path = Path(os.path.abspath(written))
        if source is None and path.name.lower().endswith(_SINGLE_FILES):
            log.warning(
                "not copied: %s is a single file, and folders are copied; "
                "write it into a folder of its own, and say follow(..., source=that folder)", path,
            )  # fmt: skip
            return
        self._running = True
        self._order(lambda: self._start(path))

    def finish(self) -> None:
        """Note that the acquisition is over."""
        with self._finishing:  # a program that ends waits here until that has been told
            if self._running:
                self._running = False
                self._order(self._finish)

    def _order(self, do: Callable[[], None]) -> None:
        try:
            self._pending.append(self._orders.submit(do))
        except RuntimeError:  # the interpreter is about to end: nobody is kept waiting any more
            wait(self._pending)
            do()

    def _start(self, path: Path) -> None:
        settings = {"kind": _kind_of(path), "linger": _LINGER, **self._settings}
        destination = self._destination.replace("{name}", path.name)
        try:
            self.copies.append(start(path, destination, **settings))
            self._started = True
        except (TargetsError, OSError) as error:
            self._started = False
            log.error("%s is not copied: %s", path, error)

    def _finish(self) -> None:
        if not self._started:
            return
        try:
            self.copies[-1].finish(timeout=0.0)
        except (EngineGone, OSError) as error:
            log.error("the end of the acquisition could not be told to its copy: %s", error)

    def follow_runner(self, runner: Any) -> None:
        """Follow a runner of pymmcore-plus."""

        # Functions, and no methods: to those only weak references would be kept.
        def started(sequence: object = None, *_: object) -> None:
            self.begin(lambda: find_output(runner), sequence)

        def finished(*_: object) -> None:
            self.finish()

        events = runner.events
        events.sequenceStarted.connect(started)
        events.sequenceFinished.connect(finished)

        def unfollow() -> None:
            for signal, slot in ((events.sequenceStarted, started), (events.sequenceFinished, finished)):
                with contextlib.suppress(Exception):  # some bindings raise what they like if it is not connected
                    signal.disconnect(slot)

        self._unfollow = unfollow

    def follow_stream(self, stream: Any) -> None:
        """Follow a stream of ome-writers, which does not tell when it is closed: it is looked at."""
        over, known = threading.Event(), weakref.ref(stream)

        def finish_if_closed() -> bool:
            now = known()
            if now is None or now.closed:
                self.finish()
                return True
            return False

        def follow_until_closed() -> None:
            while not over.wait(_POLL) and not finish_if_closed():
                pass

        self.begin(lambda: path_of_settings(getattr(known(), "_settings", None)))
        atexit.register(finish_if_closed)  # a program that ends at once after it has closed its stream
        threading.Thread(target=follow_until_closed, name="softcopy-follow-stream", daemon=True).start()

        def unfollow() -> None:
            over.set()
            atexit.unregister(finish_if_closed)

        self._unfollow = unfollow


def follow(source_of_data: Any, destination: str | Path, *, source: Source = None, **settings: Any) -> Following:
    """Copy acquisitions while they are written: from the start of each one to its end.

    Parameters
    ----------
    source_of_data : CMMCorePlus, MDARunner or OMEStream
        The core or runner of pymmcore-plus, each of whose sequences is copied from `sequenceStarted` to
        `sequenceFinished`; or a stream of ome-writers, which is copied from now until it is closed.
    destination : str or Path
        Where the copies go, such as `/nas/{name}`; `{name}` becomes the name of the folder that is written.
    source : str, Path or callable, optional
        The folder that is written; by default, what the sequence's `output` says. A function is given the sequence and
        returns the folder.
    **settings
        As for `start`. By default `kind` is "zarr" for a folder named `.zarr` or with zarr metadata in it, else
        "folder"; and `linger` is 60.

    Returns
    -------
    Following
        Its `copies` are those that were started, and `stop` ends the following. Nobody needs to keep it.

    Raises
    ------
    TypeError
        It is nothing that can be followed.

    Notes
    -----
    What goes wrong is logged (`logging`, as `softcopy_napari.acquisition`); nothing is raised in an acquisition.

    Examples
    --------
    >>> follow(core, "/nas/{name}")
    >>> core.run_mda(sequence, output="/data/embryo.ome.zarr")
    """
    following = Following(destination, source, settings)
    runner = getattr(source_of_data, "mda", source_of_data)
    if hasattr(getattr(runner, "events", None), "sequenceStarted"):
        following.follow_runner(runner)
    elif hasattr(source_of_data, "append") and hasattr(source_of_data, "closed"):
        following.follow_stream(source_of_data)
    else:
        kind = type(source_of_data).__name__
        raise TypeError(f"{kind} cannot be followed: give a CMMCorePlus, its runner, or a stream of ome-writers")
    return following


def find_output(runner: Any) -> str | None:
    """Return where a runner of pymmcore-plus writes, by its sink or handlers; None where neither tells."""
    sink = runner.get_sink() if callable(getattr(runner, "get_sink", None)) else getattr(runner, "_sink", None)
    if path := path_of_settings(getattr(sink, "_settings", None)):
        return path
    for handler in getattr(runner, "_handlers", ()):
        if path := _path_of_handler(handler):
            return path
    return None


def path_of_settings(settings: Any) -> str | None:
    """Return where acquisition settings of ome-writers have data written; None where they tell no path on disk."""
    path = getattr(settings, "output_path", None)
    return str(path) if path else None


def _path_of_handler(handler: Any) -> str | None:
    """Return where one of the older handlers of pymmcore-plus writes, or one that has a public `path`."""
    store = getattr(getattr(handler, "group", None), "store", None)  # OMEZarrWriter
    places = (
        getattr(handler, "_directory", None),  # ImageSequenceWriter
        getattr(handler, "_filename", None),  # OMETiffWriter
        getattr(handler, "kvstore", None),  # TensorStoreHandler
        getattr(store, "root", None) or getattr(store, "path", None),
        getattr(handler, "path", None),
    )
    for place in places:
        if isinstance(place, dict):
            place = place.get("path") if place.get("driver") == "file" else None
        if isinstance(place, str | Path) and str(place):
            text = str(place).removeprefix("file://")
            return None if "://" in text else text
    return None


def _kind_of(path: Path) -> str:
    """Return what a folder is: a zarr dataset by its name or its metadata, or any files."""
    named = path.name.lower().endswith(".zarr")
    return "zarr" if named or any(os.path.lexists(path / name) for name in METADATA_NAMES) else "folder"
