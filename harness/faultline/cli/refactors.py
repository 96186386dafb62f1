"""``faultline bench refactors``: patches that keep behaviour, and the same with one call lost."""

from __future__ import annotations

import sys
from typing import Final

import click

from faultline.campaign.rows import REFACTORS, rows
from faultline.cli import flags
from faultline.cli.desk import print_json
from faultline.kinds import ExitStatus
from faultline.report.console import Screen
from faultline.report.refactors import refactor_lines, refactors_head
from faultline.report.thread import rows_json
from faultline.tree import DEFAULT_TREE

SECONDS: Final = 20.0


@click.command("refactors", short_help="Refactors that keep behaviour must be the same, and their slips must not.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@flags.trees([DEFAULT_TREE])
@flags.jobs
@flags.each_time(SECONDS)
@flags.first_seed
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Each so often, with other seeds.")
@flags.as_json
@flags.quiet
def refactors_command(
    names: tuple[str, ...], trees: tuple[str, ...], jobs: int, seconds: float, seed: int, repeat: int, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Checks refactors that keep behaviour, and for each a slip: the same with one call lost.

    Seconds are from an edit of the file on, which is compiled anew, to the first finding as it is shown, minimised,
    and to the end of the check.  With --repeat this is so for the first seed; the others take the library from there.
    Exit status 1 if a verdict is not the one that is recorded.
    """
    screen, told = Screen(quiet=quiet), []
    if not as_json:
        screen.show([refactors_head()])
    with screen.progress():
        for number in range(repeat):
            for row in rows(
                REFACTORS, trees, names=names, seconds=seconds, seed=seed + number, jobs=jobs, say=screen.status,
                fresh=number == 0,
            ):  # fmt: skip
                told.append(row)
                if not as_json:
                    screen.show(refactor_lines(row))
    if as_json:
        print_json(rows_json(told))
    sys.exit(ExitStatus.CLEAN if all(row.passed for row in told) else ExitStatus.FINDINGS)
