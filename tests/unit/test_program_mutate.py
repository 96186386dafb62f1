"""Mutants: valid, near their origin, of every sort, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultline.program import mutate as module
from faultline.program.codec import Operation, decode, encode, overlapping
from faultline.program.generate import programs
from faultline.program.mutate import mutate
from faultline.program.ops import NEED_NAMES, OPS_MAX
from faultline.program.text import format_program, parse_program

BASE = parse_program(
    """
    p0.0 mmap a0+4 rw
    p0.0 write a0 =1
    p0.0 uffd-open u0
    m uffd-register u0 a0+4 wp
    m uffd-wp u0 a0
    p0.0 write a0 =2
    m uffd-resolve u0 a0
    p0.0 fork p1
    p1.0 read a0
    m ksm-scan
    """
)
OTHER = parse_program("p0.3 mmap a16+2 r\np0.3 madvise a16+2 dontneed\np0.3 munmap a17")


@given(programs(), st.lists(programs(), max_size=3), st.integers(0, 2**64))
def test_mutants_are_canonical_and_differ(
    ops: list[Operation], corpus: list[list[Operation]], number: int
) -> None:
    before = list(ops)
    mutant = mutate(random.Random(number), ops, corpus)
    assert ops == before
    assert mutant
    assert mutant != ops
    assert decode(encode(mutant)) == mutant
    assert mutate(random.Random(number), ops, corpus) == mutant


def test_longest_program_stays_within_the_bound() -> None:
    rng = random.Random(1)
    longest = (BASE * OPS_MAX)[:OPS_MAX]
    for _ in range(300):
        assert 1 <= len(mutate(rng, longest, [longest])) <= OPS_MAX


def test_chains_neither_fade_nor_grow_without_end() -> None:
    rng = random.Random(2)
    lengths = []
    for _ in range(50):
        mutant = BASE
        for _ in range(40):
            mutant = mutate(rng, mutant, [BASE, OTHER])
        lengths.append(len(mutant))
    assert 3 < sum(lengths) / len(lengths) < 60


def test_every_mutation_occurs() -> None:
    rng = random.Random(3)
    seen: Counter[str] = Counter()
    lines = format_program(BASE).splitlines()
    for _ in range(3000):
        mutant = format_program(mutate(rng, BASE, [OTHER])).splitlines()
        seen["truncated"] += mutant == lines[: len(mutant)] and len(mutant) < len(lines)
        seen["deleted"] += len(mutant) == len(lines) - 1 and not Counter(mutant) - Counter(lines)
        seen["inserted"] += len(mutant) > len(lines) and [line for line in mutant if line in lines] == lines
        seen["duplicated"] += len(mutant) == len(lines) + 1 and set(mutant) == set(lines)
        seen["swapped"] += mutant != lines and sorted(mutant) == sorted(lines)
        seen["changed"] += len(mutant) == len(lines) and sum(a != b for a, b in zip(mutant, lines, strict=True)) == 1
        seen["spliced"] += any("a16" in line or "a17" in line for line in mutant) and lines[0] in mutant
        seen["other task"] += "p0.2 write a0 =1" in mutant
    assert len(seen) == 8
    assert min(seen.values()) >= 5, seen


@pytest.mark.parametrize("mutation", list(dict.fromkeys(module._MUTATIONS)))
def test_one_operation_can_be_mutated(mutation: module._Mutation) -> None:
    rng = random.Random(4)
    for _ in range(200):
        mutant = mutation(rng, BASE[:1], [OTHER], NEED_NAMES)
        assert decode(encode(mutant)) == mutant


def test_mutants_of_operations_that_overlap_are_canonical() -> None:
    ops = [overlapping(op) for op in BASE]
    for seed in range(300):
        encode(mutate(random.Random(seed), ops, [ops], NEED_NAMES))
