"""The search for all schedules: without its reduction it comes to the same outcomes, and blind to conflicts it does
not."""

from __future__ import annotations

import pytest
from machines import copied_library

from faultline.backend.machine import Machine
from faultline.program.codec import encode
from faultline.program.schedule import ANY_NUMBER, Schedule
from faultline.program.text import parse_program
from faultline.verdict.overlap import CPUS

pytestmark = pytest.mark.kernel

ACCESSES = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
par {
  p0.0 write a0 =2
  p0.0 read a0
  p0.0 write a0 =4
  p0.1 read a0
  p0.1 write a0 =3
  p0.1 read a0
}
"""
FIRST_TOUCH = """
p0.0 mmap a0+2 rw
par {
  p0.0 write a0 =2
  p0.1 write a0 =3
}
"""
DROPPED = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
par {
  p0.0 write a0 =2
  p0.1 madvise a0 dontneed
}
"""
UNMAPPED = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
par {
  p0.0 write a0 =2
  p0.0 read a0
  p0.1 munmap a0
}
"""
PROTECTED = """
p0.0 mmap a0+2 rw
p0.0 uffd-open u0
m uffd-register u0 a0+2 wp
p0.0 write a0 =1
par {
  p0.0 write a0 =2
  m uffd-wp u0 a0
}
"""
EXITS = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 fork p1
par {
  p0.0 write a0 =2
  p1.0 exit
}
"""
PROGRAMS = {
    "accesses": ACCESSES,
    "first-touch": FIRST_TOUCH,
    "dropped": DROPPED,
    "unmapped": UNMAPPED,
    "protected": PROTECTED,
    "exits": EXITS,
}
#: Far more than any of the programs needs.
RUNS_MAX = 20_000
RANDOM_RUNS = 3_000


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(copied_library(tmp_path_factory.mktemp("search"), "search"), CPUS)


def outcomes(machine: Machine, text: str, policy: str, preemptions: int = ANY_NUMBER) -> tuple[set[bytes], int]:
    """The traces of all schedules, and how many these are."""
    wire, found, left, runs = encode(parse_program(text)), set(), False, 0
    while runs == 0 or left:
        found.add(bytes(machine.run_overlapping(wire, Schedule(policy, parameter=preemptions, goes_on=left))))
        assert machine.finding is None
        left, runs = machine.taken.left, runs + 1
        assert not machine.taken.cut
        assert runs < RUNS_MAX
    return found, runs


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_reduction_loses_no_outcome(machine: Machine, name: str) -> None:
    text = PROGRAMS[name]
    reduced, runs = outcomes(machine, text, "search")
    bounded, unreduced_runs = outcomes(machine, text, "every", preemptions=2)
    assert bounded <= reduced
    assert runs < unreduced_runs
    wire = encode(parse_program(text))
    for seed in range(RANDOM_RUNS):
        assert bytes(machine.run_overlapping(wire, Schedule("random", seed=seed, parameter=4))) in reduced


def test_all_orders_of_accesses_are_found(machine: Machine) -> None:
    """Without any bound: each access is one step, and 20 orders of them come to 12 outcomes."""
    reduced, runs = outcomes(machine, ACCESSES, "search")
    every, unreduced_runs = outcomes(machine, ACCESSES, "every")
    assert reduced == every
    assert len(reduced) == 12
    assert runs < 20 < unreduced_runs


def test_without_preemptions_operations_come_whole_in_every_order(machine: Machine) -> None:
    """The second task begins when the first is done, or sleeps: of two operations there are two orders."""
    wire, left, runs = encode(parse_program(FIRST_TOUCH)), False, 0
    while runs == 0 or left:
        machine.run_overlapping(wire, Schedule("every", parameter=0, goes_on=left))
        assert machine.taken.preemptions == 0
        left, runs = machine.taken.left, runs + 1
    assert runs == 2


def test_a_search_that_sees_no_conflicts_misses_outcomes(machine: Machine) -> None:
    whole, _ = outcomes(machine, ACCESSES, "search")
    machine.plant("blind-search")
    try:
        fewer, _ = outcomes(machine, ACCESSES, "search")
    finally:
        machine.plant("none")
    assert fewer < whole


def test_each_schedule_of_a_search_replays(machine: Machine) -> None:
    wire, left, runs = encode(parse_program(FIRST_TOUCH)), False, 0
    while runs == 0 or left:
        trace = bytes(machine.run_overlapping(wire, Schedule("search", goes_on=left)))
        taken, runs = machine.taken, runs + 1
        left = taken.left
        again = bytes(machine.run_overlapping(wire, Schedule("replay", decisions=taken.decisions)))
        assert again == trace
        assert machine.taken.decisions == taken.decisions
        assert machine.taken.unused == 0
    assert runs > 10
