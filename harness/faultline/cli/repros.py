"""``faultline replay``, ``minimize`` and ``export``: what is done with a repro."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from faultline.backend.live_offer import running_version
from faultline.build import Variant
from faultline.campaign.files import OVERLAPS
from faultline.campaign.isolate import death_of
from faultline.campaign.source import corpora_dir
from faultline.campaign.subject import LIVE_KERNEL, LiveSubject, Subject
from faultline.campaign.worker import Crash, crash_finding
from faultline.cli import flags
from faultline.cli.desk import Desk, begin, given_back, print_json, take_live, unrecorded
from faultline.export.files import SEEN, Source, plain_c, pytest_test, selftest
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, encode, has_blocks
from faultline.program.minimize import minimize as minimize_program
from faultline.program.ops import lacking
from faultline.program.schedule import Decision, Schedule, parse_schedule
from faultline.program.text import read_repro
from faultline.report.console import Screen
from faultline.report.live import not_reached
from faultline.report.replay import replay_json, replay_lines
from faultline.report.repro import INSIDE, Patch, repro_text
from faultline.tree import DEFAULT_TREE, find_tree
from faultline.tree.cache import store
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge, Side, Trial
from faultline.verdict.live import LiveJudge
from faultline.verdict.overlap import Schedules

#: Schedules that an exhaustive search of one file takes at most.
SCHEDULES_MAX: Final = 10_000_000


@dataclass(frozen=True)
class _Case:
    """A repro file, read, with what it is to run on."""

    ops: list[Operation]
    signature: str | None
    subject: Subject | LiveSubject
    decisions: tuple[Decision, ...] = ()


def _case(file: Path, as_json: bool, patches: Sequence[Path], **options: Any) -> tuple[Desk, _Case]:
    """Reads a repro and builds what its header names, unless options say otherwise."""
    repro = read_repro(file)
    header = repro.header
    if patches and options["revisions"]:
        raise click.UsageError("--range and --patch exclude each other; give one")
    if not patches and options["tree"] != LIVE_KERNEL:
        options["revisions"] = options["revisions"] or header.get("range")
    for key, default in (("tree", header.get("kernel")), ("profile", header.get("profile"))):
        options[key] = options[key] or default
    desk = begin(as_json, patches=(), variant=_variant(file, header.get("variant", "plain")), **options)
    if desk.setting.kernel == LIVE_KERNEL:
        repro.patches.clear()
        desk = replace(desk, setting=replace(desk.setting, variant="plain"))
    named = [Patch.of(path) for path in patches] or [_found_patch(file, value, desk.screen) for value in repro.patches]
    seed = header.get("seed", "")
    strict = header.get("compare") == INSIDE
    setting = replace(desk.setting, patches=tuple(named), seed=int(seed) if seed.isdigit() else None, strict=strict)
    desk = replace(desk, setting=setting)
    decisions = parse_schedule(header.get("schedule", ""), repro.ops, f"{file}: schedule")
    return desk, _Case(repro.ops, header.get("signature"), desk.subject(check=bool(named or setting.range)), decisions)


def _variant(file: Path, word: str) -> Variant:
    """The variant of the library that a header names.

    :raises FaultlineError: (USAGE) it is none that runs repros.
    """
    if word == "plain":
        return "plain"
    if word == "race":
        return "race"
    raise FaultlineError(f"{file}: variant {word[:40]!r}: one of plain, race", ExitStatus.USAGE)


def _judge_of(file: Path, desk: Desk, case: _Case) -> Judge:
    """The judge of a repro.

    :raises FaultlineError: (SKIPPED) the kernel lacks what an operation of it needs.
    """
    live = isinstance(case.subject, LiveSubject)
    if live and has_blocks(case.ops):
        raise FaultlineError(f"{file}: {OVERLAPS}", ExitStatus.SKIPPED)
    judge = case.subject.judge_maker(Schedules() if has_blocks(case.ops) else None)(unrecorded)
    missing = lacking(case.ops, judge.has)
    if missing:
        named = ", ".join(f"{name} (needs {', '.join(needs)})" for name, needs in missing.items())
        kernel = "the live kernel" if live else f"{desk.setting.kernel} in the profile {desk.setting.profile}"
        if isinstance(judge, LiveJudge):
            lacks = judge.live.offer.lacks
            named += "".join(f"; {need}: {lacks[need]}" for need in sorted({*chain(*missing.values())}))
        judge.give_back()
        raise FaultlineError(f"{file}: {kernel} lacks what operations of it need: {named}", ExitStatus.SKIPPED)
    return judge


def _found_patch(file: Path, value: str, screen: Screen) -> Patch:
    """The patch that a header names: below the working directory, beside the repro, or in this repository."""
    named = Patch.parse(value)
    places = [Path.cwd() / named.path, file.parent / named.path, corpora_dir().parent / named.path]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FaultlineError(f"{file}: its patch {named.path} is not here; name it with --patch FILE", ExitStatus.USAGE)
    patch = Patch.of(path)
    if named.digest and named.digest != patch.digest:
        screen.warn(f"{path} changed since {file} was made")
    return patch


@click.command(short_help="Run a repro.")
@flags.file
@flags.schedules("Run it under many schedules", "the file's own")
@flags.building
@flags.as_json
@flags.live
def replay(file: Path, schedules: str | None, as_json: bool, live: bool, **options: Any) -> None:
    """Runs a repro: each operation with its outcome, and the finding if it shows (exit status 1)."""
    if live:
        take_live({**options, "schedules": schedules})
        options |= {"tree": LIVE_KERNEL, "patches": ()}
    how = None if schedules is None else Schedules.parse(schedules)
    desk, case = _case(file, as_json, **options)
    judge = _judge_of(file, desk, case)
    with given_back(judge):
        _replay(file, judge, desk, case, how, as_json)


def _replay(
    file: Path, judge: Judge, desk: Desk, case: _Case, how: Schedules | None, as_json: bool
) -> NoReturn:
    overlapping = has_blocks(case.ops)
    tested = _trial(judge, judge.subject, case)
    base = _trial(judge, judge.base, case) if judge.base else None
    if how is not None and not overlapping:
        raise FaultlineError(f"{file}: --schedules is for operations that overlap, and none does", ExitStatus.USAGE)
    if how is not None:
        tested, line = _searched(judge, case, how)
        desk.screen.say(line)
    elif overlapping and tested.finding is None and case.signature is not None:
        tested = judge.near(judge.subject, case.ops, case.decisions, case.signature) or tested
    finding = tested.finding
    if finding is None and base is not None and base.finding is None and not overlapping:
        finding = judge.difference(case.ops)
    if as_json:
        print_json(replay_json(desk.setting, case.ops, tested, base, finding))
    else:
        desk.screen.show(replay_lines(case.ops, tested, base, finding, expected=case.signature))
        stopped = judge.live.backend.stopped if isinstance(judge, LiveJudge) else None
        if stopped is not None:
            desk.screen.say(not_reached(case.ops, stopped.index, stopped.why))
    sys.exit(ExitStatus.FINDINGS if finding else ExitStatus.CLEAN)


def _searched(judge: Judge, case: _Case, schedules: Schedules) -> tuple[Trial, str]:
    """The first finding of the program under many schedules, and how many these were."""
    program = judge.overlap(judge.subject, case.ops)
    if schedules.policy == "exhaustive":
        schedules = replace(schedules, runs=SCHEDULES_MAX)
    finding = next(program.findings(schedules), None)
    what = f"{program.runs:,} schedule{'s' * (program.runs != 1)}"
    if schedules.policy == "exhaustive" and finding is None and not program.undecided:
        what += ", all there are"
        if schedules.parameter is not None:
            what += f" with {schedules.parameter} preemptions at most"
    line = f"{what}: {program.outcomes} outcome{'s' * (program.outcomes != 1)}"
    line += "".join(f"; not judged under some schedule: {why}" for why in sorted(program.undecided))
    return Trial(program.trace, finding, tuple(sorted(program.deviations))), line


def _trial(judge: Judge, side: Side, case: _Case) -> Trial:
    """Runs the program first in a child, as it may kill the process."""
    wire, schedule = encode(case.ops), Schedule("replay", decisions=case.decisions)
    died = 0
    if has_blocks(case.ops):
        died = death_of(lambda: side.machine.run_overlapping(wire, schedule))
    elif judge.may_die:
        died = death_of(lambda: side.machine.run(wire))
    if died:
        return Trial(b"", crash_finding(Crash(0, wire, died)))
    return judge.trial(side, case.ops, case.decisions)


@click.command(short_help="Make a repro's program smaller.")
@flags.file
@flags.building
@click.option("--output", type=flags.path, help="Where the smaller repro goes.  [default: FILE.min]")
def minimize(file: Path, output: Path | None, **options: Any) -> None:
    """Makes a repro's program smaller, with the same kind of finding and the same signature."""
    desk, case = _case(file, False, **options)
    judge = _judge_of(file, desk, case)
    with given_back(judge):
        _minimise(file, judge, desk, case, output)


def _minimise(file: Path, judge: Judge, desk: Desk, case: _Case, output: Path | None) -> None:
    best, blame = _to_minimise(judge, case)
    if best is None:
        raise FaultlineError(
            f"{file}: shows no finding, so there is nothing to keep; see 'faultline replay'", ExitStatus.SKIPPED
        )

    def showing(ops: Sequence[Operation]) -> Finding | None:
        nonlocal best
        assert best is not None
        finding = judge.again(ops, best, blame)
        best = finding or best
        return finding

    with desk.screen.progress():
        desk.screen.status(f"minimising {len(case.ops)} operations")
        ops = minimize_program(case.ops, lambda fewer: showing(fewer) is not None)
    finding = showing(ops)
    if finding is not None and finding.schedule:
        finding = judge.simplest(ops, finding)
    assert finding is not None, "the minimiser returned what it was told is no match"
    output = output or file.with_name(file.name + ".min")
    try:
        store(output, repro_text(desk.setting, finding, ops, output).encode())
    except OSError as error:
        raise FaultlineError(f"{output}: {error.strerror}; name another place with --output") from None
    desk.screen.say(f"{output}: {len(case.ops)} -> {len(ops)} operations, {finding.signature}")


def _to_minimise(judge: Judge, case: _Case) -> tuple[Finding | None, Blame]:
    """What the repro shows, under its own schedule if it has one."""
    if case.decisions:
        finding = judge.trial(judge.subject, case.ops, case.decisions).finding
        if finding is not None:
            return finding, judge.blame(case.ops, finding)
    verdict = judge.judge(case.ops)
    return verdict.finding, verdict.blame


@click.command("export", short_help="A repro for somebody without Faultline.")
@flags.file
@click.option("--c", "form", flag_value="c", help="One C file for a live kernel.")
@click.option("--selftest", "form", flag_value="selftest", help="A test for tools/testing/selftests/mm.")
@click.option("--pytest", "form", flag_value="pytest", help="A test that replays it on a tree.")
@click.option("--linux", "version", metavar="X.Y", help="Whose behaviour is expected.  [default: the repro's kernel's]")
@click.option("-o", "--output", type=flags.path, help="Where it goes.  [default: standard output]")
def export_command(file: Path, form: str | None, version: str | None, output: Path | None) -> None:
    """Turns a repro into a file that runs without Faultline, or in a test suite.

    The C ends with status 0 if the running kernel does what documentation says of the version, 1 if not, 4 if it lacks
    something.  What a live kernel cannot do on demand is refused (exit status 4).
    """
    if form is None:
        raise click.UsageError("say for whom: --c, --selftest or --pytest")
    screen = Screen()
    repro = read_repro(file)
    source = Source(file, repro, file.read_text(encoding="utf-8-sig"))
    kind = repro.header.get("kind")
    if form != "pytest" and kind is not None and kind not in SEEN:
        screen.warn(f"{file}: user space cannot see its finding, {kind}; the file checks outcomes and contents")
    if form == "pytest":
        text = pytest_test(source)
    else:
        make = plain_c if form == "c" else selftest
        text = make(source, _linux(version, repro.header.get("kernel", DEFAULT_TREE)))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        store(output, text.encode())
    except OSError as error:
        raise FaultlineError(f"{output}: {error.strerror}; name another place with --output") from None


def _linux(version: str | None, kernel: str) -> tuple[int, int]:
    """The version that is asked for, or that of a kernel as a header names it."""
    if version is None and kernel == LIVE_KERNEL:
        return running_version()
    word = kernel.removeprefix("debian:") if version is None else version
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", word)
    if match:
        return int(match[1]), int(match[2])
    if version is not None:
        raise FaultlineError(f"--linux {version[:40]!r}: a version looks like 6.12", ExitStatus.USAGE)
    try:
        tree = find_tree(kernel)
    except FaultlineError as error:
        raise FaultlineError(f"{error}; or say with --linux which version to go by", error.status) from None
    return tree.major, tree.minor
