"""Ends a command that was called wrongly, in words and without a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from softcopy_napari.engine.targets.store_url import Destination

WRONG_USAGE = 2
"""Exit code."""


def fail(message: str) -> NoReturn:
    """Print what is wrong, and end the command."""
    for line in message.splitlines():
        click.echo(f"softcopy: {line}", err=True)
    sys.exit(WRONG_USAGE)


def read_path(text: str, what: str = "path") -> Path:
    """Return what a user means by a path, or end the command."""
    from softcopy_napari.engine.targets.user_paths import written_path

    try:
        return written_path(text, Path())
    except ValueError as error:
        fail(f"the {what} {error}")


def read_destination(text: str) -> Destination:
    """Return the destination that a user means, a folder or a place in an object store, or end the command."""
    from softcopy_napari.engine.targets.user_paths import written_destination

    try:
        return written_destination(text, Path())
    except ValueError as error:
        fail(f"the destination {error}")
