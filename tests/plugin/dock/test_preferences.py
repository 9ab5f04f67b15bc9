"""Preferences come from napari where it has them, and paths of earlier copies are there in the next session."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManager, PluginManifest

import softcopy_napari
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock import preferences as preferences_module
from softcopy_napari.plugin.dock.preferences import Preferences, Remembered, preferences, remember, remembered

MANIFEST = Path(softcopy_napari.__file__).with_name("napari.yaml")


@pytest.fixture
def pages(npe2pm: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What napari keeps as this plugin's settings; kept for the test alone."""
    napari_settings = pytest.importorskip("napari.settings")
    if not hasattr(napari_settings, "get_plugin_settings"):
        pytest.skip("this napari has no settings for plugins")
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    monkeypatch.setattr(napari_settings, "_PLUGIN_SETTINGS", {})
    monkeypatch.setattr(napari_settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    return napari_settings.get_plugin_settings("softcopy-napari")


def test_the_manifest_offers_the_defaults_that_count_without_it() -> None:
    pages = PluginManifest.from_file(MANIFEST).contributions.configurations
    offered = {key: one.default for page in pages.values() for key, one in page.properties.items()}
    assert offered == {key: getattr(Preferences(), key) for key in Preferences.__slots__}
    assert Preferences().settings == Settings()


def test_the_manifest_refuses_what_the_engine_would_refuse() -> None:
    copying = PluginManifest.from_file(MANIFEST).contributions.configurations["copying"].properties
    for name, one in copying.items():
        for value in (one.minimum, one.maximum):
            assert getattr(Settings(**{name: value}), name) == value


def test_what_the_user_prefers_counts(pages: Any) -> None:
    assert preferences() == Preferences()
    pages.copying.nprocs = 7
    pages.copying.settle = 3.5
    pages.showing.image = "source"
    assert preferences() == Preferences(nprocs=7, settle=3.5, image="source")
    assert preferences().settings == Settings(nprocs=7, settle=3.5)


def test_a_change_of_preferences_is_heard_until_nobody_listens(pages: Any) -> None:
    heard: list[Preferences] = []
    end = preferences_module.on_change(lambda: heard.append(preferences()))
    pages.showing.refresh_rate = 2.0
    pages.copying.sleep_time = 0.5
    end()
    pages.showing.refresh_rate = 4.0
    assert [(one.refresh_rate, one.sleep_time) for one in heard] == [(2.0, 0.0), (2.0, 0.5)]


def test_an_old_napari_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    napari_settings = pytest.importorskip("napari.settings")
    monkeypatch.delattr(napari_settings, "get_plugin_settings", raising=False)
    assert preferences() == Preferences()
    preferences_module.on_change(pytest.fail)()


def test_a_napari_that_does_not_know_the_plugin_has_the_defaults(npe2pm: PluginManager) -> None:
    assert "softcopy-napari" not in PluginManager.instance()
    assert preferences() == Preferences()


def _next_session() -> Remembered:
    """What another process would read, when all has been written."""
    for thread in threading.enumerate():
        if thread.name == "softcopy-remember":
            thread.join()
    preferences_module._known_from = None
    return remembered()


def test_paths_of_earlier_copies_come_back_newest_first() -> None:
    remember(["/data/a.zarr"], ["/nas/a.zarr"])
    remember(["/data/b.zarr"], ["/nas/b.zarr"])
    known = remember(["/data/a.zarr"], ["/nas/c.zarr"])
    assert known.sources == ("/data/a.zarr", "/data/b.zarr")
    assert known.destinations == ("/nas/c.zarr", "/nas/b.zarr", "/nas/a.zarr")
    assert remember(["/data/1", "/data/2"]).sources[:2] == ("/data/2", "/data/1"), "the last one is the newest"
    remember(targets_file="/data/targets.yaml")
    assert _next_session() == Remembered(
        ("/data/2", "/data/1", *known.sources), known.destinations, ("/data/targets.yaml",)
    )


def test_old_paths_are_forgotten() -> None:
    for number in range(30):
        remember([f"/data/{number}.zarr"])
    assert len(_next_session().sources) == 12
    assert remembered().sources[0] == "/data/29.zarr"


def test_two_naparis_do_not_forget_for_each_other(state_folder_in_tmp: Path) -> None:
    remember(["/data/mine.zarr"])
    _next_session()
    (state_folder_in_tmp / "remembered.json").write_text(json.dumps({"sources": ["/data/theirs.zarr"]}))
    remember(["/data/new.zarr"])
    assert _next_session().sources == ("/data/new.zarr", "/data/mine.zarr", "/data/theirs.zarr")


@pytest.mark.parametrize("content", ["", "[]", '{"sources": 3, "destinations": [1, "", "/nas/a.zarr"]}', "\udcff"])
def test_a_damaged_memory_is_no_reason_to_fail(state_folder_in_tmp: Path, content: str) -> None:
    state_folder_in_tmp.mkdir()
    (state_folder_in_tmp / "remembered.json").write_bytes(content.encode(errors="surrogateescape"))
    known = _next_session()
    assert known.sources == ()
    assert remember(["/data/a.zarr"]).sources == ("/data/a.zarr",)
    assert _next_session().sources == ("/data/a.zarr",)
