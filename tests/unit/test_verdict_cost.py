"""What a patch costs: counts of the same operations on two machines, added up."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from fake_machine import PLANTS, FakeMachine, judge_maker, locate

from faultline.backend.machine import OTHER_LOCKS
from faultline.program.codec import Operation, decode
from faultline.program.ops import OPS, OPS_MAX
from faultline.program.text import parse_program
from faultline.program.trace import Met
from faultline.report.cost import cost_lines
from faultline.verdict.cost import REGIONS, Change, Cost
from faultline.verdict.judge import Blame, Judge, Side
from faultline.verdict.meter import OTHER_LEAST, OTHER_ONE_IN, Meter, Table

LAYOUT = (
    ("ran", "H"), ("met", "H"), ("tlb_flushes", "I"), ("regions", "I"), (OTHER_LOCKS, "I"), ("mmap_lock (shared)", "I"),
)  # fmt: skip
RECORD = struct.Struct("<HHIIII")
PROGRAM = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 mprotect a0 r\n")
SHORTER = PROGRAM[:1] + PROGRAM[2:]
SKIPPED = (0, 0, 0, 0, 0, 0)


class Fake:
    """A machine whose last program cost what the test says, one row for each operation and one for the end."""

    def __init__(self) -> None:
        self.rows: Sequence[tuple[int, ...]] = ()
        self.weights: Sequence[int] = ()
        self.resets = 0

    def run(self, wire: bytes, *, internals: bool = False, costs: bool = False) -> bytes:
        raise AssertionError("the meter runs nothing")

    def costs(self, ops: int) -> bytes:
        assert len(self.rows) == ops + 1 <= OPS_MAX
        return b"".join(RECORD.pack(*row) for row in self.rows)

    def cost_layout(self) -> tuple[tuple[str, str], ...]:
        return LAYOUT

    def weigh(self, weights: Sequence[int]) -> None:
        self.weights = weights

    def reset(self) -> None:
        self.resets += 1


class Metered(Fake):
    """One that runs programs: each mprotect takes so many flushes."""

    def __init__(self, machine: FakeMachine, flushes: int) -> None:
        super().__init__()
        self._machine, self._flushes = machine, flushes

    def run(self, wire: bytes, *, internals: bool = False, costs: bool = False) -> bytes:
        names = [OPS[op[0]].name for op in decode(wire)]
        self.rows = [row(self._flushes if name == "mprotect" else 0) for name in names] + [row()]
        return self._machine.run(wire)


def judge_of(plant: str) -> Judge:
    """Of a patch that doubles the flushes of mprotect, and may do something else."""
    sides = []
    for name, flushes in ((plant, 2), ("healthy", 1)):
        machine = FakeMachine(PLANTS[name])
        sides.append(Side(machine, locate, metered=Metered(machine, flushes)))
    return Judge(*sides)


def row(
    flushes: int = 0, *, met: Met = Met.NOTHING, regions: int = 0, other: int = 0, read: int = 0
) -> tuple[int, ...]:
    return (1, met, flushes, regions, other, read)


def counted(*programs: tuple[Sequence[Operation], Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]) -> Table:
    """The table of programs, each with its costs without the patch and with it."""
    base, subject = Fake(), Fake()
    meter = Meter(base, subject)
    for index, (ops, before, after) in enumerate(programs):
        base.rows, subject.rows = before, after
        meter.begin(index)
        meter.take(ops)
    return meter.table()


def only(cost: Cost) -> Change:
    (change,) = cost.changes
    return change


def test_programs_that_cost_the_same_change_nothing() -> None:
    rows = [row(read=1), row(met=Met.MISSING), row(2), row()]
    cost = counted((PROGRAM, rows, rows)).cost()
    assert (cost.programs, cost.changes, cost.code) == (1, (), None)
    assert {(total.counter, total.before, total.after) for total in cost.totals} == {
        ("TLB flushes", 2, 2), ("mmap_lock (shared)", 1, 1)
    }  # fmt: skip
    assert cost_lines(cost, verbose=False) == ["cost: the same in 1 program"]


def test_twice_as_many_flushes_are_told_with_the_shortest_program() -> None:
    before, after = [row(), row(met=Met.MISSING), row(1), row()], [row(), row(met=Met.MISSING), row(2), row()]
    none = [row(), row(met=Met.MISSING), row(), row()]
    short = ([row(), row(1), row()], [row(), row(2), row()])
    table = counted((PROGRAM, before, after), (PROGRAM, none, none), (SHORTER, *short), (PROGRAM, before, after))
    change = only(table.cost())
    assert (change.operation, change.counter) == ("mprotect", "TLB flushes")
    assert (change.runs, change.changed, change.before, change.after) == (4, 3, 3, 6)
    assert (change.median_before, change.median_after, change.rate) == (1, 2, 1.0)
    assert (change.program, change.index) == ("p0.0 mmap a0 rw\np0.0 mprotect a0 r\n", 2)
    assert cost_lines(table.cost(), verbose=False) == [
        "cost: 1 operation costs something else in 4 programs",
        "cost of mprotect: TLB flushes 0.75 -> 1.50 (+100 %), in 3 of 4 (there 1 -> 2)",
        "  such as: p0.0 mmap a0 rw; p0.0 mprotect a0 r",
    ]


def test_accesses_are_told_apart_by_what_their_fault_meets_on_the_tree_without_the_patch() -> None:
    def rows(met: Met, read: int) -> list[tuple[int, ...]]:
        return [row(), row(met=met, read=read), row(), row()]

    cost = counted(
        (PROGRAM, rows(Met.MISSING, 1), rows(Met.MISSING, 2)),
        (PROGRAM, rows(Met.UFFD_WP, 1), rows(Met.UFFD_WP, 1)),
        (PROGRAM, rows(Met.NOTHING, 0), rows(Met.MISSING, 3)),
    ).cost()
    assert [(change.operation, change.runs, change.before, change.after) for change in cost.changes] == [
        ("write (no fault)", 1, 0, 3),
        ("write fault (no page)", 1, 1, 2),
    ]
    assert math.isinf(cost.changes[0].rate)
    assert "mmap_lock (shared) 0.00 -> 3.00 (was none), in 1 of 1" in cost_lines(cost, verbose=False)[1]


def test_what_ends_a_program_is_an_operation_and_what_was_skipped_is_none() -> None:
    cost = counted((PROGRAM, [row(), SKIPPED, SKIPPED, row(3)], [row(), SKIPPED, SKIPPED, row(1)])).cost()
    change = only(cost)
    assert (change.operation, change.before, change.after) == ("end", 3, 1)
    assert "(-67 %)" in cost_lines(cost, verbose=False)[1]


def test_code_that_runs_is_told_in_a_line_of_its_own() -> None:
    before, after = [row(regions=100), row(), row(1, regions=50), row()], [row(regions=103), row(), row(1), row()]
    cost = counted((PROGRAM, before, after)).cost()
    assert cost.told == ()
    assert {change.operation for change in cost.changes} == {"mmap", "mprotect"}
    assert cost.code is not None
    assert (cost.code.counter, cost.code.before, cost.code.after) == (REGIONS, 150, 103)
    assert cost_lines(cost, verbose=False) == [
        "cost: the same in 1 program",
        "cost: regions of code that run in the changed files: -31 %; mprotect -100 %, mmap +3.0 %",
    ]


def test_locks_without_a_name_that_seldom_differ_are_left_over_from_other_programs() -> None:
    def runs(changed: int, same: int) -> Cost:
        old, new = [row(other=4), row(), row(), row()], [row(other=5), row(), row(), row()]
        return counted(*[(PROGRAM, old, new)] * changed, *[(PROGRAM, old, old)] * same).cost()

    assert runs(OTHER_LEAST - 1, 0).changes == ()
    assert only(runs(OTHER_LEAST, 0)).counter == OTHER_LOCKS
    assert runs(OTHER_LEAST, OTHER_LEAST * OTHER_ONE_IN).changes == ()


def test_what_came_to_something_else_is_left_out_and_forgotten_by_both_machines() -> None:
    base, subject = Fake(), Fake()
    meter = Meter(base, subject)
    meter.begin(0)
    meter.leave_out()
    assert (base.resets, subject.resets) == (0, 0)
    meter.begin(1)
    meter.begin(2)
    assert (base.resets, subject.resets) == (1, 1)
    meter.part()
    meter.begin(3)
    assert (base.resets, subject.resets) == (2, 2)
    cost = meter.table().cost()
    assert (cost.programs, cost.left_out) == (0, 1)
    assert cost_lines(cost, verbose=False) == [
        "cost: not measured, as no program came to the same with and without the patches"
    ]


def test_tables_of_two_workers_are_one() -> None:
    before, after = [row(), row(), row(1), row()], [row(), row(), row(2), row()]
    one = counted((PROGRAM, before, after), (PROGRAM, before, before))
    other = counted((SHORTER, [row(), row(1), row()], [row(), row(2), row()]))
    whole = Table()
    whole.add(one)
    whole.add(other)
    both = counted(
        (PROGRAM, before, after), (PROGRAM, before, before), (SHORTER, [row(), row(1), row()], [row(), row(2), row()])
    )
    assert whole.cost().changes[0].program == both.cost().changes[0].program
    assert {(c.operation, c.runs, c.before, c.after) for c in whole.cost().changes} == {
        (c.operation, c.runs, c.before, c.after) for c in both.cost().changes
    }
    assert whole.cost().totals == both.cost().totals


def test_whether_a_smaller_program_still_shows_it() -> None:
    base, subject = Fake(), Fake()
    meter = Meter(base, subject)
    base.rows, subject.rows = [row(), row(met=Met.MISSING), row(1), row()], [row(), row(met=Met.MISSING), row(2), row()]
    assert meter.differs(PROGRAM, "mprotect", "TLB flushes", more=True)
    assert not meter.differs(PROGRAM, "mprotect", "TLB flushes", more=False)
    assert not meter.differs(PROGRAM, "mprotect", "mmap_lock (shared)", more=True)
    assert not meter.differs(PROGRAM, "mmap", "TLB flushes", more=True)


def test_many_changes_are_shortened_unless_all_are_asked_for() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 mprotect a0 r\np0.0 munmap a0\np0.0 madvise a0 dontneed\np0.0 fork p1\n")
    cost = counted((ops, [row(1)] * 6, [row(2)] * 6)).cost()
    brief, full = cost_lines(cost, verbose=False), cost_lines(cost, verbose=True)
    assert brief[0] == full[0] == "cost: 6 operations cost something else in 1 program"
    assert brief[-1] == "cost: 2 more operations; -v names them"
    assert len([line for line in full if line.startswith("cost of ")]) == 6


def test_what_changes_much_and_often_comes_first() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 mprotect a0 r\np0.0 munmap a0\n")
    before = [row(10), row(1), row(), row()]
    often, once = [row(10), row(2), row(), row()], [row(30), row(1), row(1), row()]
    table = counted(*[(ops, before, often)] * 9, (ops, before, once))
    assert [change.operation for change in table.cost().changes] == ["munmap", "mprotect", "mmap"]


def test_a_judge_takes_what_comes_to_the_same_on_both_trees() -> None:
    judge = judge_of("healthy")
    meter = judge.meter()
    assert meter is not None
    meter.begin(0)
    assert judge.judge(PROGRAM, meter=meter).finding is None
    judge.judge(PROGRAM)
    cost = meter.table().cost()
    assert (cost.programs, cost.left_out) == (1, 0)
    assert (only(cost).operation, only(cost).before, only(cost).after) == ("mprotect", 1, 2)
    assert judge.costs_otherwise(meter, PROGRAM, "mprotect", "TLB flushes", more=True)
    assert not judge.costs_otherwise(meter, PROGRAM[:2], "mprotect", "TLB flushes", more=True)


def test_what_a_finding_costs_is_not_the_patch_s_cost() -> None:
    judge = judge_of("wrong_read")
    meter = judge.meter()
    assert meter is not None
    meter.begin(0)
    reading = [*PROGRAM, *parse_program("p0.0 read a0\n")]
    verdict = judge.judge(reading, meter=meter)
    assert (verdict.finding is not None, verdict.blame) == (True, Blame.NEW)
    cost = meter.table().cost()
    assert (cost.programs, cost.left_out, cost.changes) == (0, 1, ())
    assert not judge.costs_otherwise(meter, reading, "mprotect", "TLB flushes", more=True)


def test_a_judge_without_a_base_tree_or_counts_has_no_meter() -> None:
    assert judge_maker("healthy")(lambda _: None).meter() is None
    assert judge_maker("healthy", base=["healthy"])(lambda _: None).meter() is None
