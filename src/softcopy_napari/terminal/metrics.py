"""Metrics for Prometheus: serves what is known of engines over HTTP, as `--metrics` asks for.

docs/metrics.md lists the names. prometheus_client is imported only where that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.engine.states import ChunkState, TargetState

LABELS = ("source", "destination")
_HOST = "127.0.0.1"
_EXAMPLE = "give a port or host:port, as in --metrics 9100"

Value = Callable[[TargetSnapshot, float], float | None]


class _Described:
    """One metric: its name, its help, and where its value comes from."""

    def __init__(self, name: str, help_: str, value: Value, counter: bool = False) -> None:
        self.name, self.help, self.value, self.counter = name, help_, value, counter

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self.counter else GaugeMetricFamily
        return kind(self.name, self.help, labels=LABELS)


METRICS = (
    _Described("softcopy_files_copied", "Files copied, rewrites included.", lambda one, _: one.files_copied, True),
    _Described("softcopy_bytes_copied", "Bytes copied, rewrites included.", lambda one, _: one.bytes_copied, True),
    _Described(
        "softcopy_files_pending", "Files seen at the source and still to be copied.", lambda one, _: one.files_left
    ),
    _Described("softcopy_files_failed", "Files that could not be copied so far.", lambda one, _: one.failed_files),
    _Described(
        "softcopy_files_lost", "Chunk files that left the source before they were copied.", lambda one, _: one.lost
    ),
    _Described("softcopy_notices", "Things that the user should know of.", lambda one, _: len(one.notes)),
    _Described(
        "softcopy_bytes_per_second", "Rate of copying over the last seconds.", lambda one, _: one.bytes_per_second
    ),
    _Described(
        "softcopy_lag_seconds",
        "Seconds of work that wait: files pending by files copied a second. Absent while nothing is copied.",
        lambda one, _: one.lag,
    ),
    _Described(
        "softcopy_last_change_timestamp_seconds",
        "Unix time of the last change seen at the source.",
        lambda one, now: None if one.quiet is None else now - one.quiet,
    ),
    _Described(
        "softcopy_complete_timestamp_seconds",
        "Unix time at which the copy was complete. Absent until it is.",
        lambda one, _: one.completed or None,
    ),
    _Described("softcopy_started_timestamp_seconds", "Unix time of the start of the copy.", lambda one, _: one.started),
    _Described(
        "softcopy_destination_short_bytes",
        "Bytes that will not fit at the destination, by the forecast.",
        lambda one, _: one.forecast.destination_short,
    ),
)
"""What there is of each target, besides its state and its chunk files."""
STATE, CHUNK_FILES, INFO = "softcopy_target_state", "softcopy_chunk_files", "softcopy_engine_info"


class EngineCollector(Collector):
    """Makes metrics of engines whenever they are asked for.

    Parameters
    ----------
    engines : callable
        Returns what is known of the engines now.
    """

    def __init__(self, engines: Callable[[], Iterable[EngineSnapshot]]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        now = time.time()
        engines = list(self._engines())
        copies = (one for engine in engines for one in engine.targets if one.findings is None)
        # One for each pair, as a check may run beside a copy that is complete.
        by_pair = {(one.source, one.destination): one for one in copies if one.state is not TargetState.CHECKING}
        targets = list(by_pair.items())
        for described in METRICS:
            family = described.family()
            for labels, target in targets:
                value = described.value(target, now)
                if value is not None:
                    family.add_metric(labels, value)
            yield family
        state = GaugeMetricFamily(
            STATE, "1 for the state that the target is in, 0 for all others.", labels=[*LABELS, "state"]
        )
        chunks = GaugeMetricFamily(CHUNK_FILES, "Chunk files in each state.", labels=[*LABELS, "state"])
        for labels, target in targets:
            for one in TargetState:
                state.add_metric([*labels, one.name.lower()], float(target.state is one))
            for chunk_state in ChunkState:
                chunks.add_metric([*labels, chunk_state.name.lower()], target.counts[chunk_state])
        yield state
        yield chunks
        info = GaugeMetricFamily(INFO, "1 for each engine, with its version.", labels=["pid", "version"])
        for engine in engines:
            info.add_metric([str(engine.pid), engine.version], 1.0)
        yield info


class MetricsServer:
    """Serves metrics over HTTP until the process ends.

    Parameters
    ----------
    address : str
        A port, or a host and a port; the host is this computer alone if it is not given.

    Raises
    ------
    TargetsError
        It is no address, or cannot be listened on.
    """

    def __init__(self, address: str) -> None:
        self.engines: Callable[[], Iterable[EngineSnapshot]] = tuple
        """What is known of the engines; to be set when there are some."""
        host, port = parse_address(address)
        registry = CollectorRegistry()
        registry.register(EngineCollector(lambda: self.engines()))
        try:
            self._server, _ = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            reason = error.strerror or str(error)
            raise TargetsError(f"metrics cannot be served at {address}: {reason}; choose another port") from None

    @property
    def port(self) -> int:
        """The port; the system chooses it where 0 was asked for."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def parse_address(address: str) -> tuple[str, int]:
    """Return the host and the port of an address: `9100`, `0.0.0.0:9100`, `[::1]:9100`.

    Raises
    ------
    TargetsError
        It is none.
    """
    host, _, port = address.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdecimal() and int(port) < 1 << 16) or any(c.isspace() for c in host):
        raise TargetsError(f"--metrics {address!r} is no address: {_EXAMPLE}")
    return host or _HOST, int(port)
