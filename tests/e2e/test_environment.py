"""Poor environments: the command works, or says in one line what is the matter, and never shows a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.engine.support import make_array, tree, write
from tests.support.command import COMMAND, environment

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shells and limits of POSIX")

USER = 4242
"""Without an entry in any list of users."""
# It may read what lies in root's home, such as this checkout, and write nothing that is not its own.
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all,+dac_read_search")
AS_USER += ("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search")
may_be_others = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be somebody else"
)


class Place:
    """A source, a destination that does not exist yet, and the command in a shell of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.destination = folder / "source.zarr", folder / "out" / "copy.zarr"
        make_array(self.source, (3,))
        write(self.source / "nötes 中.txt", b"x", old=True)
        self.destination.parent.mkdir()
        self.state = folder / "lab state"
        self.state.mkdir(mode=0o700)

    def give_to_user(self) -> None:
        """Have it be the user's who has no name."""
        for path in (self.destination.parent, self.state):
            os.chown(path, USER, USER)
        os.chmod(self.folder, 0o755)

    def run(
        self,
        prefix: str = "",
        suffix: str = "",
        user: bool = False,
        arguments: Sequence[str] = (),
        **variables: str | None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command behind and before what a shell is to do."""
        made = {**environment(), "SOFTCOPY_STATE_DIR": str(self.state), **variables}
        command = list(arguments) or ["--nprocs", "2", "--settle", "0", str(self.source), str(self.destination)]
        shell = ["bash", "-c", f'{prefix} "$@" {suffix}', "bash", *COMMAND, *command]
        done = subprocess.run(
            [*(AS_USER if user else ()), *shell],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env={name: value for name, value in made.items() if value is not None},
        )
        assert "Traceback" not in done.stdout + done.stderr, done
        return done

    def assert_copied(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done
        assert tree(self.source) == tree(self.destination)

    def assert_refused(self, done: subprocess.CompletedProcess[str], words: str) -> None:
        assert done.returncode == 2, done
        assert done.stderr.startswith("softcopy: ") and done.stderr.count("\n") == 1, done
        assert words in done.stderr
        assert not self.destination.exists()


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:  # pytest keeps its own folders to itself, whenever one starts
        yield Place(Path(folder))


@pytest.mark.parametrize(
    "closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1", "| head -1"], ids=str
)
def test_a_copy_needs_no_input_and_no_output(place: Place, closed: str) -> None:
    place.assert_copied(place.run(suffix=closed + "; exit ${PIPESTATUS[0]}"))


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "no_SUCH.locale"},
    ],
    ids=str,
)
def test_names_of_all_languages_are_copied_in_any_locale(place: Place, locale: dict[str, str]) -> None:
    place.assert_copied(place.run(**locale))


def test_a_current_folder_that_is_gone_matters_to_relative_paths_only(place: Place) -> None:
    gone = 'd=$(mktemp -d) && cd "$d" && rmdir "$d" &&'
    place.assert_refused(place.run(gone, arguments=["a.zarr", "b.zarr"]), "the current folder, which is gone")
    place.assert_refused(place.run(gone, arguments=["targets.yaml"]), "the current folder, which is gone")
    place.assert_copied(place.run(gone))


@may_be_others
def test_who_has_no_home_is_told_to_name_a_state_folder_and_then_can_copy(place: Place) -> None:
    place.give_to_user()
    none: dict[str, str | None] = {"HOME": None, "XDG_STATE_HOME": None}
    place.assert_refused(place.run(user=True, SOFTCOPY_STATE_DIR=None, **none), "SOFTCOPY_STATE_DIR")
    for command in ("status", "stop"):
        done = place.run(user=True, arguments=[command], SOFTCOPY_STATE_DIR=None, **none)
        assert done.returncode == 2 and "SOFTCOPY_STATE_DIR" in done.stderr
    place.assert_refused(place.run(user=True, arguments=["~/a.zarr", "b.zarr"], **none), "of an unknown user")
    place.assert_copied(place.run(user=True, **none))


@may_be_others
@pytest.mark.parametrize("what", ["of somebody else", "read-only", "a file"])
def test_a_state_folder_that_cannot_be_used_is_named(place: Place, what: str) -> None:
    place.give_to_user()
    if what == "of somebody else":
        os.chown(place.state, 0, 0)
    elif what == "read-only":
        place.state.chmod(0o500)
    else:
        place.state.rmdir()
        place.state.write_text("")
    place.assert_refused(place.run(user=True), f"the state folder {place.state}")


def test_a_state_folder_is_no_address_and_may_be_told_by_a_variable(place: Place) -> None:
    place.assert_refused(place.run(SOFTCOPY_STATE_DIR="s3://lab/state"), "SOFTCOPY_STATE_DIR names looks like an S3")
    place.assert_copied(place.run(SOFTCOPY_STATE_DIR="$LAB/lab state", LAB=str(place.folder)))
    assert (place.state / "runs").is_dir()


@may_be_others
def test_too_few_processes_are_shared_out_or_refused_before_anything_is_touched(place: Place) -> None:
    place.give_to_user()
    place.assert_refused(place.run("ulimit -u 1;", user=True), "no more processes and threads")
    place.assert_refused(place.run("ulimit -u 10;", user=True), "not enough processes and threads for 1 target")
    done = place.run("ulimit -u 18;", user=True)
    place.assert_copied(done)
    assert "copy processes of each target: 1 at most" in done.stdout


def targets_file(place: Place, count: int) -> str:
    """A file of so many targets, each with a source of its own."""
    lines = ["targets:"]
    for number in range(count):
        make_array(place.folder / f"source {number}.zarr", (2,))
        lines += [f"- source: source {number}.zarr", f"  destination: out/{number}.zarr", "  settle: 0"]
    path = place.folder / "targets.yaml"
    path.write_text("\n".join(lines))
    return str(path)


def test_more_targets_than_files_may_be_open_are_refused_before_anything_is_touched(place: Place) -> None:
    done = place.run("ulimit -n 256;", arguments=[targets_file(place, 64)])
    place.assert_refused(done, "not enough open files for 64 targets: about ")
    assert "ulimit -n 1024 allows more" in done.stderr
    assert os.listdir(place.destination.parent) == []


def test_many_targets_get_fewer_copy_processes_where_few_files_may_be_open(place: Place) -> None:
    done = place.run("ulimit -n 128;", arguments=[targets_file(place, 8)])
    assert done.returncode == 0, done
    assert done.stdout.count("copy processes of each target: 2 at most, as this session may have 128 open files") >= 8
    for number in range(8):
        assert tree(place.folder / f"source {number}.zarr") == tree(place.destination.parent / f"{number}.zarr")


def test_a_limit_that_may_be_raised_is(place: Place) -> None:
    done = place.run("ulimit -Sn 64;", arguments=[targets_file(place, 6)])
    assert done.returncode == 0 and "open files" not in done.stdout, done
