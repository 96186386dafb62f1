"""How fast Faultline is: figures measured here and now, each beside its goal.

Rates are per second of processor time of one core, so that other work on the machine disturbs them little; builds are
measured in elapsed time.
"""

from __future__ import annotations

import difflib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import requirement_missing
from faultline.backend.machine import Machine
from faultline.build import csrc_dir
from faultline.build.profile import profile_names
from faultline.campaign.series import build_ladder
from faultline.campaign.source import Source
from faultline.campaign.subject import DEFAULT_PROFILE, Say, Subject, build_library, prepare
from faultline.campaign.worker import collect_seldom
from faultline.kinds import FaultlineError
from faultline.program.codec import Operation, encode
from faultline.program.schedule import Schedule
from faultline.program.text import parse_program
from faultline.tree import TreeInfo, find_tree
from faultline.tree.cache import cache_dir
from faultline.tree.series import read_series
from faultline.verdict.judge import Judge
from faultline.verdict.overlap import CPUS

#: What the rate of a machine is measured with: a protected page, a fork, a write that waits, and all given back.
STANDARD_PROGRAM: Final = """\
p0.0 mmap a0+4 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0+4 wp
p0.0 fork p1
m uffd-wp u0 a0+4
p0.0 write a0 =2
m uffd-read u0 u1
m uffd-resolve u0 a0+4
p1.0 write a0 =3
p0.0 read a0
p1.0 exit
p0.0 exit
"""
#: Two tasks of one process, that both fault.
TWO_TASKS: Final = """\
p0.0 mmap a0+4 rw
p0.0 uffd-open u0
m uffd-register u0 a0+4 wp
p0.0 write a0 =1
m uffd-wp u0 a0+4
p0.0 madvise a1 dontneed
par {
  m uffd-resolve u0 a0
  p0.1 write a1 =2
}
"""
#: Three operations of each of two tasks, on one page that they share.
SEARCHED: Final = """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 fork p1
par {
  p0.0 write a0 =2
  p0.0 madvise a0 dontneed
  p0.0 read a0
  p1.0 write a0 =3
  p1.0 mprotect a0 r
  p1.0 read a0
}
"""
ROUNDS: Final = 5
#: Processor seconds of one round.
ROUND_SECONDS: Final = 0.4
#: Programs of one round on the running kernel.
LIVE_PROGRAMS: Final = 400
#: Inputs of the two runs of the fuzzer whose difference is measured.
FUZZ_RUNS: Final = (1_000, 21_000)
#: Patches of the series whose steps are built, and the files that they change in turn.
SERIES_PATCHES: Final = 10
SERIES_FILES: Final = ("mm/memory.c", "mm/mprotect.c", "mm/userfaultfd.c", "mm/madvise.c", "mm/rmap.c")
#: Programs after which a worker's memory is measured.
MEMORY_PROGRAMS: Final = 5_000

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """One row: ``value`` in ``unit``, to be at least the goal (``more`` is better) or at most; None: no goal."""

    name: str
    value: float | None
    """None: it could not be measured; ``note`` says why."""
    unit: str
    goal: float | None
    more: bool
    base: float | None = None
    """The same of the default tree's base profile, measured in the same run."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the goal; below 1 the goal is missed."""
        if self.goal is None or self.value is None:
            return None
        return self.value / self.goal if self.more else self.goal / self.value


def speed(kernel: str, jobs: int, say: Say) -> Iterator[Figure]:
    """Measures everything, one figure after the other; what is not installed is left out.

    :raises FaultlineError: no tree, no build.
    """
    tree = find_tree(kernel, say)
    subject = prepare(kernel, (), DEFAULT_PROFILE, check=False, jobs=jobs, say=say)
    say("the machine alone")
    yield Figure("machine alone, standard program", _in_child(_machine_rate, subject), "programs/s", 100_000, True)
    yield from _live_figures(subject, say)
    say("schedules")
    rate = _in_child(_schedule_rate, subject)
    yield Figure("schedules of two tasks, machine alone", rate, "schedules/s", 30_000, True)
    seconds = _in_child(_search_seconds, subject)
    yield Figure("all schedules of two tasks, three operations each", seconds, "s", 60, False)
    say("the machine without scheduling points")
    yield Figure("what scheduling points cost without blocks", _points_cost(subject, jobs, say), "%", 15, False)
    say("machine, snapshots, oracle and comparison")
    yield Figure("with snapshots, oracle, comparison", _in_child(_judge_rate, subject), "programs/s", 10_000, True)
    say("random programs, generated and judged")
    random = _in_child(_campaign_rate, subject)
    yield Figure("random programs, generated and judged", random, "programs/s", None, True)
    for other, profile in _builds(tree):
        yield _build_figure(other, profile, random, jobs, say)
    say("Hypothesis")
    yield Figure("Hypothesis, per worker", _in_child(_hypothesis_rate, subject), "examples/s", 500, True)
    yield Figure("memory of a worker", _in_child(_worker_memory, subject), "MB", 400, False)
    target = csrc_dir().parent / "fuzz/fuzz_program.py"
    if find_spec("atheris") and target.is_file():
        prepare(kernel, (), DEFAULT_PROFILE, check=False, jobs=jobs, say=say, variant="asan")
        say("atheris")
        yield Figure("atheris with ASan and coverage", _fuzz_rate(target, kernel), "inputs/s", 5_000, True)
    with _empty_cache():
        say("a build with an empty cache")
        yield Figure(f"cold build, {jobs} jobs", _build_seconds(tree, (), jobs), "s", 60, False)
        with tempfile.TemporaryDirectory(prefix="faultline-") as folder:
            patch = _one_line_patch(tree, Path(folder))
            say("a build after a patch of one file")
            yield Figure("build for a patch of one file", _build_seconds(tree, (patch,), jobs), "s", 3, False)
            say("the steps of a series")
            seconds = _series_seconds(tree, Path(folder), jobs)
            yield Figure(f"steps of a series of {SERIES_PATCHES}", seconds, "s", 30, False)


# --- the running kernel ---


def _live_figures(subject: Subject, say: Say) -> Iterator[Figure]:
    """The running kernel beside the machine; where it cannot be used, rows that say why."""
    names = "running kernel, standard program", "machine, times the running kernel"
    rates: tuple[float | None, float | None] = None, None
    note = requirement_missing() or ""
    if not note:
        say("the running kernel")
        try:
            rates = _in_child(_live_rates, subject)
        except FaultlineError as error:
            note = str(error)
    for name, rate, unit, goal in zip(names, rates, ("programs/s", "x"), (1_500, 50), strict=True):
        yield Figure(name, rate, unit, goal, True, note=note and f"skipped: {note}")


def _live_rates(subject: Subject) -> tuple[float, float]:
    """Programs per second on the running kernel, and how many times as many the machine runs; the two in turn, on one
    CPU.

    :raises FaultlineError: they do not do the same; (SKIPPED) the running kernel cannot be used.
    """
    ops = parse_program(STANDARD_PROGRAM)
    machine = Machine(subject.library.path)
    one = partial(machine.run, encode(ops), snapshots=False)
    rates, ratios = [], []
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as live:
        if live.run(ops, snapshots=False) != one():
            raise FaultlineError("machine and running kernel differ on the standard program; see 'faultline live'")
        for _ in range(ROUNDS):
            rates.append(_live_round(live, ops))
            ratios.append(_round(one) / rates[-1])
    return statistics.median(rates), statistics.median(ratios)


def _live_round(live: LiveBackend, ops: Sequence[Operation]) -> float:
    """Programs per second of the processor time of all processes: theirs is known once their worker has ended."""
    live.restart()
    start = _processor_seconds()
    for _ in range(LIVE_PROGRAMS):
        live.run(ops, snapshots=False)
    live.restart()
    return LIVE_PROGRAMS / (_processor_seconds() - start)


def _processor_seconds() -> float:
    """Of this process, and of all that it started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


# --- other trees and profiles ---


def _builds(tree: TreeInfo) -> Iterator[tuple[TreeInfo, str]]:
    """Every other profile of the tree, and every profile of the trees that are in the cache."""
    profiles = profile_names(csrc_dir())
    yield from ((tree, profile) for profile in profiles if profile != DEFAULT_PROFILE)
    root = cache_dir() / "trees"
    others = [find_tree(str(path)) for path in root.iterdir()] if root.is_dir() else []
    for other in sorted(others, key=lambda other: (other.major, other.minor), reverse=True):
        if (other.major, other.minor) != (tree.major, tree.minor):
            yield from ((other, profile) for profile in profiles)


def _build_figure(tree: TreeInfo, profile: str, base: float, jobs: int, say: Say) -> Figure:
    """Random programs on one build; a tree that does not build or start is a row too."""
    name = f"random programs, {tree.major}.{tree.minor} {profile}"
    say(name)
    try:
        rate = _in_child(_campaign_rate, prepare(tree.spec, (), profile, check=False, jobs=jobs, say=say))
    except FaultlineError as error:
        return Figure(name, None, "programs/s", None, True, note=str(error))
    except BrokenProcessPool:
        return Figure(name, None, "programs/s", None, True, note="the machine ends its process")
    return Figure(name, rate, "programs/s", None, True, base=base)


# --- what is measured in a process of its own ---


def _in_child(measure: Callable[[Subject], T], subject: Subject) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=collect_seldom) as pool:
        return pool.submit(measure, subject).result()


def _rate(one: Callable[[], object]) -> float:
    """Calls per second of processor time, the median of several rounds."""
    return statistics.median(_round(one) for _ in range(ROUNDS))


def _round(one: Callable[[], object]) -> float:
    """Calls per second of processor time."""
    count, start = 0, time.process_time()
    while (now := time.process_time()) - start < ROUND_SECONDS:
        for _ in range(20):
            one()
        count += 20
    return count / (now - start)


def _machine_rate(subject: Subject) -> float:
    machine = Machine(subject.library.path)
    return _rate(partial(machine.run, encode(parse_program(STANDARD_PROGRAM)), snapshots=False))


def _schedule_rate(subject: Subject) -> float:
    machine, wire = Machine(subject.library.path, CPUS), encode(parse_program(TWO_TASKS))
    seeds = iter(range(1 << 62))
    return _rate(lambda: machine.run_overlapping(wire, Schedule("random", seed=next(seeds), parameter=8)))


def _search_seconds(subject: Subject) -> float:
    """Processor time until every schedule was run that differs from the others."""
    machine, wire = Machine(subject.library.path, CPUS), encode(parse_program(SEARCHED))
    start, left = time.process_time(), False
    while True:
        machine.run_overlapping(wire, Schedule("search", goes_on=left))
        left = machine.taken.left
        if not left:
            return time.process_time() - start


def _points_cost(subject: Subject, jobs: int, say: Say) -> float:
    """How much slower the standard program is, in percent, than on a machine that was built without any points; the
    two in turn, as other work would else be taken for a difference."""
    with _sources_without_points():
        without = replace(
            subject, library=build_library(subject.library.tree, (), DEFAULT_PROFILE, jobs=jobs, say=say)
        )
    ratios = [_in_child(_machine_rate, without) / _in_child(_machine_rate, subject) for _ in range(ROUNDS)]
    return (statistics.median(ratios) - 1) * 100


@contextmanager
def _sources_without_points() -> Iterator[None]:
    """The machine's sources, copied, with FL_NO_POINTS."""
    with tempfile.TemporaryDirectory(prefix="faultline-") as folder:
        copy = shutil.copytree(csrc_dir(), Path(folder) / "csrc")
        header = copy / "arch" / "asm" / "fl_sched.h"
        header.write_text("#define FL_NO_POINTS\n" + header.read_text())
        with _environment("FAULTLINE_CSRC", str(copy)):
            yield


def _judge(subject: Subject) -> Judge:
    return subject.judge_maker()(lambda _: None)


def _judge_rate(subject: Subject) -> float:
    judge, ops = _judge(subject), parse_program(STANDARD_PROGRAM)
    verdict = judge.judge(ops)
    if verdict.finding is not None:
        raise FaultlineError(f"the standard program shows {verdict.finding.signature}; see 'faultline run'")
    return _rate(partial(judge.judge, ops))


def _campaign_rate(subject: Subject) -> float:
    judge = _judge(subject)
    source = Source(1, has=judge.has)
    numbers = iter(range(1 << 62))
    return _rate(lambda: judge.judge(source.program(next(numbers))))


def _hypothesis_rate(subject: Subject) -> float:
    from hypothesis import HealthCheck, Phase, given, seed, settings

    from faultline.program.generate import programs

    judge = _judge(subject)
    count = 500

    @seed(1)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(programs(has=judge.has))
    def examples(ops: list[tuple[int, ...]]) -> None:
        judge.judge(ops)

    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        examples()
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def _worker_memory(subject: Subject) -> float:
    judge = _judge(subject)
    source = Source(1, has=judge.has)
    for index in range(MEMORY_PROGRAMS):
        judge.judge(source.program(index))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- what other programs do ---


def _fuzz_rate(target: Path, kernel: str) -> float:
    """Inputs per second of processor time, start-up taken off."""
    few, many = (_fuzz_seconds(target, kernel, runs) for runs in FUZZ_RUNS)
    return (FUZZ_RUNS[1] - FUZZ_RUNS[0]) / (many - few)


def _fuzz_seconds(target: Path, kernel: str, runs: int) -> float:
    with tempfile.TemporaryDirectory(prefix="faultline-") as folder:
        ours = ["--tree", kernel, "--out", f"{folder}/found", "--keep-going"]
        flags = [f"{folder}/corpus", f"-runs={runs}", "-seed=1"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, str(target), *ours, *flags], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"Done {runs} runs" not in done.stderr:
        raise FaultlineError(f"{target}: does not fuzz: {(done.stderr.splitlines() or ['no output'])[-1]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def _empty_cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="faultline-cache-") as folder, _environment("FAULTLINE_CACHE", folder):
        yield


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _build_seconds(tree: TreeInfo, patches: tuple[Path, ...], jobs: int) -> float:
    return build_library(tree, patches, DEFAULT_PROFILE, jobs=jobs, say=lambda _: None).seconds


def _one_line_patch(tree: TreeInfo, folder: Path) -> Path:
    """A patch that changes one statement's line in the biggest file of the fault path."""
    name = "mm/memory.c"
    first = (tree.path / name).read_text().splitlines()[0]
    patch = folder / "one-line.patch"
    patch.write_text(f"--- a/{name}\n+++ b/{name}\n@@ -1,1 +1,2 @@\n {first}\n+/* one more line */\n")
    return patch


def _series_seconds(tree: TreeInfo, folder: Path, jobs: int) -> float:
    """Seconds for the steps of a series, once the tree without it is there as a check needs it."""
    series = read_series(_series(tree, folder))
    build_library(tree, (), DEFAULT_PROFILE, jobs=jobs, say=lambda _: None, counted=sorted(SERIES_FILES))
    ladder = build_ladder(tree, series, DEFAULT_PROFILE, jobs=jobs, say=lambda _: None)
    failed = next((step.why for step in ladder.steps if step.failure), "")
    if failed:
        raise FaultlineError(failed)
    return ladder.seconds


def _series(tree: TreeInfo, folder: Path) -> list[Path]:
    """Patches each of which adds a statement to a function: before a return that none before it has changed."""
    landmark, patches = "\n\treturn 0;\n", list[Path]()
    texts: dict[str, str] = {}
    for number in range(SERIES_PATCHES):
        name = SERIES_FILES[number % len(SERIES_FILES)]
        before = texts.get(name) or (tree.path / name).read_text()
        parts, at = before.split(landmark), number // len(SERIES_FILES) + 1
        after = landmark.join(parts[:at]) + f"\n\tbarrier();{landmark}" + landmark.join(parts[at:])
        texts[name] = after
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")
        patches.append(folder / f"{number:04}.patch")
        patches[-1].write_text("".join(lines))
    return patches
