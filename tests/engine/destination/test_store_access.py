"""The rights in an object store are tried one by one, on real servers, and each that is missing has its words."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.destination import store_access
from softcopy_napari.engine.destination.store_access import StoreAccess, check_store_access
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.wording import describe
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.object_stores import ObjectStore


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_access, "_PATIENCE", 0.5)


def _url(store: ObjectStore, proxy: FaultProxy) -> StoreUrl:
    return StoreUrl.parse(store.url("lab 1/a.zarr", proxy.endpoint))


def test_a_place_that_may_be_filled_is_left_as_it_was(object_store: ObjectStore, faulty: FaultProxy) -> None:
    url = _url(object_store, faulty)
    assert check_store_access(url, write=False) == StoreAccess()
    assert faulty.count("PUT") == 0
    assert check_store_access(url, write=True) == StoreAccess()
    assert faulty.count("PUT") == 1 and object_store.keys() == []
    assert faulty.count("PUT", r"/lab 1/a\.zarr\.\.softcopy-") == 1, "it lies beside the dataset"
    object_store.write("lab 1/a.zarr/0", b"data")
    assert check_store_access(url, write=False) == StoreAccess(has_objects=True)


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("GET", ReasonCode.STORE_NOT_LISTED, "cannot be listed"),
        ("PUT", ReasonCode.STORE_NOT_WRITTEN, "cannot be written"),
        ("HEAD", ReasonCode.STORE_NOT_READ, "cannot be read back"),
    ],
)
def test_each_right_that_is_missing_is_named(
    object_store: ObjectStore, faulty: FaultProxy, method: str, code: ReasonCode, words: str
) -> None:
    faulty.inject(Fault.DENIED, method=method)
    refused = check_store_access(_url(object_store, faulty), write=True).refused
    assert refused is not None and refused.code == code
    assert words in describe(refused) and "Ask for permission" in describe(refused)
    assert object_store.keys() == []


def test_who_may_not_delete_can_copy(object_store: ObjectStore, faulty: FaultProxy) -> None:
    for method in ("DELETE", "POST"):
        faulty.inject(Fault.DENIED, method=method)
    assert check_store_access(_url(object_store, faulty), write=True) == StoreAccess()


def test_a_bucket_that_is_missing_is_named(object_store: ObjectStore, faulty: FaultProxy) -> None:
    for write in (False, True):
        access = check_store_access(StoreUrl.parse(f"s3://no-such/a.zarr?endpoint={faulty.endpoint}"), write)
        assert access.refused is not None and access.refused.code == ReasonCode.STORE_BUCKET_MISSING
        assert "no bucket no-such" in describe(access.refused)


def test_credentials_that_are_wrong_or_expired_are_named_as_such(
    rclone_store: ObjectStore, store_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclone_store.make_bucket()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    refused = check_store_access(StoreUrl.parse(rclone_store.url("a.zarr")), write=True).refused
    assert refused is not None and refused.code == ReasonCode.STORE_CREDENTIALS
    assert "credentials" in describe(refused) and "somebody-else" not in describe(refused)


def test_credentials_that_have_expired_are_named_as_such(object_store: ObjectStore, faulty: FaultProxy) -> None:
    faulty.inject(Fault.EXPIRED)
    refused = check_store_access(_url(object_store, faulty), write=True).refused
    assert refused is not None and refused.code == ReasonCode.STORE_CREDENTIALS and "expired" in describe(refused)


def test_a_wrong_clock_is_named_as_such(object_store: ObjectStore, faulty: FaultProxy) -> None:
    faulty.inject(Fault.SKEWED)
    refused = check_store_access(_url(object_store, faulty), write=True).refused
    assert refused is not None and "refuses this computer's clock" in describe(refused)


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.BROKEN, Fault.DROP])
def test_a_store_that_does_not_answer_just_now_is_no_refusal(
    object_store: ObjectStore, faulty: FaultProxy, fault: Fault
) -> None:
    faulty.inject(fault)
    access = check_store_access(_url(object_store, faulty), write=True)
    assert access.refused is None and access.unreachable is not None
    assert "does not answer now" in describe(access.unreachable)


def test_a_hiccup_is_not_noticed(object_store: ObjectStore, faulty: FaultProxy) -> None:
    faulty.inject(Fault.SLOW_DOWN, times=1)
    faulty.inject(Fault.DROP, times=1)
    assert check_store_access(_url(object_store, faulty), write=True) == StoreAccess()


def test_nobody_listens_at_the_endpoint(object_store: ObjectStore, faulty: FaultProxy) -> None:
    url = _url(object_store, faulty)
    faulty.close()
    access = check_store_access(url, write=True)
    assert access.refused is None and access.unreachable is not None
