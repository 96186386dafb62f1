"""The command line.  Every command ends with one of :class:`faultline.kinds.ExitStatus`."""

from __future__ import annotations

import functools
import os
import re
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import msgspec

from faultline import __version__
from faultline.backend.live_offer import running_version
from faultline.bench import speed
from faultline.build import BuiltLibrary, Variant
from faultline.campaign.benchmark import attempt, chosen, read_set, tree_of
from faultline.campaign.files import OVERLAPS, Outcome, judge_files
from faultline.campaign.files import programs as programs_of
from faultline.campaign.isolate import death_of
from faultline.campaign.run import Result, run
from faultline.campaign.series import Ladder, SeriesCheck, build_ladder
from faultline.campaign.source import OVERLAPPING_ONE_IN, corpora_dir, seeds, whole_corpus
from faultline.campaign.subject import DEFAULT_PROFILE, LIVE_KERNEL, LiveSubject, Subject, build_library, prepare
from faultline.campaign.worker import Crash, Plan, Record, crash_finding
from faultline.cli_report import FORMS, put, report_command
from faultline.cli_thread import thread_command
from faultline.doctor import checks
from faultline.export.files import SEEN, Source, plain_c, pytest_test, selftest
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, encode, has_blocks
from faultline.program.minimize import minimize as minimize_program
from faultline.program.ops import lacking
from faultline.program.schedule import Decision, Schedule, parse_schedule
from faultline.program.text import read_repro
from faultline.report.console import Reporter, Screen
from faultline.report.doctor import doctor_lines
from faultline.report.document import Document, Mode
from faultline.report.figures import figure_line, figures_head, figures_json, trial_lines, trials_head, trials_json
from faultline.report.live import closing_lines, live_json, not_reached, outcome_lines
from faultline.report.replay import replay_json, replay_lines
from faultline.report.repro import INSIDE, Patch, Setting, replay_command, repro_text
from faultline.report.result import About, command_again, environment, now, summary
from faultline.report.series import keep_beginning, series_lines
from faultline.tree import DEFAULT_TREE, TreeInfo, find_tree
from faultline.tree.cache import cache_dir, store
from faultline.tree.revisions import fixed_range, read_range
from faultline.tree.series import Series, read_series
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge, Side, Trial
from faultline.verdict.live import LiveJudge, ThreeWay
from faultline.verdict.overlap import POLICIES, Schedules

#: What --schedules says where operations do not overlap.
NO_SCHEDULES: Final = "none"
SECONDS_DEFAULT: Final = 60.0
#: A check ends this many seconds after its last new finding: the author's next step is to look at it.
SETTLE_SECONDS: Final = 5.0
#: The share of programs that may end in a tool error on base and patched tree alike before a clean verdict is none.
UNJUDGED_MAX: Final = 0.1

F = TypeVar("F", bound=Callable[..., Any])


# --- options that several commands share ---


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)

    return decorate


_path = click.Path(path_type=Path)


def _tree_option(default: str) -> Callable[[F], F]:
    return click.option(
        "--tree", default=None, envvar="FAULTLINE_TREE", metavar="TREE",
        help=f"Kernel tree: a path, or debian:VERSION.  [default: {default}]",
    )  # fmt: skip


_tree = _tree_option(DEFAULT_TREE)
_patches = click.option(
    "--patch", "patches", multiple=True, type=_path, metavar="FILE",
    help="Diff, mail, mbox of a series, or .cocci; repeat for a series.",
)  # fmt: skip
_range = click.option(
    "--range", "revisions", metavar="BASE..TOPIC", help="The commits of a range in the git repository --tree."
)
_profile = click.option("--profile", default=None, help=f"Kernel configuration.  [default: {DEFAULT_PROFILE}]")
_jobs = click.option(
    "--jobs", type=click.IntRange(1, 256), default=lambda: len(os.sched_getaffinity(0)), show_default="all cores",
    help="Processes that run at once.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="No progress, only findings and the result.")
_verbose = click.option("-v", "--verbose", is_flag=True, help="More about what is done.")
_file = click.argument("file", type=_path, metavar="FILE")
_live = click.option("--live", is_flag=True, help="On the running kernel (root); see 'faultline live'.")
_building = _options(_tree, _patches, _range, _profile, _jobs, _quiet, _verbose)


def _schedules(which: str, default: str, *also: str) -> Callable[[F], F]:
    """What may follow is :meth:`Schedules.parse`'s, or one of ``also``."""
    return click.option(
        "--schedules", metavar="POLICY", help=f"{which}: {', '.join((*also, POLICIES))}.  [default: {default}]"
    )


_campaign = _options(
    click.option(
        "--time", "seconds", type=click.FloatRange(0, min_open=True), default=None, metavar="SECONDS",
        help=f"How long to run.  [default: {SECONDS_DEFAULT:.0f}]",
    ),
    click.option("--programs", type=click.IntRange(1), help="Instead run programs 0 to N-1: repeatable results."),
    click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Which programs are generated.  [default: random]"),
    click.option("--out", type=_path, default=Path("findings"), show_default=True, help="Where repros are written."),
    click.option("--stop-first", is_flag=True, help="End at the first finding, once it is minimised."),
    click.option(
        "--races", is_flag=True,
        help="Data races of operations that overlap are findings too; --schedules mix unless given.",
    ),
    _json,
    click.option("--ktap", "as_ktap", is_flag=True, help="The result as KTAP on standard output."),
    click.option("--junit", type=_path, metavar="FILE", help="The result as JUnit XML, too."),
)  # fmt: skip


#: Schedules that an exhaustive search of one file takes at most.
SCHEDULES_MAX: Final = 10_000_000

# --- what the commands do in common ---


@dataclass(frozen=True)
class _Desk:
    """What a command works with."""

    screen: Screen
    setting: Setting
    jobs: int
    verbose: bool

    @cached_property
    def series(self) -> Series:
        """The patches, unpacked; what of the input was left out is said."""
        setting, screen = self.setting, self.screen
        if setting.range:
            series = read_range(Path(setting.kernel), setting.range, screen.status)
        else:
            series = read_series([patch.path for patch in setting.patches])
        for note in series.notes:
            screen.warn(note)
        return series

    @cached_property
    def ladder(self) -> Ladder:
        """Builds the tree with the first patch, with the first two, and so on."""
        setting, series = self.setting, self.series
        tree = find_tree(str(series.base or setting.kernel), self.screen.status)
        return build_ladder(
            tree, series, setting.profile, jobs=self.jobs, say=self.screen.status, variant=setting.variant
        )

    def subject(self, *, check: bool, reach: bool = False) -> Subject | LiveSubject:
        """Builds what the setting names, with its base for a check; ``reach``: such that changed lines are counted."""
        return LiveSubject.checked() if self.setting.kernel == LIVE_KERNEL else self.tree(check=check, reach=reach)

    def tree(self, *, check: bool, reach: bool = False) -> Subject:
        """Builds the tree that the setting names; of a series to check as much as applies and compiles."""
        with self.screen.progress():
            try:
                subject = self._prepared(self.series.paths, check=check, reach=reach)
            except FaultlineError as error:
                several = check and len(self.series.patches) > 1 and error.status is ExitStatus.ERROR
                if not several or not self.ladder.highest:
                    raise
                self.screen.warn(f"{error}; what can be built of the series is tested without it")
                paths = self.series.paths[: self.ladder.highest]
                subject = self._prepared(paths, check=check, reach=reach)
        _warn_of(subject.library.tree, self.screen)
        return subject

    def _prepared(self, paths: list[Path], *, check: bool, reach: bool) -> Subject:
        setting = self.setting
        return prepare(
            str(self.series.base or setting.kernel), paths, setting.profile, check=check, jobs=self.jobs,
            say=self.screen.status, variant=setting.variant, reach=reach, strict=setting.strict,
        )  # fmt: skip


def _unrecorded(_: bytes) -> None:
    """No flight recorder: what runs here runs in a child first, or is not a campaign."""


def _begin(
    as_json: bool, *, tree: str | None, patches: Sequence[Path], profile: str | None, jobs: int, quiet: bool,
    verbose: bool, seed: int | None = None, variant: Variant = "plain", revisions: str | None = None,
) -> _Desk:  # fmt: skip
    """What the common options amount to."""
    kernel = tree or DEFAULT_TREE
    if revisions and patches:
        raise click.UsageError("--range and --patch exclude each other; give one")
    if revisions and (tree is None or tree.startswith("debian:")):
        raise click.UsageError("--range needs --tree DIR, the git repository that it is in")
    if kernel == LIVE_KERNEL:
        jobs = 1  # KSM and swap are there once
    elif not kernel.startswith("debian:"):
        kernel = str(Path(kernel).expanduser().absolute())
    named = tuple(Patch.of(path) for path in patches)
    commits = fixed_range(Path(kernel), revisions) if revisions else ""
    setting = Setting(kernel, profile or DEFAULT_PROFILE, named, seed, variant, commits)
    return _Desk(Screen(quiet=quiet, data=as_json), setting, jobs, verbose)


def _warn_of(tree: TreeInfo, screen: Screen) -> None:
    if tree.untried:
        screen.warn(tree.untried)


def _print_json(data: dict[str, Any]) -> None:
    print(msgspec.json.format(msgspec.json.encode(data)).decode())


# --- commands ---


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="faultline")
def cli() -> None:
    """Finds what a memory-management patch changes: runs a kernel tree's own fault-path code in user space, against a
    model of documented behaviour and against the tree without the patch."""


@cli.command("build", short_help="Build a tree, with patches, into a library.")
@_building
@click.option(
    "--variant", type=click.Choice(["plain", "asan", "race"]), default="plain", show_default=True, help="Which library."
)
@_json
def build_command(variant: Variant, as_json: bool, **options: Any) -> None:
    """Builds a tree, with patches, into a library; taken from the cache if nothing changed."""
    desk = _begin(as_json, **options)
    screen, setting = desk.screen, desk.setting
    with screen.progress():
        series = desk.series
        tree = find_tree(str(series.base or setting.kernel), screen.status)
        library = build_library(tree, series.paths, setting.profile, jobs=desk.jobs, say=screen.status, variant=variant)
    _warn_of(tree, screen)
    if as_json:
        _print_json(_library_json(library))
        return
    screen.say(str(library.path))
    if desk.verbose:
        screen.say(f"{len(library.traps)} kernel functions trap: {', '.join(library.traps)}")


def _library_json(library: BuiltLibrary) -> dict[str, Any]:
    return {
        "path": str(library.path),
        "key": library.key,
        "tree": library.tree.id,
        "variant": library.variant,
        "profile": library.profile,
        "patches": [str(patch) for patch in library.patches],
        "cached": library.cached,
        "seconds": round(library.seconds, 3),
        "traps": list(library.traps),
    }


@cli.command("run", short_help="A campaign on a tree against the model of documented behaviour.")
@_building
@_campaign
@_schedules("How operations of different tasks overlap", NO_SCHEDULES, NO_SCHEDULES)
@_live
def run_command(live: bool, **options: Any) -> None:
    """A campaign: generated programs on a tree, with patches if given, against the model of documented behaviour."""
    if live:
        _take_live(options)
    _run_campaign(check=False, **options)


def _take_live(options: dict[str, Any]) -> None:
    """Puts the running kernel in the place of a tree.

    :raises click.UsageError: another option asks for what is a built machine's alone.
    """
    flags = {"patches": "--patch", "revisions": "--range", "schedules": "--schedules", "races": "--races"}
    for name, flag in flags.items():
        if options.get(name) and options[name] != NO_SCHEDULES:
            raise click.UsageError(f"{flag} is for built trees, and --live is the running kernel; leave one out")
    options["tree"] = LIVE_KERNEL


@cli.command("check", short_help="The verdict for a patch author: a tree with and without the patches.")
@_building
@_campaign
@_schedules("How operations overlap, in half of the programs", "mix, in half of the time", NO_SCHEDULES)
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
    desk = _begin(as_json or as_ktap, seed=seed, variant="race" if races else "plain", **options)
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
    )
    form = FORMS["json"] if as_json else FORMS["ktap"] if as_ktap else None
    _campaign_of(plan, desk, subject, "check" if check else "run", out, form, junit)


def _campaign_of(
    plan: Plan, desk: _Desk, subject: Subject | LiveSubject, mode: Mode, out: Path,
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
        result = run(plan, reporter)
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


def _check_series(plan: Plan, desk: _Desk, subject: Subject, reporter: Reporter, result: Result) -> None:
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
        check.samples = plan.settle != 0
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


# --- the running kernel ---


@cli.command("live", short_help="Programs on the running kernel against the model; three ways with a tree.")
@click.argument("files", type=_path, nargs=-1, metavar="[FILE]...")
@click.option("--three-way", is_flag=True, help="A built tree beside it; says which of the three stands alone.")
@click.option("--programs", type=click.IntRange(1), help="So many generated programs, and no FILE.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Which programs are generated.  [default: random]")
@click.option("--out", type=_path, default=Path("findings"), show_default=True, help="Where repros are written.")
@_building
@_json
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
    desk = _begin(as_json, seed=seed, **options)
    subject = LiveSubject.checked()
    if three_way:
        subject = replace(subject, tree=desk.tree(check=False))
    if programs is not None:
        plan = Plan(subject.judge_maker(), seed=seed or 0, jobs=1, programs=programs)
        _campaign_of(plan, desk, subject, "live", out, FORMS["json"] if as_json else None)
    _live_files(desk, subject, read, as_json)


def _live_files(
    desk: _Desk, subject: LiveSubject, files: Sequence[tuple[Path, list[Operation]]], as_json: bool
) -> NoReturn:
    judge = subject.judge_maker()(_unrecorded)
    assert isinstance(judge, LiveJudge | ThreeWay)
    outcomes: list[Outcome] = []
    interrupted, begin = False, time.monotonic()
    against = desk.setting.kernel if subject.tree is not None else None
    try:
        with _given_back(judge), desk.screen.progress():
            for outcome in judge_files(judge, files):
                outcomes.append(outcome)
                desk.screen.status(f"{len(outcomes)} of {len(files)} programs")
                replay = replay_command(outcome.path, against or LIVE_KERNEL, three_way=against is not None)
                desk.screen.show(outcome_lines(outcome, replay, verbose=desk.verbose))
    except KeyboardInterrupt:
        interrupted = True
    offer, seconds = judge.live_machine.offer, time.monotonic() - begin
    if as_json:
        _print_json(live_json(outcomes, offer, against, against and desk.setting.profile, interrupted=interrupted))
    else:
        for line in closing_lines(outcomes, offer, against, seconds, interrupted=interrupted, verbose=desk.verbose):
            desk.screen.say(line)
    if interrupted:
        sys.exit(ExitStatus.INTERRUPTED)
    if any(outcome.finding is not None and not outcome.known for outcome in outcomes):
        sys.exit(ExitStatus.FINDINGS)
    sys.exit(ExitStatus.CLEAN if any(outcome.trial is not None for outcome in outcomes) else ExitStatus.SKIPPED)


# --- repros ---


@dataclass(frozen=True)
class _Case:
    """A repro file, read, with what it is to run on."""

    ops: list[Operation]
    signature: str | None
    subject: Subject | LiveSubject
    decisions: tuple[Decision, ...] = ()


def _case(file: Path, as_json: bool, patches: Sequence[Path], **options: Any) -> tuple[_Desk, _Case]:
    """Reads a repro and builds what its header names, unless options say otherwise."""
    repro = read_repro(file)
    header = repro.header
    if patches and options["revisions"]:
        raise click.UsageError("--range and --patch exclude each other; give one")
    if not patches and options["tree"] != LIVE_KERNEL:
        options["revisions"] = options["revisions"] or header.get("range")
    for key, default in (("tree", header.get("kernel")), ("profile", header.get("profile"))):
        options[key] = options[key] or default
    desk = _begin(as_json, patches=(), variant=_variant(file, header.get("variant", "plain")), **options)
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


def _judge_of(file: Path, desk: _Desk, case: _Case) -> Judge:
    """The judge of a repro.

    :raises FaultlineError: (SKIPPED) the kernel lacks what an operation of it needs.
    """
    live = isinstance(case.subject, LiveSubject)
    if live and has_blocks(case.ops):
        raise FaultlineError(f"{file}: {OVERLAPS}", ExitStatus.SKIPPED)
    judge = case.subject.judge_maker(Schedules() if has_blocks(case.ops) else None)(_unrecorded)
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


@contextmanager
def _given_back(judge: Judge) -> Iterator[None]:
    try:
        yield
    finally:
        judge.give_back()


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


@cli.command(short_help="Run a repro.")
@_file
@_schedules("Run it under many schedules", "the file's own")
@_building
@_json
@_live
def replay(file: Path, schedules: str | None, as_json: bool, live: bool, **options: Any) -> None:
    """Runs a repro: each operation with its outcome, and the finding if it shows (exit status 1)."""
    if live:
        _take_live({**options, "schedules": schedules})
        options |= {"tree": LIVE_KERNEL, "patches": ()}
    how = None if schedules is None else Schedules.parse(schedules)
    desk, case = _case(file, as_json, **options)
    judge = _judge_of(file, desk, case)
    with _given_back(judge):
        _replay(file, judge, desk, case, how, as_json)


def _replay(
    file: Path, judge: Judge, desk: _Desk, case: _Case, how: Schedules | None, as_json: bool
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
        _print_json(replay_json(desk.setting, case.ops, tested, base, finding))
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


@cli.command(short_help="Make a repro's program smaller.")
@_file
@_building
@click.option("--output", type=_path, help="Where the smaller repro goes.  [default: FILE.min]")
def minimize(file: Path, output: Path | None, **options: Any) -> None:
    """Makes a repro's program smaller, with the same kind of finding and the same signature."""
    desk, case = _case(file, False, **options)
    judge = _judge_of(file, desk, case)
    with _given_back(judge):
        _minimise(file, judge, desk, case, output)


def _minimise(file: Path, judge: Judge, desk: _Desk, case: _Case, output: Path | None) -> None:
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


@cli.command("export", short_help="A repro for somebody without Faultline.")
@_file
@click.option("--c", "form", flag_value="c", help="One C file for a live kernel.")
@click.option("--selftest", "form", flag_value="selftest", help="A test for tools/testing/selftests/mm.")
@click.option("--pytest", "form", flag_value="pytest", help="A test that replays it on a tree.")
@click.option("--linux", "version", metavar="X.Y", help="Whose behaviour is expected.  [default: the repro's kernel's]")
@click.option("-o", "--output", type=_path, help="Where it goes.  [default: standard output]")
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


# --- trees ---


@cli.group("tree")
def tree_group() -> None:
    """Kernel trees in the cache."""


@tree_group.command("fetch")
@click.argument("spec")
@_quiet
def tree_fetch(spec: str, quiet: bool) -> None:
    """Downloads and unpacks a tree, e.g. debian:6.12; says where it is."""
    screen = Screen(quiet=quiet)
    with screen.progress():
        tree = find_tree(spec, screen.status)
    screen.say(f"{tree.path}  {tree.version}  {tree.id}")


@tree_group.command("list")
@_json
def tree_list(as_json: bool) -> None:
    """The trees in the cache."""
    root = cache_dir() / "trees"
    trees = [find_tree(str(path)) for path in sorted(root.iterdir())] if root.is_dir() else []
    if as_json:
        _print_json({"trees": [{"path": str(tree.path), "version": tree.version, "id": tree.id} for tree in trees]})
        return
    for tree in trees:
        click.echo(f"{tree.path}  {tree.version}  {tree.id}")
    if not trees:
        click.echo(f"none in {root}; 'faultline tree fetch {DEFAULT_TREE}' gets one")


# --- the installation ---


@cli.command(short_help="What is installed, what is missing, how to get it.")
@_json
def doctor(as_json: bool) -> None:
    """What is installed, what is missing and how to get it (exit status 4 if the main job lacks something)."""
    found = checks()
    if as_json:
        _print_json({"checks": [asdict(check) for check in found]})
    else:
        Screen().show(doctor_lines(found))
    lacking = any(not check.ok and not check.optional for check in found)
    sys.exit(ExitStatus.SKIPPED if lacking else ExitStatus.CLEAN)


# --- figures ---


@cli.group()
def bench() -> None:
    """How fast Faultline is, and how good."""


@bench.command("speed")
@_tree
@_jobs
@_json
@_quiet
def bench_speed(tree: str | None, jobs: int, as_json: bool, quiet: bool) -> None:
    """Throughput, build times and memory, each measured beside its goal.

    Takes about three minutes, and half a minute more for each profile and tree that is not built yet.
    """
    desk = _begin(as_json, tree=tree, patches=(), profile=None, jobs=jobs, quiet=quiet, verbose=False)
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
        _print_json(figures_json(figures))


@bench.command("bugs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--set", "which", default="bugs", show_default=True, help="Which set below corpora/.")
@click.option("--interleaved", is_flag=True, help="Those that need an interleaving, instead of those that need none.")
@_tree_option(f"{DEFAULT_TREE}, or the newest that the bug is for")
@_jobs
@click.option(
    "--time", "seconds", type=click.FloatRange(0, min_open=True), default=SECONDS_DEFAULT, show_default=True,
    metavar="SECONDS", help="How long each check may take.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=1, show_default=True, help="As for check.")
@_json
@_quiet
def bench_bugs(
    names: tuple[str, ...], which: str, interleaved: bool, tree: str | None, jobs: int, seconds: float, seed: int,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Puts known bugs back, one after the other, and says how soon a check finds each, how small its repro gets and
    how often that shows it again.

    Exit status 1 if one is not found, or something else is, or a repro does not always show it.
    """
    desk = _begin(as_json, tree=tree, patches=(), profile=None, jobs=jobs, quiet=quiet, verbose=False)
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
            trial = attempt(name, entry, folder, kernel, seconds=seconds, seed=seed, jobs=jobs, say=screen.status)
            trials.append(trial)
            if not as_json:
                screen.show(trial_lines(trial))
    if as_json:
        _print_json(trials_json(trials))
    sys.exit(ExitStatus.CLEAN if all(trial.passed for trial in trials) else ExitStatus.FINDINGS)


# --- the command itself ---

cli.add_command(report_command)
bench.add_command(thread_command)


def main() -> NoReturn:
    """The entry point: turns every way in which a command can end into an exit status."""
    sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status; what goes wrong is one line on standard error."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        cli.main(list(arguments), prog_name="faultline", standalone_mode=False, obj=tuple(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except FaultlineError as error:
        return _complain(str(error), error.status, error.details)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitStatus.USAGE
    except click.ClickException as error:
        return _complain(error.format_message(), ExitStatus.USAGE)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return ExitStatus.ERROR
    except Exception as error:
        return _complain(f"{type(error).__name__}: {error}; this is a bug of faultline, see {_log()}", ExitStatus.ERROR)
    return ExitStatus.CLEAN


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _complain(message: str, status: ExitStatus, details: Sequence[str] = ()) -> ExitStatus:
    print("faultline: " + " ".join(message.split()), *details, sep="\n", file=sys.stderr)
    return status


def _log() -> str:
    """Writes the traceback of the exception at hand; the file's name."""
    text = traceback.format_exc()
    try:
        with tempfile.NamedTemporaryFile("w", prefix="faultline-", suffix=".log", delete=False) as log:
            log.write(text)
        return log.name
    except OSError:
        return f"the traceback:\n{text}"
