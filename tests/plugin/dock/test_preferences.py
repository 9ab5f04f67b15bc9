"""Preferences come from napari where it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManager, PluginManifest

import softcopy_napari
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.plugin.dock import preferences as preferences_module
from softcopy_napari.plugin.dock.preferences import Preferences, preferences

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
