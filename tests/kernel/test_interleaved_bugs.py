"""Historic bugs that need an interleaving: programs of the corpus show them, and show nothing on the tree without."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from machines import copied_library

from faultline.backend.machine import Machine
from faultline.campaign.benchmark import read_set
from faultline.kinds import FindingKind
from faultline.program.codec import Operation, encode
from faultline.program.schedule import Schedule
from faultline.program.text import read_repro
from faultline.program.traceview import Step, parse_trace
from faultline.verdict.overlap import CPUS

pytestmark = pytest.mark.kernel

CORPORA = Path(__file__).parents[2] / "corpora"
ENTRIES = read_set("bugs")
SCHEDULES, CLEAN_SCHEDULES = 300_000, 5_000


class Case(NamedTuple):
    version: str
    program: str
    """A seed."""
    wrong: tuple[int, int] | None = None
    """If no checker of the machine sees it: an operation, and the value that it has by this bug alone."""


ENOENT = 2
CASES = {
    "bug-02": Case("6.1", "par-wp-discard"),
    "bug-07": Case("6.12", "par-swap-twice", wrong=(8, 1)),
    "bug-08": Case("6.12", "par-swap-slot", wrong=(10, 1)),
    "bug-18": Case("5.10", "par-resolve-write", wrong=(8, 1)),
    "bug-28": Case("6.1", "par-wp-exit", wrong=(6, ENOENT)),
    "bug-35a": Case("6.12", "par-move-page-elsewhere"),
    "bug-35b": Case("6.12", "par-move-swap-entry"),
    "bug-39": Case("5.10", "par-free-merge", wrong=(14, 1)),
    "bug-40": Case("6.12", "par-merge-unmap"),
    "bug-46": Case("6.12", "par-move-truncate"),
    "bug-48": Case("6.12", "par-vma-lock"),
}


def machine_of(name: str, folder: Path, *, patched: bool) -> Machine:
    entry = ENTRIES[name]
    patches = [CORPORA / "bugs" / entry.file] if patched else []
    copy = "patched" if patched else "base"
    tree = f"debian:{CASES[name].version}"
    return Machine(copied_library(folder, copy, *patches, tree=tree, profile=entry.profile), CPUS)


def schedule(seed: int, points: int) -> Schedule:
    if seed % 2:
        return Schedule("pct", seed=seed, parameter=2 + seed // 2 % 4, points=points)
    return Schedule("random", seed=seed, parameter=(4, 32)[seed // 2 % 2])


def steps_of(machine: Machine, ops: list[Operation], wire: bytes, seed: int, points: int) -> list[Step]:
    trace = machine.run_overlapping(wire, schedule(seed, points))
    return parse_trace(bytes(trace), ops, snapshots=True)


def shows(machine: Machine, name: str, steps: list[Step]) -> FindingKind | None:
    """What the last run shows, if that is a finding or the wrong value."""
    if machine.finding is not None:
        return machine.finding.kind
    wrong = CASES[name].wrong
    return ENTRIES[name].expected[0] if wrong and steps[wrong[0]].value == wrong[1] else None


@pytest.mark.parametrize("name", CASES)
def test_a_bug_that_needs_an_interleaving_is_found(name: str, tmp_path: Path) -> None:
    ops = read_repro(CORPORA / "seeds" / f"{CASES[name].program}.prog").ops
    wire = encode(ops)
    base, patched = machine_of(name, tmp_path, patched=False), machine_of(name, tmp_path, patched=True)
    points = 100
    for seed in range(CLEAN_SCHEDULES):
        assert shows(base, name, steps_of(base, ops, wire, seed, points)) is None, (seed, base.finding)
        points = max(20, base.taken.points)
    for seed in range(SCHEDULES):
        if found := shows(patched, name, steps_of(patched, ops, wire, seed, points)):
            break
    assert found in ENTRIES[name].expected
    again = Schedule("replay", decisions=patched.taken.decisions)
    trace = patched.run_overlapping(wire, again)
    assert shows(patched, name, parse_trace(bytes(trace), ops, snapshots=True)) == found
    assert patched.taken.unused == 0


def test_every_bug_that_needs_an_interleaving_has_a_program() -> None:
    assert {name for name, entry in ENTRIES.items() if entry.mode == "I"} == set(CASES)
