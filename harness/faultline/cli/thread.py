"""``faultline bench thread``: the 2019 thread as one table."""

from __future__ import annotations

import sys

import click

from faultline.campaign.thread import TREES, rows
from faultline.cli import flags
from faultline.cli.desk import print_json
from faultline.kinds import ExitStatus
from faultline.report.console import Screen
from faultline.report.thread import row_lines, thread_head, thread_json, thread_markdown

SECONDS: float = 20.0


@click.command("thread", short_help="The 2019 thread's proposals as one table, beside what reviewers found.")
@click.option("--tree", "trees", multiple=True, metavar="TREE", help=f"On which trees.  [default: {', '.join(TREES)}]")
@flags.jobs
@click.option(
    "--time", "seconds", type=click.FloatRange(0, min_open=True), default=SECONDS, show_default=True,
    metavar="SECONDS", help="How long each check may take.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True, help="As for check.")
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
        for row in rows(trees or TREES, seconds=seconds, seed=seed, jobs=jobs, say=screen.status):
            told.append(row)
            if plain:
                screen.show(row_lines(row))
    if markdown:
        click.echo(thread_markdown(told), nl=False)
    elif as_json:
        print_json(thread_json(told))
    sys.exit(ExitStatus.CLEAN if all(row.passed for row in told) else ExitStatus.FINDINGS)
