"""What napari offers once softcopy-napari is installed: the dock in two menus, a reader, sample data, preferences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from npe2 import PluginManager, PluginManifest

import softcopy_napari
from softcopy_napari.plugin import SoftcopyWidget
from softcopy_napari.plugin.dock.open_dock import open_dock

if TYPE_CHECKING:
    import napari

MANIFEST = Path(softcopy_napari.__file__).with_name("napari.yaml")


@pytest.fixture
def manifest(npe2pm: PluginManager) -> PluginManifest:
    """Registered with a plugin manager that knows nothing else."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return npe2pm.get_manifest("softcopy-napari")


@pytest.mark.either_binding
def test_the_manifest_names_only_what_can_be_imported() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    assert (manifest.name, manifest.display_name) == ("softcopy-napari", "Softcopy")
    manifest.validate_imports()


@pytest.mark.either_binding
def test_the_link_in_the_repository_shows_the_manifest_that_ships() -> None:
    link = Path(__file__).parents[2] / "napari.yaml"
    assert link.read_text() in (MANIFEST.read_text(), "src/softcopy_napari/napari.yaml")  # Windows may have no links


@pytest.mark.either_binding
@pytest.mark.parametrize("menu", ["napari/file/acquire", "napari/plugins"])
def test_the_dock_opens_from_the_menus_and_is_found_again(
    menu: str, manifest: PluginManifest, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    viewer = make_napari_viewer()
    click = _menu_entry(menu, "Softcopy (Softcopy)")
    click()
    (dock,) = viewer.window.dock_widgets.values()
    assert isinstance(dock, SoftcopyWidget)
    assert open_dock(viewer) is dock


def test_the_menus_close_and_open_a_dock_that_a_file_has_opened(
    manifest: PluginManifest, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    click = _menu_entry("napari/plugins", "Softcopy (Softcopy)")
    click()
    assert not dock.isVisible()
    assert open_dock(viewer) is dock
    assert dock.isVisible()
    click()
    click()
    assert dock.isVisible()
    assert list(viewer.window.dock_widgets.values()) == [dock]


def _menu_entry(menu: str, title: str) -> Callable[[], object]:
    """What a click on a menu's entry does."""
    from napari._app_model import get_app_model

    app = get_app_model()
    entries = [item.command for item in app.menus.get_menu(menu) if hasattr(item, "command")]
    (entry,) = [entry for entry in entries if entry.title == title]
    return lambda: app.commands.execute_command(entry.id).result()


@pytest.mark.either_binding
def test_dropped_targets_files_are_the_readers_and_other_files_are_not(manifest: PluginManifest) -> None:
    def readers(path: str) -> set[str]:
        return {reader.command for reader in PluginManager.instance().iter_compatible_readers([path])}

    ours = {"softcopy-napari.read_targets"}
    assert readers("/data/targets.yaml") == readers("targets_day2.YML") == ours
    assert readers(r"C:\data\targets-1.yaml" if Path("/").drive else "softcopy/targets-1.yaml") == ours
    assert not readers("/data/embryo.yaml") | readers("/data/targets.tif") | readers("/data/targets/embryo.yaml")
