"""The command `softcopy free`: its options. It loads what it does only when it is called."""

from __future__ import annotations

import sys

import click

from softcopy_napari.terminal.refusals import fail, read_path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folders", nargs=-1, metavar="[SOURCE [DESTINATION]]")
@click.option("--dry-run", is_flag=True, help="Show what would be moved or deleted, and do nothing.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option(
    "--keep-days",
    type=float,
    default=7.0,
    show_default=True,
    help="Days before files in the grace folder expire.",
)
@click.option("--undo", is_flag=True, help="Move the files of a freed source back.")
@click.option("--list", "list_", is_flag=True, help="List freed sources.")
@click.option("--expired", is_flag=True, help="Delete expired files whose copies are good.")
@click.option("--accept-notes", is_flag=True, help="Free it despite notes in the receipt, which you have read.")
@click.option(
    "--despite",
    multiple=True,
    metavar="COPY",
    help="Another copy of the source (destination or process) that does not matter, and may fail.",
)
@click.option("--nprocs", type=int, default=4, show_default=True, help="Files to read at a time.")
def free(
    folders: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    keep_days: float,
    undo: bool,
    list_: bool,
    expired: bool,
    accept_notes: bool,
    despite: tuple[str, ...],
    nprocs: int,
) -> None:
    """Free the source of a complete copy: move its files to a grace folder, and delete them days later.

    Every byte is read back from the copy first. --undo brings the files back as long as they are in the grace folder.
    """
    from softcopy_napari.engine.freeing.free_rules import FreeOptions
    from softcopy_napari.engine.freeing.refusal import FreeRefused
    from softcopy_napari.engine.job.preflight import NOT_FREED
    from softcopy_napari.engine.targets.store_url import is_store_url
    from softcopy_napari.terminal import free as commands

    if not 1 <= nprocs <= 64:
        fail(f"--nprocs must be a whole number from 1 to 64, not {nprocs}")
    if not 0 <= keep_days < 1e5:
        fail(f"--keep-days must be a number of days, 0 or more, not {keep_days:g}")
    if any(map(is_store_url, folders[1:])):
        fail(NOT_FREED)
    paths = [read_path(folder) for folder in folders]
    if undo + list_ + expired > 1:
        fail("--undo, --list and --expired do not go together: give one of them")
    if (wanted := 1 if undo else 2) != len(paths) and not (list_ or expired):
        fail(f"{len(paths)} paths were given: give {'the source' if wanted == 1 else 'a source and its destination'}")
    try:
        if undo:
            sys.exit(commands.run_undo(paths[0]))
        if list_:
            sys.exit(commands.run_list(paths))
        if expired:
            sys.exit(commands.run_expired(paths, nprocs, dry_run, yes))
        options = FreeOptions(keep_days, accept_notes, despite, nprocs)
        sys.exit(commands.run_free(paths[0], paths[1], options, dry_run, yes))
    except (FreeRefused, commands.NotConfirmed) as error:
        fail(str(error) or "Nothing was done.")
