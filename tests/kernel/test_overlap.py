"""Operations that overlap: what they come to is what some order of their steps gives; the thread's lock defect is
found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from machines import TREE, copied_library

from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.oracle.orders import DEVIATIONS_OVERLAPPING
from faultline.oracle.rules import KnownDeviation
from faultline.program.codec import Operation, overlaps
from faultline.program.ops import OPS
from faultline.program.schedule import Schedule, parse_schedule
from faultline.program.text import parse_program, read_repro
from faultline.program.trace import Event, Status
from faultline.program.traceview import Step, parse_trace
from faultline.tree.cache import cache_dir
from faultline.verdict import linear
from faultline.verdict.judge import Judge, open_judge
from faultline.verdict.overlap import Overlap, Schedules
from faultline.verdict.reference import Reference

pytestmark = pytest.mark.kernel

CORPORA = Path(__file__).parents[2] / "corpora"
SEEDS = sorted((CORPORA / "seeds").glob("par-*.prog"))
EXPLAINED = sorted((CORPORA / "regressions").glob("par-*.repro"))
LOCK_MISUSE = {FindingKind.PTE_UNLOCKED_ACCESS, FindingKind.UNLOCK_NOT_OWNER}
DEFECT = CORPORA / "seeds" / "par-resolve-dontneed.prog"
RUNS = 400


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    plain = copied_library(tmp_path_factory.mktemp("plain"), "plain")
    return open_judge(lambda _: None, subject=plain, schedules=Schedules())


@pytest.fixture(scope="module")
def judges(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Judge]:
    """The judge of a tree; a test is skipped if setup could not fetch that."""

    @cache
    def of(tree: str) -> Judge:
        if tree == TREE:
            return judge
        if not (cache_dir() / "trees" / f"linux-{tree.removeprefix('debian:')}").is_dir():
            pytest.skip(f"{tree} was not fetched")
        plain = copied_library(tmp_path_factory.mktemp("other"), "plain", tree=tree)
        return open_judge(lambda _: None, subject=plain, schedules=Schedules())

    return of


def judge_of(name: str, folder: Path) -> Judge:
    patched = copied_library(folder, name, CORPORA / "thread" / f"{name}.cocci")
    return open_judge(lambda _: None, subject=patched, base=copied_library(folder, "base"), schedules=Schedules())


def program(judge: Judge, ops: list[Operation]) -> Overlap:
    return judge.overlap(judge.subject, ops)


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_seeds_are_clean_under_many_schedules(judge: Judge, path: Path) -> None:
    ops = read_repro(path).ops
    assert any(map(overlaps, ops))
    for finding in program(judge, ops).findings(Schedules(runs=RUNS)):
        raise AssertionError(f"{finding.signature}: {finding.happened} ({finding.note}; {finding.schedule})")


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: path.stem)
def test_what_steps_of_operations_come_to_is_explained(judges: Callable[[str], Judge], path: Path) -> None:
    repro = read_repro(path)
    judge = judges(repro.header["kernel"])
    schedule = Schedule("replay", decisions=parse_schedule(repro.header["schedule"], repro.ops))
    overlap = program(judge, repro.ops)
    for finding in (overlap.run(schedule), *overlap.findings(Schedules(runs=100))):
        assert finding is None, f"{finding.signature}: {finding.happened} ({finding.note}; {finding.schedule})"
    assert not overlap.undecided


def test_a_store_that_a_bug_loses_is_found_though_the_tree_is_its_own_reference(tmp_path: Path) -> None:
    """The canary of comparing with the tree's own steps: they show the bug too, but no order does."""
    patched = copied_library(tmp_path, "bug-07", CORPORA / "bugs" / "bug-07.cocci")
    judge = open_judge(lambda _: None, subject=patched, schedules=Schedules())
    findings = program(judge, read_repro(CORPORA / "seeds" / "par-swap-twice.prog").ops).findings(
        Schedules(policy="pct", parameter=3, runs=20_000)
    )
    assert next(findings).kind is FindingKind.WRONG_DATA


def test_orders_that_were_left_out_are_told_instead_of_a_finding(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\npar {\n  p0.0 write a0 =2\n  p0.1 read a0\n}\n")
    monkeypatch.setattr(linear, "ORDERS_MAX", 1)
    monkeypatch.setattr(linear, "coarse", lambda ops, idle: iter(()))
    overlap = program(judge, ops)
    assert not list(overlap.findings(Schedules(runs=60)))
    assert overlap.undecided == {linear.TOO_MANY}


def test_an_order_with_a_finding_of_its_own_is_told_instead_of_what_no_other_gives(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\npar {\n  p0.0 write a0 =2\n  p0.1 read a0\n}\n")
    monkeypatch.setattr(linear, "coarse", lambda ops, idle: iter(()))
    monkeypatch.setattr(
        Reference,
        "sequential",
        lambda self, order: _sequential(self, order) if order.of[-1] == len(ops) - 1 else None,
    )
    overlap = program(judge, ops)
    assert not list(overlap.findings(Schedules(runs=60)))
    assert overlap.undecided == {linear.ENDS_EARLY}


_sequential = Reference.sequential


def test_without_an_order_that_runs_nothing_is_said(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = parse_program("p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =2\n  p0.1 read a0\n}\n")
    monkeypatch.setattr(linear, "orders", lambda ops, idle: iter(()))
    monkeypatch.setattr(linear, "coarse", lambda ops, idle: iter(()))
    overlap = program(judge, ops)
    assert not list(overlap.findings(Schedules(runs=5)))
    assert overlap.undecided == {linear.NO_ORDER}


def test_the_lock_defect_of_the_thread_is_found_and_replays_every_time(tmp_path: Path) -> None:
    judge, ops = judge_of("t1", tmp_path), read_repro(DEFECT).ops
    found = next(one for one in program(judge, ops).findings(Schedules(runs=RUNS)) if one.kind in LOCK_MISUSE)
    simplest = judge.simplest(ops, found)
    assert simplest.signature == found.signature
    decisions = parse_schedule(simplest.schedule, ops)
    assert len(decisions) <= 3
    again = program(judge, ops)
    assert {again.run(Schedule("replay", decisions=decisions)) for _ in range(100)} == {simplest}


def test_a_search_finds_the_lock_defect_of_the_thread(tmp_path: Path) -> None:
    judge, ops = judge_of("t1", tmp_path), read_repro(DEFECT).ops
    assert {one.kind for one in program(judge, ops).findings(Schedules.parse("exhaustive"))} & LOCK_MISUSE


@pytest.mark.parametrize("name", ["t2", "t3plus", "t6"])
def test_the_mended_proposals_have_no_lock_misuse_under_any_schedule(tmp_path: Path, name: str) -> None:
    judge, ops = judge_of(name, tmp_path), read_repro(DEFECT).ops
    overlap = program(judge, ops)
    assert not [one for one in overlap.findings(Schedules(runs=RUNS)) if one.kind in LOCK_MISUSE]
    assert not list(overlap.findings(Schedules.parse("exhaustive")))
    assert not overlap.undecided


def test_a_finding_that_its_schedule_shows_no_more_is_found_near_it(tmp_path: Path) -> None:
    judge, ops = judge_of("t1", tmp_path), read_repro(DEFECT).ops
    found = next(one for one in program(judge, ops).findings(Schedules(runs=RUNS)) if one.kind in LOCK_MISUSE)
    decisions = parse_schedule(judge.simplest(ops, found).schedule, ops)
    moved = tuple(d._replace(passed=d.passed + 3) for d in decisions)
    trial = judge.near(judge.subject, ops, moved, found.signature)
    assert trial is not None
    assert trial.finding is not None
    assert "near it" in trial.finding.note


def test_an_order_that_is_left_out_is_missed(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary of the comparison: with half of what is allowed, what the other half gives is a finding."""
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\npar {\n  p0.0 write a0 =2\n  p0.1 read a0\n}\n")
    schedules = Schedules(runs=60)
    assert not list(program(judge, ops).findings(schedules))
    monkeypatch.setattr(linear, "orders", lambda ops, idle: islice(_orders(ops, idle), 1))
    monkeypatch.setattr(linear, "coarse", lambda ops, idle: iter(()))
    signatures = {finding.signature for finding in program(judge, ops).findings(schedules)}
    assert signatures == {"wrong-data:read:value"}


_orders = linear.orders


def test_messages_are_read_in_any_order_but_only_those_that_are_there(judge: Judge) -> None:
    """The canary of an order that is the oracle's alone."""
    ops = parse_program(
        "p0.0 mmap a0 rw\np0.0 uffd-open u0 event-remap,event-remove\nm uffd-register u0 a0 missing\n"
        "p0.1 mremap a0 a1\np0.0 madvise a1 dontneed\nm uffd-read u0 u1\n"
    )
    order = next(linear.orders(ops, frozenset()))
    reference = Reference(judge.subject.machine, Oracle(), lambda _: None)
    trace = reference.sequential(order)
    assert trace is not None
    assert _told(trace, ops) == ((3,), Event.REMAP)
    for message, expected in ((Event.REMOVE, 4), (Event.UNMAP, None)):
        step = Step(5, Status.DONE, message | 1 << 16, 1)
        other = reference.comes_to(order, trace, step)
        assert (other and _told(other, ops)) == (None if expected is None else ((expected,), message))


def _told(trace: bytes, ops: Sequence[Operation]) -> tuple[tuple[int, ...], int]:
    """What the last operation ended, and the event that it read."""
    last = parse_trace(trace, ops, snapshots=True)[-1]
    return tuple(ended.index for ended in last.completions), last.value & 0xFF


@pytest.mark.parametrize("deviation", DEVIATIONS_OVERLAPPING, ids=lambda deviation: deviation.id)
def test_a_known_deviation_shows_among_all_schedules(
    judges: Callable[[str], Judge], deviation: KnownDeviation
) -> None:
    ops = parse_program(deviation.evidence)
    guards = any(OPS[op[0]].name == "guard-install" for op in ops)  # which the default tree has not
    overlap = program(judges("debian:7.2" if guards else TREE), ops)
    assert not list(overlap.findings(Schedules.parse("exhaustive")))
    assert overlap.deviations == {deviation.id}


def test_the_same_schedule_gives_the_same_trace(judge: Judge) -> None:
    def traces() -> Iterator[bytes]:
        for path in SEEDS:
            overlap = program(judge, read_repro(path).ops)
            for seed in range(20):
                overlap.run(Schedule("random", seed=seed, parameter=8))
                yield overlap.trace

    assert list(traces()) == list(traces())


def test_tasks_that_wait_for_what_nobody_does_are_the_end_of_the_program(judge: Judge) -> None:
    ops = parse_program(
        "p0.0 mmap a0+2 rw\np0.0 uffd-open u0\nm uffd-register u0 a0+2 missing\n"
        "par {\n  p0.0 read a0\n  p0.1 write a1 =1\n}\n"
    )
    assert not list(program(judge, ops).findings(Schedules(runs=60)))
