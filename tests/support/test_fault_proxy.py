"""The servers take what they are sent, and the proxy spoils what it is told to, and nothing else."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import HTTPClientError

from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore

CONTENT = bytes(range(256)) * 40


def _get(proxy: FaultProxy, path: str) -> tuple[int, bytes]:
    """Ask without a signature, which is enough to see what the proxy makes of it."""
    parts = urlsplit(proxy.endpoint)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _spoiled(proxy: FaultProxy, store: ObjectStore) -> ObjectStore:
    through = ObjectStore(proxy.endpoint)
    through.bucket = store.bucket
    return through


def test_what_is_not_spoiled_goes_through_signatures_and_all(object_store: ObjectStore, faulty: FaultProxy) -> None:
    through = _spoiled(faulty, object_store)
    through.write("a b/M\u00e4use.bin", CONTENT)
    assert object_store.read("a b/M\u00e4use.bin") == through.read("a b/M\u00e4use.bin") == CONTENT
    assert object_store.objects("a b") == {"M\u00e4use.bin": CONTENT}
    assert faulty.count("PUT", "M\u00e4use") == 1
    through.delete("a b/M\u00e4use.bin")
    assert object_store.keys() == []


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.SLOW_DOWN, 503), (Fault.EXPIRED, 400), (Fault.DENIED, 403), (Fault.BROKEN, 500)]
)
def test_refusals_begin_and_end_when_they_are_wanted(
    object_store: ObjectStore, faulty: FaultProxy, fault: Fault, code: int
) -> None:
    faulty.inject(fault, method="GET", key="/a$", after=1, times=2)
    asked = [_get(faulty, f"/{object_store.bucket}/{name}")[0] for name in ("b", "a", "a", "b", "a", "a")]
    normal = asked[0]  # without a signature
    assert asked == [normal, normal, code, normal, code, normal]
    assert faulty.count(fault=fault) == 2


def test_dropped_requests_are_not_carried_out_but_those_with_a_dropped_answer_are(
    object_store: ObjectStore, faulty: FaultProxy
) -> None:
    through = _spoiled(faulty, object_store)
    faulty.inject(Fault.DROP, method="PUT", times=1)
    with pytest.raises(HTTPClientError):
        through.write("a", CONTENT)
    assert object_store.keys() == []
    faulty.inject(Fault.DROP_ANSWER, method="PUT", times=1)
    with pytest.raises(HTTPClientError):
        through.write("a", CONTENT)
    assert object_store.read("a") == CONTENT


def test_an_answer_is_cut_or_late(object_store: ObjectStore, faulty: FaultProxy) -> None:
    object_store.write("a", CONTENT)
    through = _spoiled(faulty, object_store)
    faulty.inject(Fault.DELAY, times=1, seconds=0.2)
    begun = time.monotonic()
    assert through.read("a") == CONTENT and time.monotonic() - begun >= 0.2
    faulty.inject(Fault.TRUNCATE, method="GET", times=1)
    with pytest.raises(HTTPClientError, match="ncomplete"):
        through.read("a")
    faulty.clear()
    assert through.read("a") == CONTENT
