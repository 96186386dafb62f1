"""Which of machine, oracle and live kernel stands alone; over fakes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fake_machine import FakeMachine, Plant, fake_judge, first, healthy, with_record, wrong_read

from faultline.backend.live import Stop
from faultline.backend.live_offer import Offer
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation
from faultline.program.ops import NEED_NAMES
from faultline.program.text import parse_program
from faultline.verdict.judge import Blame
from faultline.verdict.live import LIVE, MACHINE, NOBODY, ORACLE, LiveJudge, LiveMachine, ThreeWay

READS = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =4\np0.0 read a0\np0.0 munmap a0\n")
#: UFFDIO_UNREGISTER of another's range is EINVAL from 6.17 on.
UNREGISTERS = parse_program("""\
p0.0 mmap a0+2 rw
p0.0 uffd-open u0
p0.0 uffd-open u1
m uffd-register u0 a0 missing
m uffd-unregister u1 a0
""")


def wrong_otherwise(ops: Sequence[Operation], trace: bytes):
    """The first load gives yet another byte."""
    index = first(ops, "read", trace)
    assert index is not None
    return with_record(ops, trace, index, value=99), None


class FakeBackend:
    """The oracle for another version as a live backend."""

    def __init__(self, plant: Plant, version: tuple[int, int], stop: Stop | None, lacks: Sequence[str]) -> None:
        self._plant, self.stopped = plant, stop
        self.offer = Offer("fake", version, NEED_NAMES.difference(lacks), dict.fromkeys(lacks, "for a test"), None)

    def run(self, ops: Sequence[Operation], *, snapshots: bool = True) -> bytes:
        trace, _ = self._plant(ops, Oracle(tree_version=self.offer.version, has=self.offer.has).expect(ops).trace)
        if self.stopped is None:
            return trace
        return trace[: len(Oracle().expect(ops[: self.stopped.index]).trace)]


def live_judge(
    plant: Plant = healthy, *, version=(6, 18), known: Sequence[str] = (), stop=None, lacks: Sequence[str] = ("fail",)
) -> LiveJudge:
    return LiveJudge(LiveMachine(FakeBackend(plant, version, stop, lacks)), known=known)  # type: ignore[arg-type]


def three_way(machine: str, live: Plant, **options) -> ThreeWay:
    return ThreeWay(fake_judge(machine), live_judge(live, **options))


@pytest.mark.parametrize(
    ("machine", "live", "alone"),
    [
        ("wrong_read", healthy, MACHINE),
        ("healthy", wrong_read, LIVE),
        ("wrong_read", wrong_read, ORACLE),
        ("wrong_read", wrong_otherwise, NOBODY),
    ],
)
def test_who_stands_alone(machine: str, live: Plant, alone: str) -> None:
    found = three_way(machine, live).compare(READS)
    assert found.finding is not None
    assert (found.finding.alone, found.finding.op, found.finding.signature) == (alone, 2, "wrong-data:read:value")
    assert found.explained == ()
    assert ("; the live kernel: reads 99" in found.finding.happened) == (alone == NOBODY)


def test_three_of_a_mind() -> None:
    found = three_way("healthy", healthy).compare(READS)
    assert (found.finding, found.explained) == (None, ())


def test_the_earlier_one_counts() -> None:
    def wrong_write(ops: Sequence[Operation], trace: bytes):
        return with_record(ops, trace, 1, status=4, value=22), None

    found = three_way("wrong_read", wrong_write).compare(READS)
    assert found.finding is not None
    assert (found.finding.alone, found.finding.op) == (LIVE, 1)


def test_what_the_machine_checks_itself_is_the_machines() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\n")
    found = three_way("bug_in_fork", healthy).compare(ops)
    assert found.finding is not None
    assert (found.finding.alone, found.finding.kind.value) == (MACHINE, "kernel-bug")


def test_a_version_difference_is_named_and_no_finding() -> None:
    judge = three_way("healthy", healthy)
    assert judge.judge(UNREGISTERS).explained == ("unregister-own",)
    assert judge.judge(UNREGISTERS).finding is None
    same = three_way("healthy", healthy, version=FakeMachine.version)
    assert same.judge(UNREGISTERS).explained == ()


def test_what_one_kernel_alone_has_is_named() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 pagemap-scan a0 soft-dirty\n")
    assert three_way("healthy", healthy, lacks=("soft-dirty",)).judge(ops).explained == ("only one has soft-dirty",)


def test_known_findings_are_of_the_one_that_stands_alone() -> None:
    judge = three_way("healthy", wrong_read, known=["wrong-data:read:*"])
    assert judge.judge(READS).blame is Blame.KNOWN
    judge = three_way("wrong_read", healthy, known=["wrong-data:read:*"])
    assert judge.judge(READS).blame is Blame.NEW


def test_only_what_both_have_is_asked_for() -> None:
    assert "fail" not in three_way("healthy", healthy).has


def test_a_program_that_was_stopped_is_judged_as_far_as_it_ran() -> None:
    assert live_judge(stop=Stop(2, "for a test")).judge(READS).finding is None
    finding = live_judge(stop=Stop(2, "it sleeps", stuck=True)).judge(READS).finding
    assert finding is not None
    assert (finding.kind.value, finding.op, finding.operation) == ("hang", 2, "read")
    found = three_way("healthy", healthy, stop=Stop(2, "for a test")).compare(READS)
    assert (found.finding, found.explained) == (None, ())
