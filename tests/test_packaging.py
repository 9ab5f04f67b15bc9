"""What an installed softcopy-napari brings, and what its processes load before they do anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata, resources

import pytest

import softcopy_napari

_SCREEN_OR_ZARR = {
    "PyQt5",
    "PyQt6",
    "PySide6",
    "magicgui",
    "napari",
    "qtpy",
    "superqt",
    "tensorstore",
    "zarr",
}


@pytest.fixture
def distribution() -> metadata.Distribution:
    """The installed distribution; a developer may also have the sources on the path only."""
    try:
        return metadata.distribution("softcopy-napari")
    except metadata.PackageNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("softcopy-napari is not installed, only importable")


def test_pip_and_the_package_agree_on_the_version(distribution: metadata.Distribution) -> None:
    assert distribution.version == softcopy_napari.__version__


def test_pip_install_brings_the_softcopy_command(distribution: metadata.Distribution) -> None:
    commands = distribution.entry_points.select(group="console_scripts")
    assert {command.name: command.value for command in commands} == {"softcopy": "softcopy_napari.cli:main"}


def test_pip_install_without_extras_brings_neither_a_screen_nor_zarr(
    distribution: metadata.Distribution,
) -> None:
    plain = [line for line in distribution.requires or [] if "extra ==" not in line]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in plain}
    assert "click" in names
    assert not names & {name.lower() for name in _SCREEN_OR_ZARR}


def test_all_brings_napari(distribution: metadata.Distribution) -> None:
    extras = distribution.metadata.get_all("Provides-Extra") or []
    assert {"all", "demo"} <= set(extras)
    assert any(
        line.startswith("napari[all]") and re.search(r"extra == ['\"]all['\"]", line)
        for line in distribution.requires or []
    )


def test_napari_finds_the_plugin(distribution: metadata.Distribution) -> None:
    entries = distribution.entry_points.select(group="napari.manifest")
    assert {entry.name: entry.value for entry in entries} == {"softcopy-napari": "softcopy_napari:napari.yaml"}
    assert resources.files(softcopy_napari).joinpath("napari.yaml").is_file()


def test_no_extra_changes_the_qt_binding_of_a_napari_that_is_there(distribution: metadata.Distribution) -> None:
    """Neither PyQt nor PySide but for tests, and by `napari[all]`, which is for those who have no napari."""
    bindings = [line for line in distribution.requires or [] if re.match(r"pyqt|pyside", line, re.IGNORECASE)]
    assert all(re.search(r"extra == ['\"]test['\"]", line) for line in bindings)


def test_type_checkers_see_the_types() -> None:
    assert resources.files(softcopy_napari).joinpath("py.typed").is_file()


def test_every_public_name_can_be_imported() -> None:
    for name in softcopy_napari.__all__:
        assert getattr(softcopy_napari, name) is not None


def _loaded(*command: str) -> set[str]:
    """Top-level names of all modules that a Python command loads, successful or not."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)", done.stderr, flags=re.MULTILINE)
    assert "softcopy_napari" in modules, done.stderr
    return {module.partition(".")[0] for module in modules}


def test_help_is_there_at_once() -> None:
    assert not _loaded("-m", "softcopy_napari", "--help") & (_SCREEN_OR_ZARR | {"numpy"})


def test_importing_the_package_costs_nothing() -> None:
    loaded = _loaded("-c", "import softcopy_napari")
    assert not loaded & (_SCREEN_OR_ZARR | {"numpy", "psutil", "pydantic", "watchdog"})


def test_a_copy_worker_loads_nothing_heavy() -> None:
    loaded = _loaded("-c", "import softcopy_napari.engine.worker")
    assert not loaded & (_SCREEN_OR_ZARR | {"numpy", "psutil", "pydantic", "watchdog", "yaml"})
