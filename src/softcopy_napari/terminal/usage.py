"""The group of the `softcopy` commands: the copy needs no word of its own, and a misspelt word starts none."""

from __future__ import annotations

import difflib
import os

import click

_USAGE = (
    "[OPTIONS] TARGETS_FILE",
    "[OPTIONS] SOURCE DESTINATION",
    "check SOURCE DESTINATION",
    "verify [SOURCE] DESTINATION",
    "free SOURCE DESTINATION",
    "status | watch | notify-test [URL]... | demo",
    "wait DESTINATION --until INDEX",
    "finish | pause | resume | stop | set [PID | DESTINATION]...",
)
_COPY = "copy"
_ALIKE = 0.7

kind_option = click.option(
    "--kind",
    type=click.Choice(["zarr", "folder"]),
    default="zarr",
    show_default=True,
    help="What the source is: a zarr dataset, or a folder of any files (OME-TIFF, NDTiff, ...).",
)
"""Says what the source of a command is."""
marker_option = click.option(
    "--marker",
    metavar="NAME",
    default="complete",
    show_default=True,
    help="Name of the file that the writer makes in the source when the acquisition is over.",
)

permissions_option = click.option(
    "--permissions",
    metavar="WHICH",
    default="folder",
    show_default=True,
    help="Permissions of the copies: folder (as for any new file there), keep (the source's), group (as the "
    "destination's folder itself), or a mode like 0664.",
)
dask_option = click.option(
    "--dask",
    metavar="SCHEDULER",
    default=None,
    callback=lambda _context, _option, given: given if given is None or "://" in given else os.path.abspath(given),
    help="Work on the machines of a Dask cluster, which must see both folders.  [default: off]",
)
"""Names a Dask cluster."""
group_option = click.option(
    "--group", metavar="NAME", default=None, help="Group of the copies, of which you must be a member.  [default: off]"
)


class CopyCommand(click.Command):
    """The copy, whose name nobody types: what is said of its usage is without it."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage of all commands, of which the user may have meant another."""
        write_usage(formatter)


class Commands(click.Group):
    """A group whose default command is the copy itself: `softcopy FILE` needs no word for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command for the paths of a copy, unless it looks like a misspelt command."""
        if not args:
            args = ["--help"]
        if args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            if meant := self._meant(args[0]):
                raise click.UsageError(f"There is no command or file {args[0]!r}. Did you mean softcopy {meant}?", ctx)
            args = [_COPY, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage of all commands."""
        write_usage(formatter)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the copy's own options: they are what people look for."""
        copy = self.commands[_COPY]
        write_usage(formatter)
        copy.format_help_text(ctx, formatter)
        copy.format_options(click.Context(copy, info_name="softcopy"), formatter)
        self.format_commands(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def _meant(self, word: str) -> str:
        """Return the command that somebody has misspelt; empty where it can be the path of something to copy."""
        if not word.isalpha() or os.path.lexists(word):
            return ""
        names = [name for name, command in self.commands.items() if not command.hidden]
        begun = [name for name in names if len(word) > 1 and name.startswith(word.lower())]
        alike = difflib.get_close_matches(word.lower(), names, 1, _ALIKE)
        return next(iter(begun + alike), "")


def write_usage(formatter: click.HelpFormatter) -> None:
    """Write a line for each way to call softcopy."""
    for number, usage in enumerate(_USAGE):
        formatter.write_usage("softcopy", usage, prefix=None if number == 0 else "       ")
