"""Generated programs: valid, the same for the same seed, about something, and shrinking to little."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st

from faultline.program import generate, model
from faultline.program.codec import Operation, decode, encode, process_of
from faultline.program.generate import GENE_SIZE, HEADER_SIZE, LENGTH_MAX, program_from, programs, random_program
from faultline.program.model import Model
from faultline.program.ops import OPS, OPS_MAX, SLOT_TABLE_EDGE, SLOTS, TASK_MONITOR
from faultline.program.text import format_program, parse_program

Program = list[Operation]


# --- shapes that a campaign must meet ---


def blocks_on_wp(program: Iterable[Operation]) -> bool:
    """A task's write meets a write-protected page."""
    state = Model(0, 1, 0)
    for op in program:
        waiting = set(state.blocked)
        state.apply(op)
        for byte in state.blocked.keys() - waiting:
            handle, slot = state.blocked[byte]
            if slot >= 0 and state.uffds[handle].protected >> slot & 1:
                return True
    return False


def child_writes(program: Iterable[Operation]) -> bool:
    """A process that a fork made writes."""
    children: set[int] = set()
    for op in program:
        if op[0] == model.FORK:
            children.add(op[2])
        elif op[0] == model.WRITE and process_of(op[1]) in children:
            return True
    return False


def forks_while_protected(program: Iterable[Operation]) -> bool:
    state = Model(0, 1, 0)
    for op in program:
        if op[0] == model.FORK and any(u.protected and u.owner == process_of(op[1]) for u in state.uffds.values()):
            return True
        state.apply(op)
    return False


def writes_after_sandwich(program: Iterable[Operation]) -> bool:
    """Write-protected, made read-only by mprotect, resolved, written: one slot."""
    stage = [0] * SLOTS
    for op in program:
        if op[0] == model.WRITE and stage[op[2]] == 3:
            return True
        at = {model.WP: 3, model.RESOLVE: 3, model.MPROTECT: 2}.get(op[0])
        if at:
            step = {model.WP: 1, model.RESOLVE: 3}.get(op[0], 2 if op[4] == model.R else 0)
            for slot in range(op[at], op[at] + op[at + 1]):
                stage[slot] = step if step < 2 or stage[slot] == step - 1 else stage[slot]
    return False


class _Ksm:
    """Contents, KSM nodes and write protection of process 0's slots, as the kernel would have them."""

    def __init__(self) -> None:
        self.handles: set[int] = set()
        self.mapped: set[int] = set()
        self.mergeable: set[int] = set()
        self.registered: set[int] = set()
        self.protected: set[int] = set()
        self.value: dict[int, int] = {}
        self.node: dict[int, int] = {}
        self.alone: set[int] = set()
        """slots resolved while they were the only mapper of a KSM page"""

    def forget(self, slot: int) -> None:
        self.value.pop(slot, None)
        self.node.pop(slot, None)
        self.alone.discard(slot)
        self.protected.discard(slot)

    def shared_again(self, slot: int) -> bool:
        return slot in self.alone and sum(node == self.node[slot] for node in self.node.values()) > 1

    def write(self, slot: int, value: int) -> None:
        if slot in self.mapped - self.protected:
            self.forget(slot)
            self.value[slot] = value

    def resolve(self, slot: int) -> None:
        mates = sum(node == self.node.get(slot) for node in self.node.values())
        if slot in self.protected and mates == 1:
            self.alone.add(slot)
        self.protected.discard(slot)

    def merge(self, slots: Iterable[int]) -> None:
        fresh = [s for s in slots if s in self.mergeable and s in self.value and s not in self.node]
        count = Counter(self.value[s] for s in fresh)
        nodes = set(self.node.values())
        for slot in fresh:
            if count[self.value[slot]] > 1 or self.value[slot] in nodes:
                self.node[slot] = self.value[slot]


def writes_into_stable_node(program: Iterable[Operation]) -> bool:
    """A KSM page with one mapper is resolved, another page joins it, the first is written: a defect of proposal T1."""
    ksm = _Ksm()
    for op in program:
        code = op[0]
        if op[1] != TASK_MONITOR and process_of(op[1]):
            continue
        if code == model.WRITE:
            if ksm.shared_again(op[2]):
                return True
            ksm.write(op[2], op[3])
        elif code in (model.MMAP, model.MUNMAP, model.MADVISE):
            _apply_to_range(ksm, op)
        elif code == model.OPEN:
            ksm.handles.add(op[2])
        elif code in (model.REGISTER, model.WP, model.RESOLVE) and op[2] in ksm.handles:
            slots = range(op[3], op[3] + op[4])
            if code == model.RESOLVE:
                for slot in slots:
                    ksm.resolve(slot)
            elif code == model.WP:
                ksm.protected |= ksm.registered.intersection(slots) & set(ksm.value)
            elif op[5] & model.MODE_WP:
                ksm.registered |= ksm.mapped.intersection(slots)
        elif code == model.SCAN or (code == model.MERGE and op[2] == 0):
            ksm.merge(range(SLOTS) if code == model.SCAN else range(op[3], op[3] + op[4]))
    return False


def _apply_to_range(ksm: _Ksm, op: Operation) -> None:
    slots = range(op[2], op[2] + op[3])
    if op[0] == model.MADVISE and op[4] == model.MERGEABLE:
        ksm.mergeable |= ksm.mapped.intersection(slots)
        return
    if op[0] != model.MADVISE:
        for flags in (ksm.mapped, ksm.mergeable, ksm.registered):
            flags.difference_update(slots)
    if op[0] == model.MMAP and op[4] == model.RW:
        ksm.mapped |= set(slots)
    for slot in slots:
        ksm.forget(slot)


T1A = """\
p0.0 mmap a0+3 rw
p0.0 uffd-open u0
m uffd-register u0 a0+3 wp
p0.0 madvise a0+3 mergeable
p0.0 write a0 =1
p0.0 write a1 =1
m ksm-merge p0 a0+3
p0.0 write a1 =2
m uffd-wp u0 a0
m uffd-resolve u0 a0
p0.0 write a2 =1
m ksm-merge p0 a0+3
p0.0 write a0 =3
"""


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
            if kind.words or kind.count <= 8:
                assert seen[row.code, i] == set(range(kind.lo, kind.lo + kind.count)), (row.name, kind.name)


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
        assert sum(move in other for other in others) > 80, move


# --- Hypothesis ---

SHRINKING = settings(max_examples=20000, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("predicate", "operations_max", "words"),
    [
        (child_writes, 2, {"fork", "write"}),
        (blocks_on_wp, 6, {"mmap", "uffd-open", "uffd-register", "uffd-wp", "write"}),
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
    assert {op[1] for op in example if op[1] != TASK_MONITOR} <= {0, 1, 8, 16}, text
    for op in example:
        for value, kind in zip(op[2:], OPS[op[0]].kinds, strict=True):
            assert value <= kind.lo + 3, text


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
