"""Checks of locks where operations overlap: each sees its planted fault, and tells of all tasks that take part."""

from __future__ import annotations

import pytest
from machines import TWO_PAGES
from test_machine import OVERLAPPING_CANARIES, locator

from faultline.backend.machine import Machine
from faultline.kinds import FindingKind
from faultline.program.codec import Operation, encode
from faultline.program.schedule import Schedule
from faultline.program.text import parse_program
from faultline.report.text import explain, plain
from faultline.verdict.finding import Finding
from faultline.verdict.judge import machine_finding

pytestmark = pytest.mark.kernel

#: Schedules that are tried.
TRIES = 200

TWO_PROCESSES = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 fork p1
par {
p0.0 read a0
p1.0 read a1
}
"""

#: Memory that one task unmaps while the other looks for it.
UNMAPPED = """
p0.0 mmap a0 rw
p0.0 mmap a2 r
p0.0 write a0 =1
par {
p0.0 munmap a0
p0.1 read a2
}
"""

#: By the canary: programs, the kind that each comes to, and what the finding says.
CASES = [
    ("deadlock", TWO_PAGES, FindingKind.HANG, "waits for a folio lock whose holder waits for it"),
    ("deadlock", TWO_PROCESSES, FindingKind.HANG, "waits for a mmap_lock whose holder waits for it"),
    ("vma-unlocked", TWO_PAGES, FindingKind.LOCK_NOT_HELD, "vm_flags has changed, but nobody held mmap_lock"),
    ("vma-read-locked", TWO_PAGES, FindingKind.LOCK_NOT_HELD, "vm_flags has changed under mmap_lock, but not its vma"),
    ("rcu-early", UNMAPPED, FindingKind.USE_AFTER_FREE, "freed while a task is in a read section"),
]


def found(machine: Machine, ops: list[Operation]) -> Finding | None:
    """The first finding of the program under random schedules."""
    for seed in range(TRIES):
        trace = machine.run_overlapping(encode(ops), Schedule("random", seed=seed, parameter=4))
        if machine.finding:
            return machine_finding(machine.finding, ops, locator(machine.library), trace)
    return None


def test_every_overlapping_canary_has_a_case() -> None:
    assert {canary for canary, *_ in CASES} == OVERLAPPING_CANARIES


@pytest.mark.parametrize(("canary", "text", "kind", "says"), CASES)
def test_an_overlapping_canary_is_found(
    machine: Machine, canary: str, text: str, kind: FindingKind, says: str
) -> None:
    if canary not in machine.canaries():
        pytest.skip("the tree has no per-VMA locks")
    ops = parse_program(text)
    assert found(machine, ops) is None
    machine.plant(canary)
    try:
        finding = found(machine, ops)
    finally:
        machine.plant("none")
    assert finding is not None
    assert finding.kind is kind
    assert says in finding.happened
    assert found(machine, ops) is None


def test_a_deadlock_tells_of_both_tasks(machine: Machine) -> None:
    machine.plant("deadlock")
    try:
        finding = found(machine, parse_program(TWO_PAGES))
    finally:
        machine.plant("none")
    assert finding is not None
    assert [task.name for task in finding.tasks] == ["p0.1"]
    task = finding.tasks[0]
    assert task.waits == "folio lock"
    assert [lock.name for lock in task.locks] == [lock.name for lock in finding.locks] == ["folio lock"]
    assert "folio_wait_bit_common" in {place.function for place in task.frames}
    assert "schedule" in {place.function for place in task.frames}
    report = plain(explain(finding))
    assert "p0.1 at" in report
    assert "waits for: folio lock" in report
    assert "holds: folio lock, taken by" in report


def test_an_order_that_one_program_keeps_is_no_finding_of_another(machine: Machine) -> None:
    first = parse_program("p0.0 mmap a0 rw\np0.0 read a0\n")
    second = parse_program("p0.0 mmap a0 rw\np0.1 read a0\n")
    machine.plant("lock-order-own")
    try:
        for ops in (first, second, first, second):
            machine.run(encode(ops))
            assert machine.finding is None
        for _ in range(3):
            ops = [*first, second[1]]
            trace = machine.run(encode(ops))
            assert machine.finding is not None
            finding = machine_finding(machine.finding, ops, locator(machine.library), trace)
            assert finding.kind is FindingKind.LOCK_ORDER
            assert finding.op == len(ops) - 1
            assert finding.other is not None
            assert [lock.name for lock in finding.locks] == ["mutex"]
    finally:
        machine.plant("none")
