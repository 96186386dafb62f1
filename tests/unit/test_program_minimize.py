"""Minimisation, as tables of program text before and after."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from program_shapes import T1A, blocks_on_wp, child_writes, writes_after_sandwich, writes_into_stable_node

from faultline.program import model
from faultline.program.codec import Operation, decode, encode, process_of
from faultline.program.generate import programs, random_program
from faultline.program.minimize import minimize
from faultline.program.ops import BY_NAME, SLOT_TABLE_EDGE, TASK_MONITOR
from faultline.program.text import format_program, parse_program

Program = list[Operation]
Predicate = Callable[[Program], bool]


def in_order(*names: str) -> Predicate:
    """Operations of these names occur in this order."""
    codes = [BY_NAME[name].code for name in names]

    def holds(program: Program) -> bool:
        rest: Iterable[int] = iter([op[0] for op in program])
        return all(code in rest for code in codes)

    return holds


def same_slot_written_twice(program: Program) -> bool:
    written = [op[2] for op in program if op[0] == model.WRITE]
    return len(written) > len(set(written))


def two_values_meet(program: Program) -> bool:
    """A slot is written with two different values, neither of which is 0."""
    seen: dict[int, set[int]] = {}
    for op in program:
        if op[0] == model.WRITE and op[3]:
            seen.setdefault(op[2], set()).add(op[3])
    return any(len(values) > 1 for values in seen.values())


def range_crosses_the_edge(program: Program) -> bool:
    return any(op[0] == model.MMAP and op[2] < SLOT_TABLE_EDGE < op[2] + op[3] for op in program)


def writes_inside_a_mapping(program: Program) -> bool:
    """A write to a mapped slot that is not the mapping's first."""
    inner: set[int] = set()
    for op in program:
        if op[0] == model.MMAP:
            inner |= set(range(op[2] + 1, op[2] + op[3]))
        elif op[0] == model.WRITE and op[2] in inner:
            return True
    return False


def grandchild_exits(program: Program) -> bool:
    parent: dict[int, int] = {}
    for op in program:
        if op[0] == model.FORK:
            parent.setdefault(op[2], process_of(op[1]))
        elif op[0] == model.EXIT and parent.get(process_of(op[1])) in parent:
            return True
    return False


def open_and_close_balance(program: Program) -> bool:
    """A write, and as many opens as closes: each pair must go at once."""
    codes = [op[0] for op in program]
    return model.WRITE in codes and codes.count(model.OPEN) == codes.count(model.CLOSE)


def uses_wp_async(program: Program) -> bool:
    return any(op[0] == model.OPEN and op[3] & model.WP_ASYNC for op in program)


CASES: list[tuple[Predicate, str, str]] = [
    # Everything that is not needed goes: tail, head, middle.
    (in_order("munmap"), "p0.0 mmap a0 rw\np0.0 munmap a0\np0.0 exit", "p0.0 munmap a0"),
    (
        in_order("mmap", "write"),
        "p0.0 mmap a4+3 rw\np0.0 read a4\np0.0 fork p1\np0.0 write a5 =9\np1.0 exit",
        "p0.0 mmap a0 rw\np0.0 write a0 =1",
    ),
    (lambda program: True, "p0.0 mmap a0 rw\np0.0 exit", ""),
    # Slots are renumbered together, or one thing would become two.
    (
        same_slot_written_twice,
        "p0.0 mmap a8+9 rw\np0.0 write a12 =3\np0.0 write a12 =3",
        "p0.0 write a0 =1\np0.0 write a0 =1",
    ),
    (two_values_meet, "p0.0 write a9 =200\np0.0 write a9 =100", "p0.0 write a0 =1\np0.0 write a0 =2"),
    (writes_inside_a_mapping, "p0.0 mmap a5+20 rw\np0.0 write a17 =1", "p0.0 mmap a0+2 rw\np0.0 write a1 =1"),
    # Where the place matters, it stays; the range still loses what it does not need.
    (range_crosses_the_edge, "p0.0 mmap a7+20 none", "p0.0 mmap a15+2 none"),
    # Processes: dense, tasks lowered.
    (
        grandchild_exits,
        "p0.3 fork p7\np7.1 fork p4\np4.0 write a0 =1\np4.2 exit",
        "p0.0 fork p1\np1.0 fork p2\np2.0 exit",
    ),
    (child_writes, "p0.2 fork p5\np5.1 write a31 =255", "p0.0 fork p1\np1.0 write a0 =1"),
    # Flags that do nothing go, one that matters stays.
    (uses_wp_async, "p0.0 uffd-open u6 event-fork,wp-async,sigbus", "p0.0 uffd-open u0 wp-async"),
    (in_order("uffd-register"), "m uffd-register u3 a0+3 missing,wp", "m uffd-register u0 a0 missing"),
    # Pairs go at once.
    (
        open_and_close_balance,
        "p0.0 uffd-open u0\np0.0 write a0 =1\nm uffd-close u0\np0.0 exit",
        "p0.0 write a0 =1",
    ),
    (
        blocks_on_wp,
        """\
        p0.0 mmap a3+8 rw
        p0.0 fork p1
        p0.0 uffd-open u2 event-fork
        m uffd-register u2 a3+8 missing,wp
        m uffd-copy u2 a3+8 =7 wp,dontwake
        p0.0 read a4
        p1.0 exit
        p0.1 write a5 =9
        m uffd-read u2 u3
        m uffd-resolve u2 a3+8
        """,
        """\
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing,wp
        m uffd-copy u0 a0 =1 wp
        p0.0 write a0 =1
        """,
    ),
    (
        writes_after_sandwich,
        """\
        p0.0 mmap a16+4 rw
        m uffd-wp u0 a16+4
        p0.0 mprotect a17+2 r
        p0.0 write a19 =1
        m uffd-resolve u0 a18+2
        p0.0 write a18 =8
        """,
        """\
        m uffd-wp u0 a0
        p0.0 mprotect a0 r
        m uffd-resolve u0 a0
        p0.0 write a0 =1
        """,
    ),
    (
        writes_into_stable_node,
        re.sub(r"a(\d)\b", lambda match: f"a{13 + 2 * int(match[1])}", T1A.replace("+3", "+5")),
        """\
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        p0.0 madvise a0+2 mergeable
        p0.0 write a0 =1
        p0.0 write a1 =1
        m ksm-merge p0 a0+2
        p0.0 write a1 =1
        m uffd-wp u0 a0
        m uffd-resolve u0 a0
        m ksm-merge p0 a1
        p0.0 write a0 =1
        """,
    ),
]


def text_of(text: str) -> str:
    return format_program(parse_program(text))


@pytest.mark.parametrize(("predicate", "before", "after"), CASES, ids=range(len(CASES)))
def test_minimize(predicate: Predicate, before: str, after: str) -> None:
    program = parse_program(before)
    assert predicate(program)
    assert format_program(minimize(program, predicate)) == text_of(after)


def test_long_program_is_minimised_within_the_budget() -> None:
    rng = random.Random(3)
    noise = [op for _ in range(15) for op in random_program(rng)][:100]
    # Noise in one half before, one half after what matters.
    program = noise[:50] + parse_program(T1A.replace("p0.", "p6.").replace(" p0 ", " p6 ")) + noise[50:]

    def wanted(candidate: Program) -> bool:
        own = [op for op in candidate if op[1] == TASK_MONITOR or process_of(op[1]) == 6]
        names = " ".join(format_program(own).split())
        return in_order("mmap", "ksm-merge", "uffd-wp", "uffd-resolve", "write")(own) and "p6" in names

    small = minimize(program, wanted)
    assert wanted(small)
    assert len(small) == 5


@pytest.mark.parametrize("budget", [0, 1, 7, 50])
def test_budget_is_kept_and_the_best_so_far_returned(budget: int) -> None:
    program = parse_program(T1A) * 3
    calls: list[bool] = []

    def counted(candidate: Program) -> bool:
        calls.append(writes_into_stable_node(candidate))
        return calls[-1]

    small = minimize(program, counted, budget=budget)
    assert len(calls) <= budget
    assert writes_into_stable_node(small)
    assert len(small) < len(program) if any(calls) else small == program


def test_no_program_is_tried_twice() -> None:
    tried: set[bytes] = set()

    def once(candidate: Program) -> bool:
        wire = encode(candidate)
        assert wire not in tried
        tried.add(wire)
        return blocks_on_wp(candidate)

    rng = random.Random(7)
    program = next(p for p in iter(lambda: random_program(rng), None) if blocks_on_wp(p))
    minimize(program, once)
    assert len(tried) > 20


def test_predicate_that_refuses_everything_leaves_the_program() -> None:
    program = parse_program(T1A)
    assert minimize(program, lambda candidate: False) == program


@settings(max_examples=40, deadline=None)
@given(programs())
def test_candidates_are_canonical_and_the_result_is_accepted(program: Program) -> None:
    seen: list[Program] = [program]

    def accept_some(candidate: Program) -> bool:
        assert decode(encode(candidate)) == candidate
        answer = sum(encode(candidate)) % 3 != 0
        if answer:
            seen.append(candidate)
        return answer

    result = minimize(program, accept_some, budget=300)
    assert result in seen
    again = minimize(program, lambda candidate: sum(encode(candidate)) % 3 != 0, budget=300)
    assert again == result


def test_both_ranges_of_a_move_get_shorter_together() -> None:
    ops = parse_program("p0.0 mmap a0+6 rw\np0.0 mremap a0+3 a8+3 dontunmap\n")

    def moves(program: Program) -> bool:
        return any(op[0] == model.MREMAP and op[3] == op[5] and op[6] for op in program)

    assert format_program(minimize(ops, moves)) == "p0.0 mremap a0 a0 dontunmap\n"
