"""What the parts of one target's job share: the state of every file, the source, the workers, and the report."""

from __future__ import annotations

from pathlib import Path

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.progress.reporter import Reporter
from softcopy_napari.engine.source.event_rules import QUIET
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.watermark.watermark import Watermark


class JobParts:
    """The objects that all parts of a target's job work with. Only the job's thread may use them.

    Parameters
    ----------
    resources : TargetResources
    identity : str
        What front ends call the target.
    ledgers : Path
        The folder for its ledgers.
    digests : Path, optional
        The file for its digests.

    Attributes
    ----------
    resources, identity, ledgers
        As given.
    target, lock, marker, pool
        Those of the resources.
    post : callable
        Has a function called in the job's thread, from any thread.
    inventory : Inventory
    walks : WalkPlanner
    dispatcher : Dispatcher
    reporter : Reporter
    tracker : SourceTracker
    watermark : Watermark
    """

    def __init__(self, resources: TargetResources, identity: str, ledgers: Path, digests: Path | None = None) -> None:
        self.resources, self.identity, self.ledgers = resources, identity, ledgers
        self.target, self.lock, self.marker = resources.target, resources.lock, resources.marker
        self.pool, self.post = resources.pool, resources.inbox.put
        links = self.target.links
        verify = self.target.verify == "checksum"
        self.inventory = Inventory(ledgers, digests)
        self.inventory.queue.plain_last = self.pool.keeps_manifest
        self.walks = WalkPlanner()
        self.dispatcher = Dispatcher(self.pool, self.inventory, self.walks, QUIET, verify=verify, links=links)
        self.reporter = Reporter(self.target, identity, self.inventory, self.dispatcher)
        self.tracker = SourceTracker(
            self.target.source, self.inventory, self.walks, self.reporter.notice, links == "copy", resources.slot,
            self.target.is_folder, self.target.marker,
        )  # fmt: skip
        self.watermark = Watermark(
            self.target, self.marker, self.inventory, self.tracker.metadata, self.post, self.reporter.notice
        )
