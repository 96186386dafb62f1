"""Options that several commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from faultline.campaign.subject import DEFAULT_PROFILE
from faultline.tree import DEFAULT_TREE
from faultline.verdict.overlap import POLICIES

#: What --schedules says where operations do not overlap.
NO_SCHEDULES: Final = "none"
#: How long a campaign runs by default.
SECONDS_DEFAULT: Final = 60.0

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several options, in this order."""
    def decorate(command: F) -> F:
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)

    return decorate


path = click.Path(path_type=Path)


def tree_option(default: str) -> Callable[[F], F]:
    """:param default: which tree it is if the option is not given, for the help."""
    return click.option(
        "--tree", default=None, envvar="FAULTLINE_TREE", metavar="TREE",
        help=f"Kernel tree: a path, or debian:VERSION.  [default: {default}]",
    )  # fmt: skip


tree = tree_option(DEFAULT_TREE)
patches = click.option(
    "--patch", "patches", multiple=True, type=path, metavar="FILE",
    help="Diff, mail, mbox of a series, or .cocci; repeat for a series.",
)  # fmt: skip
revisions = click.option(
    "--range", "revisions", metavar="BASE..TOPIC", help="The commits of a range in the git repository --tree."
)
profile = click.option("--profile", default=None, help=f"Kernel configuration.  [default: {DEFAULT_PROFILE}]")
jobs = click.option(
    "--jobs", type=click.IntRange(1, 256), default=lambda: len(os.sched_getaffinity(0)), show_default="all cores",
    help="Processes that run at once.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
quiet = click.option("-q", "--quiet", is_flag=True, help="No progress, only findings and the result.")
verbose = click.option("-v", "--verbose", is_flag=True, help="More about what is done.")
file = click.argument("file", type=path, metavar="FILE")
live = click.option("--live", is_flag=True, help="On the running kernel (root); see 'faultline live'.")
building = together(tree, patches, revisions, profile, jobs, quiet, verbose)


def each_time(default: float) -> Callable[[F], F]:
    """:param default: seconds."""
    return click.option(
        "--time", "seconds", type=click.FloatRange(0, min_open=True), default=default, show_default=True,
        metavar="SECONDS", help="How long each check may take.",
    )  # fmt: skip


first_seed = click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True, help="As for check."
)


def trees(default: Sequence[str]) -> Callable[[F], F]:
    """:param default: which they are if none is named."""
    return click.option(
        "--tree", "trees", multiple=True, metavar="TREE", default=tuple(default), show_default=True,
        help="On which trees; repeat for several.",
    )  # fmt: skip


def schedules(which: str, default: str, *also: str) -> Callable[[F], F]:
    """What may follow is :meth:`Schedules.parse`'s, or one of ``also``."""
    return click.option(
        "--schedules", metavar="POLICY", help=f"{which}: {', '.join((*also, POLICIES))}.  [default: {default}]"
    )


campaign = together(
    click.option(
        "--time", "seconds", type=click.FloatRange(0, min_open=True), default=None, metavar="SECONDS",
        help=f"How long to run.  [default: {SECONDS_DEFAULT:.0f}]",
    ),
    click.option("--programs", type=click.IntRange(1), help="Instead run programs 0 to N-1: repeatable results."),
    click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Which programs are generated.  [default: random]"),
    click.option("--out", type=path, default=Path("findings"), show_default=True, help="Where repros are written."),
    click.option("--stop-first", is_flag=True, help="End at the first finding, once it is minimised."),
    click.option(
        "--races", is_flag=True,
        help="Data races of operations that overlap are findings too; --schedules mix unless given.",
    ),
    as_json,
    click.option("--ktap", "as_ktap", is_flag=True, help="The result as KTAP on standard output."),
    click.option("--junit", type=path, metavar="FILE", help="The result as JUnit XML, too."),
)  # fmt: skip
