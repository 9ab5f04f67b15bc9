"""Fixtures of object stores, for the conftest.py of a folder of tests: `from ... import *` there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import object_stores
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.object_stores import ObjectStore

__all__ = ["faulty", "moto_store", "object_store", "rclone_store", "store_keys", "store_server"]


@pytest.fixture(scope="session")
def rclone_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Run `rclone serve s3`, once for all tests of this process."""
    with object_stores.rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_store() -> Iterator[ObjectStore]:
    """Run moto's server, once for all tests of this process."""
    with object_stores.moto_server() as server:
        yield server


@pytest.fixture(params=["rclone", "moto"], scope="session")
def store_server(request: pytest.FixtureRequest) -> ObjectStore:
    """Give each of the servers in turn."""
    server: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return server


@pytest.fixture
def store_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the servers' key into the environment, and nobody else's."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in object_stores.store_environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def object_store(store_server: ObjectStore, store_keys: None) -> ObjectStore:
    """Give each of the servers in turn, with an empty bucket, and its key in the environment."""
    store_server.make_bucket()
    return store_server


@pytest.fixture
def faulty(object_store: ObjectStore) -> Iterator[FaultProxy]:
    """Run a proxy before the server."""
    with fault_proxy(object_store.endpoint) as proxy:
        yield proxy
