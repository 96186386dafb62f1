"""``faultline bench thread``: the 2019 thread as one table."""

from __future__ import annotations

import sys

import click

from faultline.campaign.rows import THREAD, THREAD_TREES, rows
from faultline.cli import flags
from faultline.cli.desk import print_json
from faultline.kinds import ExitStatus
from faultline.report.console import Screen
from faultline.report.thread import row_lines, rows_json, thread_head, thread_markdown

SECONDS: float = 20.0


@click.command("thread", short_help="The 2019 thread's proposals as one table, beside what reviewers found.")
@flags.trees(THREAD_TREES)
@flags.jobs
@flags.each_time(SECONDS)
@flags.first_seed
@click.option("--markdown", is_flag=True, help="The table as Markdown, for documentation.")
@flags.as_json
@flags.quiet
def thread_command(
    trees: tuple[str, ...], jobs: int, seconds: float, seed: int, markdown: bool, as_json: bool, quiet: bool
) -> None:
    """Checks all proposals of the thread on every tree to which they apply.

    Exit status 1 if a verdict is not the recorded one, or its repro does not always show it.
    """
    screen, plain, told = Screen(quiet=quiet), not (as_json or markdown), []
    if plain:
        screen.show([thread_head()])
    with screen.progress():
        for row in rows(THREAD, trees, seconds=seconds, seed=seed, jobs=jobs, say=screen.status):
            told.append(row)
            if plain:
                screen.show(row_lines(row))
    if markdown:
        click.echo(thread_markdown(told), nl=False)
    elif as_json:
        print_json(rows_json(told))
    sys.exit(ExitStatus.CLEAN if all(row.passed for row in told) else ExitStatus.FINDINGS)
