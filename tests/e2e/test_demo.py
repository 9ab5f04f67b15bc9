"""The demonstration ends by itself, says that both sides are equal, and notices when its microscope fails."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from softcopy_napari.engine.state_folder.history import endings
from softcopy_napari.virtual_screen import SIZE, virtual_screen
from tests.support.command import environment, softcopy

_WHERE = pytest.mark.parametrize("where", ["terminal", "window"])

_DEMO = """
import sys
from pathlib import Path
from softcopy_napari.demo import run_demo
sys.exit(run_demo({arguments!r}, terminal={terminal!r}, screenshots={screenshots!r} and Path({screenshots!r})))
"""


def _demo(where: str, *arguments: str, screenshots: str = "", before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the demonstration where there is no screen."""
    if where == "window":
        pytest.importorskip("napari")
        if sys.platform != "linux":
            pytest.skip("needs a machine that may have no screen")
    code = _DEMO.format(arguments=arguments, terminal=where == "terminal", screenshots=screenshots or None)
    env = {name: value for name, value in environment().items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, timeout=100, env=env)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    """See that all was copied, compared and removed."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sizes and times match; a file named 'complete' says that the acquisition is over" in done.stdout
    assert "files are equal" in done.stdout
    assert "Traceback" not in done.stderr
    source = Path(next(line for line in done.stdout.splitlines() if line.endswith("microscope.zarr")).strip())
    assert not source.parent.exists()
    assert endings() == []  # softcopy status does not tell of it


def test_the_demo_copies_a_simulated_acquisition_and_finds_both_sides_equal() -> None:
    _check(_demo("terminal", "--frames", "2"))


def test_without_a_screen_the_demo_leaves_pictures_of_napari_and_says_where() -> None:
    done = _demo("window", "--frames", "2", "--rate", "2")
    _check(done)
    pictures = [Path(line.split(": ", 1)[1]) for line in done.stdout.splitlines() if line.startswith("screenshot: ")]
    assert sorted(picture.name for picture in pictures) == ["complete.png", "middle.png", "start.png"]
    from imageio.v3 import imread

    for picture in pictures:
        pixels = imread(picture)
        assert 600 < pixels.shape[1] <= SIZE[0]
        assert len({*map(tuple, pixels[::7, ::7].reshape(-1, pixels.shape[2]))}) > 50
        picture.unlink()
    pictures[0].parent.rmdir()


@_WHERE
def test_the_demo_ends_when_its_microscope_fails(where: str, tmp_path: Path) -> None:
    done = _demo(where, "--no-such-option", screenshots=str(tmp_path / "pictures"))
    assert done.returncode == 1
    assert "softcopy: the simulated microscope failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs a screen that nobody looks at")
@pytest.mark.parametrize(
    ("until", "code"),
    [
        pytest.param("cluster.zarr", 130, id="while copying"),
        pytest.param("Close the window", 0, id="when complete", marks=pytest.mark.soak),
    ],
)
def test_on_a_screen_the_window_stays_until_it_is_closed_and_nothing_is_left(until: str, code: int) -> None:
    pytest.importorskip("napari")
    command = [
        sys.executable,
        "-c",
        _DEMO.format(arguments=("--frames", "1", "--rate", "2"), terminal=False, screenshots=None),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with virtual_screen(), subprocess.Popen(command, text=True, env=environment(), **pipes) as demo:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line.strip())
            if until in line:
                break
        assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        said += demo.stdout.read().splitlines()
        assert demo.wait(60) == code, said
    assert not Path(next(line for line in said if line.endswith("microscope.zarr"))).parent.exists()
    assert any("files are equal" in line for line in said) == (code == 0)


def test_without_napari_the_demo_runs_in_the_terminal() -> None:
    done = _demo("window", "--frames", "2", before="import sys; sys.modules['napari'] = None")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files are equal" in done.stdout
    assert "screenshot" not in done.stdout


def test_without_screen_and_xvfb_the_demo_says_so_and_runs_in_the_terminal(tmp_path: Path) -> None:
    done = _demo("window", "--frames", "2", before=f"import os; os.environ['PATH'] = {str(tmp_path)!r}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "napari cannot show a window here: Xvfb is not installed" in done.stderr
    assert "files are equal" in done.stdout


def test_the_command_can_be_kept_in_the_terminal() -> None:
    assert "--terminal" in softcopy("demo", "--help").stdout
