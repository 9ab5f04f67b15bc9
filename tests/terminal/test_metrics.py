"""Metrics of a real engine are what Prometheus reads, under the names that are documented."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.metrics import CHUNK_FILES, INFO, METRICS, STATE, MetricsServer, parse_address
from tests.engine.support import make_array
from tests.support.command import Softcopy, softcopy, until
from tests.terminal.snapshots import engine_with

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def ask(port: int) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return {family.name: family for family in text_string_to_metric_families(answer.read().decode())}


def values(family: Metric) -> dict[str, float]:
    """Values by the destination, and the state where there is one."""
    return {
        " ".join(filter(None, (one.labels["destination"], one.labels.get("state", "")))): one.value
        for one in family.samples
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_copy_by_the_command_has_metrics_while_it_runs(tmp_path: Path) -> None:
    source = make_array(tmp_path / "a.zarr", (2, 2))
    port, destination = free_port(), str(tmp_path / "copy")
    with Softcopy(source, destination, "--linger", "60", "--metrics", str(port)) as running:

        def complete() -> bool:
            try:
                return values(ask(port)[STATE])[f"{destination} complete"] == 1.0
            except (OSError, KeyError):
                return False

        until(complete)
        found = ask(port)
        running.interrupt()
    assert values(found["softcopy_files_copied"])[destination] >= 5.0
    assert values(found["softcopy_files_pending"]) == {destination: 0.0}
    assert values(found["softcopy_lag_seconds"]) == {destination: 0.0}
    assert values(found[CHUNK_FILES])[f"{destination} copied"] == 4.0
    assert sum(values(found[STATE]).values()) == 1.0
    assert found["softcopy_files_copied"].type == "counter"


def test_the_page_has_every_metric_and_no_other() -> None:
    listed = set(re.findall(r"^\| `(softcopy_\w+)`", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    there = {one.name + ("_total" if one.counter else "") for one in METRICS} | {STATE, CHUNK_FILES, INFO}
    assert listed == there


def serve(engines: Sequence[EngineSnapshot]) -> dict[str, Metric]:
    server = MetricsServer("0")
    server.engines = lambda: engines
    try:
        return ask(server.port)
    finally:
        server.close()


def test_names_with_quotes_and_line_breaks_and_a_check_beside_a_copy_are_well_formed() -> None:
    odd = 'a "b"\\n\n'
    checked = engine_with(destination=odd, state=TargetState.CHECKING)
    found = serve([engine_with(destination=odd, quiet=5.0), checked])
    (sample,) = found["softcopy_last_change_timestamp_seconds"].samples
    assert sample.labels["destination"] == odd


def test_what_is_not_known_is_left_out() -> None:
    found = serve([engine_with(lag=None, quiet=None)])
    assert not found["softcopy_lag_seconds"].samples
    assert not found["softcopy_last_change_timestamp_seconds"].samples


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("9100", ("127.0.0.1", 9100)),
        (":9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("localhost:9100", ("localhost", 9100)),
    ],
)
def test_only_this_computer_is_let_in_unless_a_host_is_named(written: str, expected: tuple[str, int]) -> None:
    assert parse_address(written) == expected


@pytest.mark.parametrize("written", ["", "localhost", "9100x", "127.0.0.1:99999", "a b:1", "-1"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(TargetsError, match="is no address"):
        parse_address(written)


def test_a_port_that_is_taken_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        source = make_array(tmp_path / "a.zarr", (1, 1))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = softcopy(source, tmp_path / "copy", "--metrics", address)
    assert ran.returncode == 2 and not (tmp_path / "copy").exists()
    assert ran.stderr.startswith(f"softcopy: metrics cannot be served at {address}: ")
