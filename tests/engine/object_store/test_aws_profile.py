"""Keys of profiles, asked for by the real client library of a real server, which checks them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.destination_problem import ProblemKind
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.targets.store_url import StoreUrl
from tests.support.object_stores import KEY, SECRET, ObjectStore


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a config file, and take all other credentials away."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path / "config"


@pytest.fixture
def store(rclone_store: ObjectStore, config: Path, monkeypatch: pytest.MonkeyPatch) -> StoreConnection:
    rclone_store.make_bucket()
    monkeypatch.setenv("AWS_PROFILE", "lab")
    return StoreConnection(StoreUrl.parse(rclone_store.url("a.zarr")), patience=1.0)


def write_profile(config: Path, program: str) -> None:
    path = config.with_name("keys.py")
    path.write_text(program)
    command = f'"{Path(sys.executable).as_posix()}" "{path.as_posix()}"'
    config.write_text(f"[profile lab]\ncredential_process = {command}\n")


def test_keys_in_the_credentials_file(config: Path, store: StoreConnection) -> None:
    text = f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    config.with_name("credentials").write_text(text)
    store.put("x", b"content")
    assert store.read_small("x") == b"content"


def test_keys_of_a_program(config: Path, store: StoreConnection) -> None:
    keys = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET}
    write_profile(config, f"print('{json.dumps(keys)}')")
    store.put("x", b"content")
    assert store.read_small("x") == b"content"


def test_a_program_that_fails_is_named(config: Path, store: StoreConnection) -> None:
    write_profile(config, "raise SystemExit('log in first')")
    with pytest.raises(StoreError, match=r"profile lab gives no keys: .*log in first") as raised:
        store.put("x", b"content")
    assert raised.value.kind is ProblemKind.REFUSED and not raised.value.denied
