"""What user space reads and steers through /proc, on the machine: scripts of soft-dirty bits, and pagemap itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from faultline.backend.machine import Machine
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.codec import encode
from faultline.program.text import parse_program

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from oracle_cases_dirty import CASES, CHOICES
from oracle_dsl import mismatches, parse

pytestmark = pytest.mark.kernel
SCRIPTS = CASES | CHOICES

#: A page in a table, which pagemap has to tell of.
PAGE = "p0.0 mmap a0+2 rw\np0.0 write a0 =1\np0.0 uffd-open u0\nm uffd-register u0 a0 wp\nm uffd-wp u0 a0"


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_machine_does_what_the_script_says(machine: Machine, name: str) -> None:
    script = parse(SCRIPTS[name])
    trace = machine.run(encode(script.ops), paranoid=True)
    assert machine.finding is None, machine.finding
    assert mismatches(script, trace) == []
    expected = Oracle(tree_version=machine.version, has=machine.has).expect(script.ops, trace)
    assert expected.trace == trace
    assert set(expected.deviations) <= {"marker-reads-as-swapped"}


def test_snapshots_show_soft_dirty_bits_from_the_first_clearing_on(machine: Machine) -> None:
    oracle = Oracle(tree_version=machine.version, has=machine.has)
    cleared = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\np0.0 clear-refs soft-dirty")
    trace = machine.run(encode(cleared))
    assert oracle.expect(cleared, trace).trace == trace
    # another program shows none again
    fresh = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1")
    trace = machine.run(encode(fresh))
    assert oracle.expect(fresh, trace).trace == trace


def test_a_pagemap_that_hides_a_bit_is_found(machine: Machine) -> None:
    machine.run(encode(parse_program(PAGE)), paranoid=True)
    assert machine.finding is None
    machine.plant("pagemap-hides")
    try:
        machine.run(encode(parse_program(PAGE)), paranoid=True)
        finding = machine.finding
    finally:
        machine.plant("none")
    assert finding is not None
    assert finding.kind is FindingKind.LOST_BIT
    assert "pagemap says that p0 a0 is not" in finding.text
