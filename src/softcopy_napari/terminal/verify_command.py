"""The command `softcopy verify`: its options. It loads what it does only when it is called."""

from __future__ import annotations

import sys

import click

from softcopy_napari.terminal.refusals import fail, read_destination, read_path
from softcopy_napari.terminal.usage import dask_option


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folders", nargs=-1, required=True, metavar="[SOURCE] DESTINATION")
@click.option("--sample", metavar="PERCENT", help="Verify a random sample, such as 5%.")
@click.option("--part", metavar="K/N", help="Verify the K-th of N parts, such as 3/30 on the third day of a month.")
@click.option("--seed", type=int, metavar="NUMBER", help="Verify the sample that an earlier run chose with this seed.")
@dask_option
@click.option("--afresh", is_flag=True, help="With --dask: do not continue where an interrupted run stopped.")
@click.option("--nprocs", type=int, default=4, show_default=True, help="Files to read at a time, without --dask.")
@click.option("--report", metavar="FILE", help="Write what does not match to this file, as JSON lines.")
@click.option("--verbose", is_flag=True, help="List every file that does not match.")
def verify(
    folders: tuple[str, ...],
    sample: str | None,
    part: str | None,
    seed: int | None,
    dask: str | None,
    afresh: bool,
    nprocs: int,
    report: str | None,
    verbose: bool,
) -> None:
    """Check a copy by content: with its receipt, or with its source.

    Reads every file. Exit code 0 if all match, 1 if something is missing or changed.
    """
    from softcopy_napari.engine.errors import TargetsError
    from softcopy_napari.engine.receipt.checksum_file import ReceiptError
    from softcopy_napari.engine.verify.verify import VerifyError
    from softcopy_napari.terminal.verify import How, parse_selection, run_verify

    if len(folders) > 2:
        fail(f"{len(folders)} paths were given: give a destination, or a source and a destination")
    if not 1 <= nprocs <= 64:
        fail(f"--nprocs must be a whole number from 1 to 64, not {nprocs}")
    try:
        how = How(parse_selection(sample, part, seed), nprocs, verbose, dask, afresh, report)
        *source, destination = folders
        sys.exit(run_verify((*map(read_path, source), read_destination(destination)), how))
    except (ReceiptError, TargetsError, VerifyError, ValueError) as error:
        fail(str(error))
