"""``faultline run`` and ``faultline check``: campaigns."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from faultline.campaign.run import Result, run
from faultline.campaign.series import SeriesCheck
from faultline.campaign.source import OVERLAPPING_ONE_IN, seeds, whole_corpus
from faultline.campaign.subject import LiveSubject, Subject
from faultline.campaign.worker import Plan, Record
from faultline.cli import flags
from faultline.cli.desk import Desk, begin, take_live
from faultline.cli.flags import NO_SCHEDULES, SECONDS_DEFAULT
from faultline.cli.report import FORMS, put
from faultline.kinds import ExitStatus, FaultlineError
from faultline.report.console import Reporter
from faultline.report.document import Document, Mode
from faultline.report.result import About, command_again, environment, now, summary
from faultline.report.series import keep_beginning, series_lines
from faultline.verdict.overlap import Schedules

#: A check ends this many seconds after its last new finding: the author's next step is to look at it.
SETTLE_SECONDS: Final = 5.0
#: Programs of a check, from the first one on, the costs of which are compared.
COST_PROGRAMS: Final = 4000
#: The share of programs that may end in a tool error on base and patched tree alike before a clean verdict is none.
UNJUDGED_MAX: Final = 0.1


@click.command("run", short_help="A campaign on a tree against the model of documented behaviour.")
@flags.building
@flags.campaign
@flags.schedules("How operations of different tasks overlap", NO_SCHEDULES, NO_SCHEDULES)
@flags.live
def run_command(live: bool, **options: Any) -> None:
    """A campaign: generated programs on a tree, with patches if given, against the model of documented behaviour."""
    if live:
        take_live(options)
    _run_campaign(check=False, **options)


@click.command("check", short_help="The verdict for a patch author: a tree with and without the patches.")
@flags.building
@flags.campaign
@flags.schedules("How operations overlap, in half of the programs", "mix, in half of the time", NO_SCHEDULES)
@click.option("--strict", is_flag=True, help="Differences inside, too: page table entries, references, flushes, locks.")
def check_command(**options: Any) -> None:
    """The verdict for a patch author: the same programs on the tree with and without the patches.

    Only what the patches bring is a finding: a bug, or any difference that user space can see.  About half of the time
    goes to programs whose operations overlap.  Ends when --time is over, or 5 seconds after the last new finding.
    """
    if not options["patches"] and not options["revisions"]:
        raise click.UsageError(
            "check needs a patch: --patch FILE, or --range BASE..TOPIC; to test a tree as it is, use 'faultline run'"
        )
    _run_campaign(check=True, **options)


def _run_campaign(
    *, check: bool, seconds: float | None, programs: int | None, seed: int | None, out: Path, stop_first: bool,
    schedules: str | None, races: bool, as_json: bool, as_ktap: bool, junit: Path | None, strict: bool = False,
    **options: Any,
) -> NoReturn:  # fmt: skip
    """Runs a campaign, shows what it came to and ends the command."""
    if as_json and as_ktap:
        raise click.UsageError("--json and --ktap are both for standard output; 'faultline report' makes the other one")
    by_default = "mix" if check or races else NO_SCHEDULES
    how = None if (schedules or by_default) == NO_SCHEDULES else Schedules.parse(schedules or by_default)
    if races and how is None:
        raise click.UsageError(f"--races needs operations that overlap, --schedules {NO_SCHEDULES} has none")
    if programs is not None and seconds is not None:
        raise click.UsageError("--time and --programs exclude each other; give one")
    seed = secrets.randbits(32) if seed is None else seed
    desk = begin(as_json or as_ktap, seed=seed, variant="race" if races else "plain", **options)
    desk = replace(desk, setting=replace(desk.setting, strict=strict))
    subject = desk.subject(check=check, reach=check)
    places = subject.places if isinstance(subject, Subject) else None
    settle = SETTLE_SECONDS if check and programs is None else None
    plan = Plan(
        make_judge=subject.judge_maker(how),
        overlapping=0 if how is None else _one_in(check=check, asked=bool(schedules or races)),
        again=seeds() if check and how is not None and not how.ends else (),
        seed=seed,
        jobs=desk.jobs,
        seconds=SECONDS_DEFAULT if seconds is None and programs is None else seconds,
        programs=programs,
        settle=0.0 if stop_first else settle,
        corpus=whole_corpus(),
        points=places.points if places else None,
        near=subject.near if isinstance(subject, Subject) else (),
        costs=COST_PROGRAMS if check else 0,
    )
    form = FORMS["json"] if as_json else FORMS["ktap"] if as_ktap else None
    campaign_of(plan, desk, subject, "check" if check else "run", out, form, junit)


def campaign_of(
    plan: Plan, desk: Desk, subject: Subject | LiveSubject, mode: Mode, out: Path,
    form: Callable[[Document], bytes] | None, junit: Path | None = None,
) -> NoReturn:  # fmt: skip
    """Runs a campaign, shows what it came to and ends the command.

    :param form: what standard output gets instead of words for people.
    :param junit: where JUnit XML goes.
    """
    screen, setting = desk.screen, desk.setting
    command = command_again(click.get_current_context().obj or (), plan.seed)
    about = About(setting, mode, command, now(), environment(subject.kernel_tree), subject.diff)
    reporter = Reporter(screen, about, out)
    screen.status(f"seed {plan.seed}, {plan.jobs} workers", now=True)
    with screen.progress():
        idle = isinstance(subject, Subject) and subject.idle
        result = Result(plan.seed) if idle else run(plan, reporter)
        if isinstance(subject, Subject) and subject.places:
            result.reach = subject.places.reach(result.first, subject.hints)
        if mode == "check" and len(desk.series.patches) > 1:
            assert isinstance(subject, Subject)
            _check_series(plan, desk, subject, reporter, result)
    document = reporter.close(result)
    if junit is not None:
        put(junit, FORMS["junit"](document), say=screen.status)
    if form is not None:
        click.echo(form(document), nl=False)
    else:
        if result.series is not None:
            screen.show(series_lines(result.series))
        for line in summary(result, setting, verbose=desk.verbose):
            screen.say(line)
    sys.exit(_status(result))


def _check_series(plan: Plan, desk: Desk, subject: Subject, reporter: Reporter, result: Result) -> None:
    """Says which patch of a series brings each finding."""
    setting, series = desk.setting, desk.series

    def keep(record: Record, upto: int) -> Path | None:
        if upto < desk.ladder.highest:
            return keep_beginning(setting, series, record, upto, reporter.out)
        if record.finding.signature not in reporter.files:
            reporter.found(record)
        return reporter.files.get(record.finding.signature)

    try:
        check = SeriesCheck(desk.ladder, subject, plan, desk.screen.status, title=series.title)
        check.samples = plan.settle != 0 or subject.idle
        result.series = check.run(result, keep)
    except KeyboardInterrupt:  # while its steps are built
        result.interrupted = True


def _one_in(*, check: bool, asked: bool) -> int:
    """Of so many programs one has operations that overlap."""
    return 1 if not check else 2 if asked else OVERLAPPING_ONE_IN


def _status(result: Result) -> ExitStatus:
    series = result.series
    if result.interrupted:
        return ExitStatus.INTERRUPTED
    if result.records or (series and series.mended):
        return ExitStatus.FINDINGS
    if series and not series.whole:
        return ExitStatus.ERROR
    if not result.programs:
        raise FaultlineError("no program ran in that time; give --time more")
    if result.unjudged > result.programs * UNJUDGED_MAX:
        raise FaultlineError(
            f"{result.unjudged:,} of {result.programs:,} programs end in a tool error on the base tree too: no verdict"
        )
    return ExitStatus.SKIPPED if result.reach is not None and result.reach.untested else ExitStatus.CLEAN
