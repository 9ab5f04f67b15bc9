"""The commands `softcopy status`, `watch` and `notify-test`; what they need is imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from softcopy_napari.terminal.refusals import fail


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show all copies that have ended, up to the last 100.")
@click.option("--dismiss", is_flag=True, help="Mark the failures that are shown as seen.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document, for programs.")
@click.option("--all-users", is_flag=True, help="Show other users' copies, too, where you may see them.")
def status(everything: bool, dismiss: bool, as_json: bool, all_users: bool) -> None:
    """Show the copies that are running on this computer, and how the last ones ended."""
    from softcopy_napari.terminal.status import run_status

    run_status(everything, dismiss, as_json, all_users)


@click.command()
@click.option(
    "--notify",
    metavar="URL",
    multiple=True,
    help="Where to send notifications of crashes, besides the URLs in your preferences.",
)
@click.option("--metrics", metavar="ADDRESS", help="Serve metrics of all your copies at this port, or host:port.")
def watch(notify: tuple[str, ...], metrics: str | None) -> None:
    """Notify when a copy has crashed.

    It watches all your copies on this computer, whatever started them, until it is stopped.
    """
    from softcopy_napari.terminal.watch import run_watch

    sys.exit(_or_fail(lambda: run_watch(notify, metrics)))


@click.command("notify-test")
@click.argument("urls", nargs=-1, metavar="[URL]...")
def notify_test(urls: tuple[str, ...]) -> None:
    """Send a test notification to each URL, or to those of your preferences.

    Exit code 0 if all were sent, 1 if not.
    """
    from softcopy_napari.terminal.notify_test import try_notifications

    sys.exit(_or_fail(lambda: try_notifications(urls)))


def _or_fail(run: Callable[[], int]) -> int:
    """Return what a function returns; a mistake of the user's ends the command."""
    from softcopy_napari.engine.errors import TargetsError

    try:
        return run()
    except TargetsError as error:
        fail(str(error))
