"""The `softcopy` command: a front end of the engine for terminals, scripts and services.

Exit codes: 0 every target complete; 1 a target is not complete or a file failed; 2 wrong usage or targets
file; 130 interrupted. The engine and what it needs are imported when a command runs, not for `--help`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from softcopy_napari import __version__
from softcopy_napari.terminal.free_command import free
from softcopy_napari.terminal.output import let_output_fail
from softcopy_napari.terminal.refusals import fail as _fail
from softcopy_napari.terminal.refusals import read_path as _path
from softcopy_napari.terminal.status_commands import notify_test, status, watch
from softcopy_napari.terminal.usage import (
    Commands,
    CopyCommand,
    dask_option,
    group_option,
    kind_option,
    marker_option,
    permissions_option,
)
from softcopy_napari.terminal.verify_command import verify
from softcopy_napari.terminal.wait import wait

if TYPE_CHECKING:
    from softcopy_napari.engine.targets.target import Settings, Target


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 every target complete; 1 a target is not complete or a file failed; "
    "2 wrong usage or targets file; 130 interrupted.",
)
@click.version_option(__version__, prog_name="softcopy")
def softcopy() -> None:
    """Copy zarr datasets while they are being written."""


@softcopy.command(cls=CopyCommand, hidden=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, required=True, metavar="TARGETS_FILE | SOURCE DESTINATION")
@click.option("--verbose", is_flag=True, help="Show details.")
@dask_option
@click.option("--nprocs", type=int, default=4, show_default=True, help="Copy processes for each target.")
@click.option(
    "--sleep-time",
    type=float,
    default=0.0,
    show_default=True,
    help="Seconds a copy process sleeps after each file.",
)
@click.option(
    "--wait/--no-wait",
    "wait_for_source",
    default=True,
    show_default=True,
    help="Wait for a source that does not exist yet, or fail.",
)
@click.option("--wait-for-source", "wait_for_source", type=bool, default=True, hidden=True)
@kind_option
@marker_option
@click.option(
    "--settle",
    type=float,
    default=30.0,
    show_default=True,
    help="Seconds without a change before a source with all its chunks counts as finished.",
)
@click.option(
    "--finish-idle",
    type=float,
    default=None,
    help="Treat the acquisition as finished after this many seconds without a change, even if chunks are missing.  "
    "[default: off]",
)
@click.option(
    "--linger",
    type=float,
    default=None,
    help="Keep watching the source for this many seconds after the copy is complete, and copy what changes.  "
    "[default: off]",
)
@click.option(
    "--verify",
    type=click.Choice(["size", "checksum"]),
    default="size",
    show_default=True,
    help="Verify by size and time, or also by reading back checksums.",
)
@click.option(
    "--max-rate",
    metavar="RATE",
    default="full",
    show_default=True,
    help='Speed limit: 200 MB/s, full, or by time of day as in "09:00-18:00: 50 MB/s, else: full".',
)
@click.option(
    "--pace",
    type=click.Choice(["auto", "full"]),
    default="auto",
    show_default=True,
    help="Yield to the microscope (auto), or never (full).",
)
@click.option("--overwrite", is_flag=True, help="Replace another dataset at the destination.")
@permissions_option
@group_option
@click.option(
    "--links",
    type=click.Choice(["keep", "copy"]),
    default="keep",
    show_default=True,
    help="Copy links out of the source as links, or copy what they lead to.",
)
@click.option(
    "--free",
    type=float,
    metavar="DAYS",
    default=None,
    help="Once the copy is complete and every byte is read back, move the source's files to a grace folder, to be "
    "deleted after this many days.  [default: off]",
)
@click.option(
    "--notify",
    metavar="URL",
    multiple=True,
    callback=lambda _context, _option, urls: list(urls) or None,
    help="Where to send notifications, instead of the URLs in your preferences; off for nowhere.  [default: off]",
)
@click.option(
    "--progress-file/--no-progress-file",
    default=True,
    show_default=True,
    help="Write a file beside the destination that tells other programs what is complete.",
)
@click.option(
    "--metrics",
    metavar="ADDRESS",
    help="Serve metrics for Prometheus at this port, or host:port.  [default: off]",
)
def copy(paths: tuple[str, ...], verbose: bool, metrics: str | None, **settings: Any) -> None:
    """Copy zarr datasets while they are being written.

    TARGETS_FILE is a YAML file that lists sources and destinations. Or give one SOURCE and DESTINATION.
    Run the same command again to continue a copy that was stopped.
    """
    _run(lambda: _targets(paths, _settings(settings)), verbose, metrics)


@softcopy.command()
@click.argument("source")
@click.argument("destination")
@click.option("--verbose", is_flag=True, help="Show details.")
@dask_option
@click.option("--nprocs", type=int, default=4, show_default=True, help="Processes that compare files.")
@kind_option
@click.option(
    "--links",
    type=click.Choice(["keep", "copy"]),
    default="keep",
    show_default=True,
    help="Links out of the source: compare them as links, or what they lead to.",
)
@click.option("--content", is_flag=True, help="Read files whose times differ: they may be equal.")
def check(source: str, destination: str, verbose: bool, content: bool, **settings: Any) -> None:
    """Compare a source and a destination; change nothing.

    Exit code 0 if every file of the source is at the destination, equal in size and time, 1 if not.
    """

    def targets() -> tuple[Target, ...]:
        (target,) = _targets((source, destination), _settings(settings))
        return (target.model_copy(update={"check": True, "by_content": content}),)

    _run(targets, verbose)


for _command in (verify, free, status, wait, watch, notify_test):
    softcopy.add_command(_command)


def _copies(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments that say which copies are meant."""
    command = click.option("--all", "everything", is_flag=True, help="All running copies.")(command)
    return click.argument("which", nargs=-1, metavar="[PID | DESTINATION]...")(command)


@softcopy.command()
@_copies
def finish(which: tuple[str, ...], everything: bool) -> None:
    """Say that an acquisition is over: copy what is left, check everything, and end.

    Chunks that were never written are counted; they are no error.
    """
    _order("finish", which, everything)


@softcopy.command()
@_copies
def pause(which: tuple[str, ...], everything: bool) -> None:
    """Pause a copy until `softcopy resume`."""
    _order("pause", which, everything)


@softcopy.command()
@_copies
def resume(which: tuple[str, ...], everything: bool) -> None:
    """Continue a paused copy."""
    _order("resume", which, everything)


@softcopy.command()
@_copies
def stop(which: tuple[str, ...], everything: bool) -> None:
    """Stop a copy; run it again to continue.

    If the copy is complete, its source is no longer watched.
    """
    _order("stop", which, everything)


def _order(do: str, which: tuple[str, ...], everything: bool) -> None:
    """Give an order to the copies that are meant, and say what comes of it."""
    from softcopy_napari.terminal.orders import CannotOrder, choose_copies, give_order

    problems = []
    try:
        for copy in choose_copies(which, everything, do):
            try:
                click.echo(give_order(do, copy))
            except CannotOrder as error:  # the others get it all the same
                problems.append(str(error))
    except CannotOrder as error:
        problems.append(str(error))
    if problems:
        _fail("\n".join(problems))


@softcopy.command("set")
@_copies
@click.option("--max-rate", metavar="RATE", help="Speed limit: 200 MB/s, full, or by time of day.")
@click.option("--sleep-time", type=float, help="Seconds a copy process sleeps after each file.")
@click.option("--pace", type=click.Choice(["auto", "full"]), help="Yield to the microscope (auto), or never (full).")
def set_(which: tuple[str, ...], everything: bool, **settings: Any) -> None:
    """Change the speed of a running copy."""
    from softcopy_napari.engine.protocol.messages import Changes
    from softcopy_napari.terminal.orders import CannotOrder, change_settings, choose_copies

    given = {name: value for name, value in settings.items() if value is not None}
    if not given:
        _fail("say what to change: --max-rate, --sleep-time or --pace")
    checked = _settings(given)
    changes = Changes(**{name: getattr(checked, name) for name in given})
    try:
        for copy in choose_copies(which, everything, "set"):
            change_settings(copy, changes)
            click.echo(f"{copy.target.destination} (process {copy.pid}): {changes.words()}")
    except CannotOrder as error:
        _fail(str(error))


@softcopy.command()
@click.option("--terminal", is_flag=True, help="Run in the terminal even if napari is installed.")
@click.option(
    "--screenshots",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Save screenshots of napari in this folder.  [default: a temporary folder, if there is no screen]",
)
def demo(terminal: bool, screenshots: Path | None) -> None:
    """Copy a simulated live acquisition, then compare both.

    Runs in napari if that is installed, otherwise in the terminal.
    """
    from softcopy_napari.demo import run_demo

    sys.exit(run_demo(terminal=terminal, screenshots=screenshots))


def _run(targets: Callable[[], tuple[Target, ...]], verbose: bool, metrics: str | None = None) -> NoReturn:
    """Run an engine with these targets in this process, show it, and exit."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's idle threads cost time at the start
    gc.disable()  # nothing that is imported goes away again
    from softcopy_napari.engine.errors import TargetsError
    from softcopy_napari.engine.server import Engine
    from softcopy_napari.terminal.run_engine import run_engine
    from softcopy_napari.terminal.signals import INTERRUPTED

    gc.freeze()
    gc.enable()
    _log_to_stderr(verbose)
    try:
        code = run_engine(lambda: Engine(targets()), live=not verbose, metrics=metrics)
    except TargetsError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that a hanging share holds must not keep it; and taking Python down takes 20 ms


def _settings(values: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from softcopy_napari.engine.targets.target import Settings, settings_problem

    try:
        return Settings(**values)
    except ValidationError as error:
        _fail(settings_problem(error, "--"))


def _targets(paths: tuple[str, ...], settings: Settings) -> tuple[Target, ...]:
    from softcopy_napari.engine.errors import TargetsError
    from softcopy_napari.engine.targets.build import make_target

    match paths:
        case (file,):
            path = _path(file, "targets file")
            with contextlib.suppress(OSError):
                if path == Path(file).absolute():
                    path = Path(file)  # messages name it as its user does
            if path.is_dir():
                raise TargetsError(f"{file} is a folder: give its destination too, as in softcopy {file} DESTINATION")
            from softcopy_napari.engine.targets.targets_file import (
                load_targets,  # with YAML, which the other case is spared
            )

            return _skip_freed(load_targets(path, settings))
        case (source, destination):
            return (make_target(source, destination, settings),)
    raise TargetsError(f"{len(paths)} paths were given: give a targets file, or one source and one destination")


def _skip_freed(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Return the targets of a file whose sources have not been freed; all of them where there is no other."""
    from softcopy_napari.engine.job.preflight import find_why_freed

    freed = {target: words for target in targets if (words := find_why_freed(target))}
    if len(freed) == len(targets):
        return targets
    for words in freed.values():
        click.echo(f"softcopy: left out: {words}", err=True)
    return tuple(target for target in targets if target not in freed)


def _log_to_stderr(verbose: bool) -> None:
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    # watchdog tells of lost events here; the engine does, in its notices.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)


def main() -> None:
    """Run the `softcopy` command."""
    # Searching all installed packages for pydantic plugins, of which none is wanted, takes 30 ms at every start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    let_output_fail()
    try:
        softcopy(prog_name="softcopy")
    except OSError as error:  # what somebody could have said better, and a state folder that cannot be used
        _fail(str(error))
