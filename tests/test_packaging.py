"""What an installed softcopy-napari brings, and what its processes load before they do anything."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata, resources
from pathlib import Path
from types import SimpleNamespace

import pytest

import softcopy_napari
from softcopy_napari import plugin

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


def _required(distribution: metadata.Distribution) -> set[str]:
    """Names of the distributions that come without extras."""
    plain = [line for line in distribution.requires or [] if "extra ==" not in line]
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in plain}


def test_pip_install_without_extras_brings_all_but_napari_and_qt(distribution: metadata.Distribution) -> None:
    """napari's plugin manager cannot choose extras, and whoever has napari has chosen a Qt binding."""
    modules = metadata.packages_distributions()
    needed = set()
    for path in Path(softcopy_napari.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                needed.add(node.module.partition(".")[0])
    brought_by_others = {"napari", "vispy", "pint", "pydantic_core"}
    for_clusters = {"dask", "distributed"}  # imported only for `--dask`, by those who have a scheduler
    for_profiles = {"boto3"}  # imported only for keys that AWS's profiles get elsewhere
    needed -= {*sys.stdlib_module_names, *brought_by_others, *for_clusters, *for_profiles, "softcopy_napari"}
    wanted = {modules[name][0].lower() for name in needed if name in modules}
    assert {"zarr", "tensorstore", "superqt", "qtpy", "click"} <= wanted
    normal = {re.sub(r"[-_.]+", "-", name) for name in _required(distribution)}
    assert {re.sub(r"[-_.]+", "-", name) for name in wanted} <= normal
    assert not normal & {"napari", "pyqt5", "pyqt6", "pyside2", "pyside6", "pyside6-essentials"}


def test_all_brings_napari_for_those_who_have_none(distribution: metadata.Distribution) -> None:
    assert any(
        line.startswith("napari[all]") and re.search(r"extra == ['\"]all['\"]", line)
        for line in distribution.requires or []
    )


def test_no_message_tells_a_user_to_install_an_extra() -> None:
    """It cannot be had from the plugin manager, and `[all]` drags a second Qt into a bundle."""
    for path in Path(softcopy_napari.__path__[0]).rglob("*.py"):
        assert "softcopy-napari[" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("version", "wanted"), [("0.6.1", True), ("0.5.6", True), ("0.6.2", False), ("1.0.0rc1", False)]
)
def test_a_napari_that_is_too_old_is_named(version: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "napari", SimpleNamespace(__version__=version))
    with pytest.raises(ImportError, match="update napari") if wanted else contextlib.nullcontext():
        plugin.require_napari()


def test_napari_finds_the_plugin(distribution: metadata.Distribution) -> None:
    entries = distribution.entry_points.select(group="napari.manifest")
    assert {entry.name: entry.value for entry in entries} == {"softcopy-napari": "softcopy_napari:napari.yaml"}
    assert resources.files(softcopy_napari).joinpath("napari.yaml").is_file()


def test_no_extra_changes_the_qt_binding_of_a_napari_that_is_there(distribution: metadata.Distribution) -> None:
    """Neither PyQt nor PySide but by `napari[all]`, which is for those who have no napari."""
    assert not [line for line in distribution.requires or [] if re.match(r"pyqt|pyside", line, re.IGNORECASE)]


def build_wheel(folder: Path, **environment: str) -> tuple[Path, list[str]]:
    """Return path and files of a wheel, built from a copy of the sources: the library of this checkout is in use."""
    pytest.importorskip("hatchling")
    folder.mkdir(exist_ok=True)
    here = Path(__file__).parents[1]
    shutil.copytree(here / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitignore", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(here / name, folder)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=folder,
        env={**os.environ, "SOFTCOPY_PURE": "0", **environment},
        check=True,
        timeout=60,
    )
    (wheel,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        return wheel, archive.namelist()


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("cc"), reason="needs a C compiler")
def test_a_wheel_with_the_library_is_for_this_system_and_every_python(tmp_path: Path) -> None:
    wheel, names = build_wheel(tmp_path)
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    assert wheel.name.endswith(f"-py3-none-{platform}.whl")
    (module,) = [name for name in names if name.endswith("/native.py")]
    assert [name for name in names if name.endswith(".so")] == [module.replace("native.py", "libsoftcopy.so")]


def test_a_pure_wheel_is_for_every_system_and_has_no_library(tmp_path: Path) -> None:
    wheel, names = build_wheel(tmp_path, SOFTCOPY_PURE="1")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "softcopy_napari/napari.yaml" in names
    assert not [name for name in names if name.endswith(".so")]


@pytest.mark.parametrize("source", ["", "https://example.org/lab/softcopy"])
def test_the_readme_of_an_index_has_no_link_that_leads_nowhere(source: str) -> None:
    path = Path(__file__).parents[1] / "hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.index_readme((path.parent / "README.md").read_text(encoding="utf-8"), source)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)
    assert all(target.startswith((f"{source}/blob/main/", f"{source}/raw/main/")) for _, target in links)
    assert (len([target for picture, target in links if picture]) > 0) == bool(source)
    assert "](docs/" not in text and "softcopy" in text


def test_the_metadata_hold_the_readme_of_an_index(distribution: metadata.Distribution) -> None:
    assert distribution.metadata["Description-Content-Type"] == "text/markdown"
    text = str(distribution.metadata.get_payload() or distribution.metadata["Description"])
    assert "Copies a zarr dataset" in text and "](docs/" not in text


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


def test_an_engine_that_has_nothing_to_say_loads_nothing_to_say_it_with() -> None:
    loaded = _loaded("-c", "import softcopy_napari.engine.server, softcopy_napari.engine.client")
    assert not loaded & (_SCREEN_OR_ZARR | {"apprise", "prometheus_client", "requests", "yaml"})


def test_a_copy_worker_loads_nothing_heavy() -> None:
    loaded = _loaded("-c", "import softcopy_napari.engine.worker.process")
    assert not loaded & (_SCREEN_OR_ZARR | {"numpy", "psutil", "pydantic", "watchdog", "yaml"})
