"""``faultline bench``: figures."""

from __future__ import annotations

import sys

import click

from faultline.bench import speed
from faultline.campaign.benchmark import attempt, chosen, read_set, tree_of
from faultline.campaign.source import corpora_dir
from faultline.cli import flags
from faultline.cli.desk import begin, print_json
from faultline.cli.flags import SECONDS_DEFAULT
from faultline.cli.refactors import refactors_command
from faultline.cli.thread import thread_command
from faultline.kinds import ExitStatus
from faultline.report.figures import figure_line, figures_head, figures_json, trial_lines, trials_head, trials_json
from faultline.tree import DEFAULT_TREE, find_tree


@click.group()
def bench() -> None:
    """How fast Faultline is, and how good."""


@bench.command("speed")
@flags.tree
@flags.jobs
@flags.as_json
@flags.quiet
def bench_speed(tree: str | None, jobs: int, as_json: bool, quiet: bool) -> None:
    """Throughput, build times and memory, each measured beside its goal.

    Takes about three minutes, and half a minute more for each profile and tree that is not built yet.
    """
    desk = begin(as_json, tree=tree, patches=(), profile=None, jobs=jobs, quiet=quiet, verbose=False)
    screen = desk.screen
    figures = []
    if not as_json:
        screen.show([figures_head()])
    with screen.progress():
        for figure in speed(desk.setting.kernel, jobs, screen.status):
            figures.append(figure)
            if not as_json:
                screen.show([figure_line(figure)])
    if as_json:
        print_json(figures_json(figures))


@bench.command("bugs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--set", "which", default="bugs", show_default=True, help="Which set below corpora/.")
@click.option("--interleaved", is_flag=True, help="Those that need an interleaving, instead of those that need none.")
@flags.tree_option(f"{DEFAULT_TREE}, or the newest that the bug is for")
@flags.jobs
@flags.each_time(SECONDS_DEFAULT)
@flags.first_seed
@flags.as_json
@flags.quiet
def bench_bugs(
    names: tuple[str, ...], which: str, interleaved: bool, tree: str | None, jobs: int, seconds: float, seed: int,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Puts known bugs back, one after the other, and says how soon a check finds each, how small its repro gets and
    how often that shows it again.

    Exit status 1 if one is not found, or something else is, or a repro does not always show it.
    """
    desk = begin(as_json, tree=tree, patches=(), profile=None, jobs=jobs, quiet=quiet, verbose=False)
    screen = desk.screen
    only = find_tree(desk.setting.kernel, screen.status) if tree else None
    version = f"{only.major}.{only.minor}" if only else None
    entries = chosen(which, read_set(which), version, names, interleaved=interleaved)
    folder = corpora_dir() / which
    trials = []
    if not as_json:
        screen.show([trials_head()])
    with screen.progress():
        for name, entry in entries.items():
            kernel = desk.setting.kernel if tree else tree_of(entry)
            trial = attempt(
                name, entry, folder, kernel, seconds=seconds, seed=seed, jobs=jobs, say=screen.status, reach=True
            )
            trials.append(trial)
            if not as_json:
                screen.show(trial_lines(trial))
    if as_json:
        print_json(trials_json(trials))
    sys.exit(ExitStatus.CLEAN if all(trial.passed for trial in trials) else ExitStatus.FINDINGS)


bench.add_command(thread_command)
bench.add_command(refactors_command)
