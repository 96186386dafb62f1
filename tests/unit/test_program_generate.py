"""Generated programs: valid, the same for the same seed, about something, and shrinking to little."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st
from program_shapes import (
    T1A,
    blocks_on_wp,
    child_writes,
    forks_while_protected,
    writes_after_sandwich,
    writes_into_stable_node,
)

from faultline.program import generate, model
from faultline.program.codec import Operation, decode, encode
from faultline.program.generate import GENE_SIZE, HEADER_SIZE, LENGTH_MAX, program_from, programs, random_program
from faultline.program.ops import NEED_NAMES, OPS, OPS_MAX, SLOT_TABLE_EDGE, TASK_MONITOR, Form, lacking
from faultline.program.text import format_program, parse_program

Program = list[Operation]


def test_shape_detectors_see_the_shape_and_need_each_part_of_it() -> None:
    lines = T1A.splitlines()
    assert writes_into_stable_node(parse_program(T1A))
    for i in range(len(lines)):
        assert not writes_into_stable_node(parse_program("\n".join(lines[:i] + lines[i + 1 :]))), lines[i]


#: Shapes, and in one of how many random programs each occurs at least (measured: 160, 8, 4, 35, 33).
SHAPES: list[tuple[Callable[[Program], bool], int]] = [
    (writes_into_stable_node, 500),
    (blocks_on_wp, 20),
    (child_writes, 10),
    (forks_while_protected, 100),
    (writes_after_sandwich, 100),
]


@pytest.fixture(scope="module")
def sample() -> list[Program]:
    rng = random.Random(2019)
    return [random_program(rng) for _ in range(8000)]


@pytest.mark.parametrize(("shape", "one_in"), SHAPES, ids=[shape.__name__ for shape, _ in SHAPES])
def test_shape_occurs_often_enough(sample: list[Program], shape: Callable[[Program], bool], one_in: int) -> None:
    assert sum(map(shape, sample)) >= len(sample) / one_in


def test_random_programs_are_canonical_and_of_the_length_asked_for(sample: list[Program]) -> None:
    for program in sample[:2000]:
        assert decode(encode(program)) == program
        assert 1 <= len(program) <= LENGTH_MAX
    assert 11 <= sum(map(len, sample)) / len(sample) <= 13
    rng = random.Random(1)
    assert {len(random_program(rng, length_max=3)) for _ in range(200)} == {1, 2, 3}
    assert max(len(random_program(rng, length_max=OPS_MAX)) for _ in range(100)) > 150


def test_every_operation_and_every_operand_value_occurs(sample: list[Program]) -> None:
    seen: dict[tuple[int, int], set[int]] = {}
    for program in sample:
        for op in program:
            for i, value in enumerate(op[2:]):
                seen.setdefault((op[0], i), set()).add(value)
    for row in OPS:
        for i, kind in enumerate(row.kinds):
            if kind.form is Form.FLAGS and kind.count > 16:
                bits = range(len(kind.words))
                assert all(any(value >> bit & 1 for value in seen[row.code, i]) for bit in bits), (row.name, kind.name)
            elif kind.words or kind.count <= 8:
                assert seen[row.code, i] == set(range(kind.lo, kind.lo + kind.count)), (row.name, kind.name)


def test_every_operation_is_a_fair_share(sample: list[Program]) -> None:
    """With a move of its own an operation has more than noise alone gives it."""
    count = Counter(op[0] for program in sample for op in program)
    noise = (256 - generate._NOISE_FROM) / 256 / len(OPS)
    assert {op.name for op in OPS if count[op.code] < 1.2 * noise * count.total()} == set()


def test_ranges_cross_the_table_edge(sample: list[Program]) -> None:
    crossing = [p for p in sample for op in p if op[0] == model.WP and op[3] < SLOT_TABLE_EDGE < op[3] + op[4]]
    assert len(crossing) > len(sample) / 200


@given(st.binary(min_size=HEADER_SIZE, max_size=HEADER_SIZE + 60 * GENE_SIZE))
def test_any_bytes_give_a_canonical_program(data: bytes) -> None:
    program = program_from(data)
    assert len(program) == (len(data) - HEADER_SIZE) // GENE_SIZE
    assert decode(encode(program)) == program


DIGEST = """
import hashlib, random
from faultline.program.codec import encode
from faultline.program.generate import random_program
rng = random.Random("seed/1")
print(hashlib.sha256(b"".join(encode(random_program(rng)) for _ in range(300))).hexdigest())
"""


def test_seed_gives_the_same_programs_in_any_process() -> None:
    rng = random.Random("seed/1")
    before = random.getstate()
    here = hashlib.sha256(b"".join(encode(random_program(rng)) for _ in range(300))).hexdigest()
    assert random.getstate() == before, "the global generator is left alone"
    for hash_seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", DIGEST]
        there = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        assert there == here


def test_mix_of_everything_holds_every_move_and_others_hold_less() -> None:
    everything = set(generate._mix(0))
    assert len(everything) == len(generate._MOVES)
    others = [set(generate._mix(number)) for number in range(1, 200)]
    assert min(map(len, others)) < len(everything) / 3
    for move in everything:
        drawn = 80 if move not in generate._FAMILY else 50 * generate._FAMILY_SHARE
        assert sum(move in other for other in others) > drawn, move


@pytest.mark.parametrize("need", sorted(NEED_NAMES))
def test_no_operation_needs_what_the_kernel_lacks(need: str) -> None:
    has = NEED_NAMES - {need}
    rng = random.Random(1)
    made = [random_program(rng, has=has) for _ in range(3000)]
    assert not any(lacking(ops, has) for ops in made)
    assert len({op[0] for ops in made for op in ops}) == sum(has.issuperset(op.needs) for op in OPS)


# --- Hypothesis ---

SHRINKING = settings(max_examples=20000, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("predicate", "operations_max", "words"),
    [
        (child_writes, 2, {"fork", "write"}),
        (blocks_on_wp, 6, {"uffd-open", "uffd-register", "write"}),
        (writes_into_stable_node, 13, {"ksm-merge", "uffd-wp", "uffd-resolve", "write"}),
    ],
)
def test_examples_shrink_to_few_simple_operations(
    predicate: Callable[[Program], bool], operations_max: int, words: set[str], number: int
) -> None:
    example = find(programs(), predicate, settings=SHRINKING, random=random.Random(number))
    text = format_program(example)
    assert len(example) <= operations_max, text
    assert words <= set(text.split())
    # any task of p0 is as simple as another, once the program needs a second one
    assert {op[1] for op in example if op[1] != TASK_MONITOR} <= {0, 1, 8, 16, 24}, text
    for op in example:
        for value, kind in zip(op[2:], OPS[op[0]].kinds, strict=True):
            assert kind.form is Form.FLAGS or value <= kind.lo + 3, text


def test_examples_are_as_long_as_random_programs() -> None:
    lengths: list[int] = []

    @seed(1)
    @settings(max_examples=500, database=None, deadline=None, phases=[Phase.generate])
    @given(programs())
    def collect(program: Program) -> None:
        assert decode(encode(program)) == program
        lengths.append(len(program))

    collect()
    assert sum(lengths) / len(lengths) >= 10
    assert max(lengths) <= LENGTH_MAX


@given(programs(max_ops=3))
def test_examples_keep_their_bound(program: Program) -> None:
    assert len(program) <= 3
