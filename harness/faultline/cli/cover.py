"""``faultline cover``: which lines, branches and functions of a tree programs reach."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from faultline.campaign.cover import CoverSubject, prepare_cover
from faultline.campaign.files import programs as programs_of
from faultline.campaign.run import Progress, Result, run
from faultline.campaign.source import OVERLAPPING_ONE_IN, seeds, whole_corpus
from faultline.campaign.worker import Plan, Record
from faultline.cli import flags
from faultline.cli.desk import Desk, begin, print_json, warn_of
from faultline.cli.report import put
from faultline.kinds import ExitStatus, FaultlineError
from faultline.report.console import Screen
from faultline.report.cover import Asked, cover_json, lcov, source_lines, table_lines, unreached_lines
from faultline.report.reach import reach_lines
from faultline.verdict.cover import CoveredFile
from faultline.verdict.overlap import Schedules
from faultline.verdict.places import Hint


@click.command("cover", short_help="Which lines of the kernel, and of a patch, programs reach.")
@click.argument("programs", type=flags.path, nargs=-1, metavar="[PROGRAM]...")
@flags.building
@click.option(
    "--time", "seconds", type=click.FloatRange(0, min_open=True), default=None, metavar="SECONDS",
    help="Generated programs too, for so long.  [default: none]",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Which programs are generated.  [default: random]")
@click.option(
    "--file", "files", multiple=True, metavar="PATH",
    help="Only this file of the tree; repeat for more.  [default: what patches change, or all that are built]",
)  # fmt: skip
@click.option(
    "--function", "functions", multiple=True, metavar="NAME", help="The source of this function, with counts; repeat."
)
@click.option("--unreached", is_flag=True, help="What was never reached, with operations that may get there.")
@click.option("--lcov", "tracefile", type=flags.path, metavar="FILE", help="An lcov tracefile, for genhtml or editors.")
@flags.as_json
def cover_command(
    programs: tuple[Path, ...], seconds: float | None, seed: int | None, files: tuple[str, ...],
    functions: tuple[str, ...], unreached: bool, tracefile: Path | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Runs programs (files, or folders of them; without any the seeds and regressions) on a tree and counts which
    lines, branches and functions of the kernel they run, and which changed lines of patches.

    Nothing is judged: 'faultline run' and 'faultline check' do that.
    """
    corpus = tuple(ops for _, ops in programs_of(programs)) if programs else whole_corpus()
    seed = secrets.randbits(32) if seed is None else seed
    desk = begin(as_json or str(tracefile) == "-", seed=seed, **options)
    setting, screen = desk.setting, desk.screen
    with screen.progress():
        kernel, patches = str(desk.series.base or setting.kernel), desk.series.paths
        subject = prepare_cover(kernel, patches, setting.profile, files, jobs=desk.jobs, say=screen.status)
        _check(functions, subject)
    warn_of(subject.library.tree, screen)
    plan = Plan(
        make_judge=subject.judge_maker(Schedules()),
        overlapping=OVERLAPPING_ONE_IN,
        again=seeds(),
        seed=seed,
        jobs=desk.jobs,
        seconds=seconds,
        corpus=corpus,
        corpus_only=seconds is None,
        points=subject.places.points if subject.places else None,
        near=subject.near,
        counted=subject.counted,
    )
    with screen.progress():
        result = run(plan, _Watcher(screen, None if seconds else len(corpus)))
        asked = Asked(functions, desk.verbose or bool(files), unreached)
        _show(desk, subject, result, asked, tracefile, as_json=as_json, generated=seconds is not None)
    if not result.interrupted and not result.programs:
        raise FaultlineError("no program ran: the kernel lacks what each of them needs", ExitStatus.SKIPPED)
    sys.exit(ExitStatus.INTERRUPTED if result.interrupted else ExitStatus.CLEAN)


def _check(functions: Iterable[str], subject: CoverSubject) -> None:
    """:raises FaultlineError: (USAGE) there is no such function in the files that are looked at."""
    for name in functions:
        if name not in subject.map.names:
            near = get_close_matches(name, subject.map.names, 1)
            hint = f"do you mean {near[0]}?" if near else "name its file with --file"
            number = len(subject.map.texts)
            where = next(iter(subject.map.texts)) if number == 1 else f"the {number} files that are looked at"
            raise FaultlineError(f"--function {name}: no such function in {where}; {hint}", ExitStatus.USAGE)


@dataclass(frozen=True)
class _Watcher:
    """Says how far it is."""

    screen: Screen
    total: int | None

    def found(self, record: Record) -> None:
        """A program killed its process."""

    def progress(self, progress: Progress) -> None:
        """A moment has passed."""
        end = f"{progress.left:.0f} s left" if progress.left is not None else f"of {self.total:,}"
        self.screen.status(f"{progress.programs:,} programs, {end}")


def _show(
    desk: Desk, subject: CoverSubject, result: Result, asked: Asked, tracefile: Path | None, *, as_json: bool,
    generated: bool,
) -> None:  # fmt: skip
    screen, tree = desk.screen, subject.library.tree
    files = subject.covered(result.counts.values())
    if asked.functions:
        files = [_only(file, asked.functions) for file in files]
        files = [file for file in files if file.functions or file.dropped]
    hints: Mapping[str, Hint] = {}
    if asked.unreached and not result.interrupted:
        screen.status("measuring which operations reach what")
        hints = subject.hints([one.name for file in files for one in file.functions if one.missed or not one.calls])
    reach = subject.places.reach(result.first, subject.changed_hints) if subject.places else None
    if tracefile is not None:
        put(tracefile, lcov(files, tree.path).encode(), say=screen.status)
    if as_json:
        print_json(cover_json(files, hints, reach, _about(desk, subject, result)))
        return
    _show_files(screen, files, asked, hints, subject.map.texts)
    for line in reach_lines(reach, verbose=desk.verbose) if reach else ():
        screen.say(line)
    _close(desk, subject, result, generated=generated)


def _show_files(
    screen: Screen, files: Sequence[CoveredFile], asked: Asked, hints: Mapping[str, Hint],
    texts: Mapping[str, Sequence[str]],
) -> None:  # fmt: skip
    if asked.unreached:
        screen.show(unreached_lines(files, hints, texts))
    elif asked.functions:
        for file in files:
            for function in file.functions:
                screen.show(source_lines(file, function, texts[file.path]))
            for name in file.dropped:
                screen.say(f"{file.path}: {name}() is not in the library, as nothing calls it")
    else:
        screen.show(table_lines(files, asked))


def _only(file: CoveredFile, functions: Sequence[str]) -> CoveredFile:
    return replace(
        file,
        functions=tuple(function for function in file.functions if function.name in functions),
        dropped=tuple(name for name in file.dropped if name in functions),
    )


def _about(desk: Desk, subject: CoverSubject, result: Result) -> dict[str, Any]:
    return {
        "tree": subject.library.tree.id,
        "version": subject.library.tree.version,
        "profile": desk.setting.profile,
        "patches": [str(patch.path) for patch in desk.setting.patches],
        "range": desk.setting.range,
        "seed": result.seed,
        "programs": result.programs,
        "seconds": round(result.seconds, 3),
        "interrupted": result.interrupted,
        "deaths": result.deaths,
    }


def _close(desk: Desk, subject: CoverSubject, result: Result, *, generated: bool) -> None:
    tree = subject.library.tree
    early = ", interrupted" if result.interrupted else ""
    seed = f", seed {result.seed}" if generated else ""
    programs = f"{result.programs:,} program{'' if result.programs == 1 else 's'}"
    desk.screen.say(f"{programs} in {result.seconds:.1f} s on {tree.version}{seed}{early}")
    if result.deaths:
        desk.screen.warn(
            f"{result.deaths} programs killed their process, and what these ran last is not counted; "
            "'faultline run' finds and minimises them"
        )
