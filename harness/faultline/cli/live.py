"""``faultline live``: the running kernel."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from faultline.campaign.files import Outcome, judge_files
from faultline.campaign.files import programs as programs_of
from faultline.campaign.subject import LIVE_KERNEL, LiveSubject
from faultline.campaign.worker import Plan
from faultline.cli import flags
from faultline.cli.campaign import campaign_of
from faultline.cli.desk import Desk, begin, given_back, print_json, unrecorded
from faultline.cli.report import FORMS
from faultline.kinds import ExitStatus
from faultline.program.codec import Operation
from faultline.report.live import closing_lines, live_json, outcome_lines
from faultline.report.repro import replay_command
from faultline.verdict.live import LiveJudge, ThreeWay


@click.command("live", short_help="Programs on the running kernel against the model; three ways with a tree.")
@click.argument("files", type=flags.path, nargs=-1, metavar="[FILE]...")
@click.option("--three-way", is_flag=True, help="A built tree beside it; says which of the three stands alone.")
@click.option("--programs", type=click.IntRange(1), help="So many generated programs, and no FILE.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Which programs are generated.  [default: random]")
@click.option("--out", type=flags.path, default=Path("findings"), show_default=True, help="Where repros are written.")
@flags.building
@flags.as_json
def live_command(
    files: tuple[Path, ...], three_way: bool, programs: int | None, seed: int | None, out: Path, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Runs programs (files, or folders of them) on the running kernel and compares with the model of documented
    behaviour.  Needs root.  What the kernel lacks is skipped and named; KSM and swap are left as they were."""
    if bool(files) == (programs is not None):
        raise click.UsageError("name files, or give --programs N")
    if (options["patches"] or options["revisions"]) and not three_way:
        raise click.UsageError("--patch and --range are for a tree; give --three-way too")
    if not three_way:
        options["tree"] = LIVE_KERNEL
    read = programs_of(files) if files else []
    seed = secrets.randbits(32) if seed is None and programs is not None else seed
    desk = begin(as_json, seed=seed, **options)
    subject = LiveSubject.checked()
    if three_way:
        subject = replace(subject, tree=desk.tree(check=False))
    if programs is not None:
        plan = Plan(subject.judge_maker(), seed=seed or 0, jobs=1, programs=programs)
        campaign_of(plan, desk, subject, "live", out, FORMS["json"] if as_json else None)
    _live_files(desk, subject, read, as_json)


def _live_files(
    desk: Desk, subject: LiveSubject, files: Sequence[tuple[Path, list[Operation]]], as_json: bool
) -> NoReturn:
    judge = subject.judge_maker()(unrecorded)
    assert isinstance(judge, LiveJudge | ThreeWay)
    outcomes: list[Outcome] = []
    interrupted, begin = False, time.monotonic()
    against = desk.setting.kernel if subject.tree is not None else None
    try:
        with given_back(judge), desk.screen.progress():
            for outcome in judge_files(judge, files):
                outcomes.append(outcome)
                desk.screen.status(f"{len(outcomes)} of {len(files)} programs")
                replay = replay_command(outcome.path, against or LIVE_KERNEL, three_way=against is not None)
                desk.screen.show(outcome_lines(outcome, replay, verbose=desk.verbose))
    except KeyboardInterrupt:
        interrupted = True
    offer, seconds = judge.live_machine.offer, time.monotonic() - begin
    if as_json:
        print_json(live_json(outcomes, offer, against, against and desk.setting.profile, interrupted=interrupted))
    else:
        for line in closing_lines(outcomes, offer, against, seconds, interrupted=interrupted, verbose=desk.verbose):
            desk.screen.say(line)
    if interrupted:
        sys.exit(ExitStatus.INTERRUPTED)
    if any(outcome.finding is not None and not outcome.known for outcome in outcomes):
        sys.exit(ExitStatus.FINDINGS)
    sys.exit(ExitStatus.CLEAN if any(outcome.trial is not None for outcome in outcomes) else ExitStatus.SKIPPED)
