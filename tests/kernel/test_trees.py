"""Every supported kernel generation: its machine starts, agrees with the oracle, forgets what it ran, sees planted
faults.  What goes deeper is tested on the default tree alone."""

from __future__ import annotations

import random
import struct
from itertools import islice
from pathlib import Path

import pytest
from machines import sequential
from test_machine import (
    CANARIES,
    CORPORA,
    CORPUS,
    KSM,
    STANDARD,
    agrees,
    check_canary,
    explained,
    oracle_of,
    programs,
    signature,
    unknown,
)

from faultline.backend.machine import OTHER_LOCKS, Machine
from faultline.oracle.rules import DEVIATIONS, KnownDeviation
from faultline.program.codec import Operation, decode, encode, has_blocks
from faultline.program.generate import random_program
from faultline.program.ops import lacking
from faultline.program.text import format_program, parse_program, read_repro
from faultline.program.trace import SHARED, Internal, Met
from faultline.program.traceview import field_of, without_internals
from faultline.verdict.known import Known, is_known, read_known

pytestmark = pytest.mark.kernel

KNOWN = read_known(CORPORA / "known")

#: Planted faults that a tree does not walk into: up to 6.1 no entry is writable when it gets protected.
UNREACHED = {(5, 10): {"uffd-wp-write", "lose-pin", "free-pinned", "spoil-pinned"}, (6, 1): {"uffd-wp-write"}}


@pytest.mark.parametrize("text", [STANDARD, KSM, ""], ids=["standard", "ksm", "empty"])
def test_known_programs_agree_with_the_oracle(any_machine: Machine, text: str) -> None:
    assert agrees(any_machine, parse_program(text))


def test_random_programs_agree_with_the_oracle(any_machine: Machine) -> None:
    oracle, rng = oracle_of(any_machine), random.Random(7)
    for _ in range(3000):
        ops = random_program(rng, has=any_machine.has)
        assert explained(any_machine, oracle, ops), format_program(ops)


def test_a_trace_with_internals_is_the_same_but_for_these(any_machine: Machine) -> None:
    for ops in islice(programs(60), 300):
        plain, blocks = without_internals(any_machine.run(encode(ops), internals=True), ops)
        assert plain == any_machine.run(encode(ops))
        if any_machine.finding is None:
            assert len(blocks) == len(ops)
            again = without_internals(any_machine.run(encode(ops), internals=True), ops)
            assert (plain, blocks) == again, "what ran before must not show"
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\n")
    _, (_, block) = without_internals(any_machine.run(encode(ops), internals=True), ops)
    bits = Internal.PRESENT | Internal.WRITE | Internal.YOUNG | Internal.DIRTY | Internal.SWAP_BACKED
    assert block.words[0][0] & bits == bits
    assert field_of(block.words[0][0], Internal.MAPCOUNT) == 1
    assert block.faults == 1
    assert [any_machine.lock_name(number & ~SHARED) for number in block.locks][-1] == "page table lock"


def costs_of(machine: Machine, ops: list[Operation]) -> list[dict[str, int]]:
    """What each operation of a program cost, and its end."""
    machine.run(encode(ops), costs=True)
    layout = machine.cost_layout()
    record = struct.Struct("<" + "".join(form for _, form in layout))
    names = [name for name, _ in layout]
    return [dict(zip(names, row, strict=True)) for row in record.iter_unpack(machine.costs(len(ops)))]


def test_what_operations_cost(any_machine: Machine) -> None:
    program = "p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 write a0 =2\np0.0 mprotect a0 r\np1.0 read a0\n"
    mmap, fault, access, protect, skipped, end = costs_of(any_machine, parse_program(program))
    assert mmap["mmap_lock"] == 1
    assert mmap["objects"] >= 1
    assert (mmap["faults"], mmap["pages"], mmap["met"]) == (0, 0, Met.NOTHING)
    assert (fault["faults"], fault["pages"], fault["met"]) == (1, 1, Met.MISSING)
    assert fault["tables"] >= 1
    assert fault["page table lock"] >= 1
    assert sum(access.values()) == access["ran"] == 1
    assert (protect["mmap_lock"], protect["tlb_flushes"], protect["tlb_remote"]) == (1, 1, 0)
    assert not any(skipped.values())
    assert end["ran"] == 1
    assert end["tlb_flushes"] >= 1
    assert (end["pages"], end["faults"]) == (0, 0)


def test_cpus_that_a_process_ran_on_are_told_to_flush(any_machine: Machine) -> None:
    both = "p0.0 mmap a0 rw\np0.0 write a0 =1\np0.1 write a0 =2\np0.0 mprotect a0 r\n"
    protect = costs_of(any_machine, parse_program(both))[3]
    assert (protect["tlb_flushes"], protect["tlb_remote"], protect["tlb_full"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("program", "met"),
    [
        ("p0.0 mmap a0 rw\np0.0 read a0\np0.0 write a0 =1\n", Met.WRITE_PROTECTED),
        ("p0.0 mmap a0 rw\np0.0 write a0 =1\nm swap-out p0 a0\np0.0 write a0 =2\n", Met.SWAP_ENTRY),
    ],
)
def test_what_a_fault_meets(any_machine: Machine, program: str, met: Met) -> None:
    ops = parse_program(program)
    assert costs_of(any_machine, ops)[len(ops) - 1]["met"] == met


def test_costs_do_not_depend_on_what_ran_before(any_machine: Machine) -> None:
    def known(ops: list[Operation]) -> list[dict[str, int]]:
        return [{name: n for name, n in row.items() if name != OTHER_LOCKS} for row in costs_of(any_machine, ops)]

    chosen = list(islice(programs(9), 300))
    forward = [known(ops) for ops in chosen]
    assert forward == [known(ops) for ops in reversed(chosen)][::-1]
    assert sum(row["objects"] for rows in forward for row in rows) > 1000


def test_a_reset_machine_has_forgotten_all(any_machine: Machine) -> None:
    chosen = list(islice(programs(11), 40))
    any_machine.reset()
    first = [costs_of(any_machine, ops) for ops in chosen]
    for ops in islice(programs(12), 100):
        any_machine.run(encode(ops))
    any_machine.reset()
    assert [costs_of(any_machine, ops) for ops in chosen] == first, "locks without a name too"


def test_any_bytes_are_a_program(any_machine: Machine) -> None:
    rng = random.Random(8)
    for _ in range(1000):
        wire = rng.randbytes(rng.randrange(200))
        any_machine.run(wire)
        assert unknown(any_machine, decode(wire)) is None, any_machine.finding


def test_a_trace_does_not_depend_on_what_ran_before(any_machine: Machine) -> None:
    wires = [encode(ops) for ops in islice(programs(9), 500)]
    forward = [any_machine.run(wire, internals=True) for wire in wires]
    any_machine.plant("wild-pointer")
    any_machine.run(encode(parse_program(STANDARD)))
    any_machine.plant("none")
    backward = [any_machine.run(wire, internals=True) for wire in reversed(wires)]
    assert forward == backward[::-1]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_seeds_and_regressions_are_clean(any_machine: Machine, path: Path) -> None:
    ops = sequential(path)
    if missing := lacking(ops, any_machine.has):
        pytest.skip(f"the tree lacks {', '.join(sorted(missing))}")
    assert explained(any_machine, oracle_of(any_machine), ops), any_machine.finding


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.id)
def test_a_known_deviation_shows_on_the_trees_that_it_names(any_machine: Machine, deviation: KnownDeviation) -> None:
    ops = parse_program(deviation.evidence)
    trace = any_machine.run(encode(ops))
    expected = oracle_of(any_machine).expect(ops, trace)
    assert expected.trace == trace
    assert (deviation.id in expected.deviations) == deviation.was_seen_on(any_machine.version)


@pytest.mark.parametrize("entry", KNOWN.values(), ids=KNOWN)
def test_a_known_finding_shows_on_the_trees_that_it_names(any_machine: Machine, entry: Known) -> None:
    repro = read_repro(CORPORA / "known" / entry.repro)
    ops = repro.ops
    if repro.header.get("profile", "base") != "base":
        pytest.skip("another profile's")
    if has_blocks(ops):
        pytest.skip("operations that overlap: tests/e2e/test_check.py")
    if missing := lacking(ops, any_machine.has):
        pytest.skip(f"the tree lacks {', '.join(sorted(missing))}")
    any_machine.run(encode(ops), paranoid=True)
    shown = is_known(signature(any_machine, ops) or "", entry.patterns[:1], ops)
    assert shown == ("{}.{}".format(*any_machine.version) in entry.trees)


@pytest.mark.parametrize("canary", sorted(CANARIES.keys() - {"endless-loop"}))  # that one is the watchdog's alone
def test_a_canary_is_found(any_machine: Machine, canary: str) -> None:
    if canary not in any_machine.canaries() or canary in UNREACHED.get(any_machine.version[:2], ()):
        pytest.skip("the tree does not walk into it")
    check_canary(any_machine, canary)
