"""Blocks in the text and wire forms, and schedules as text."""

from __future__ import annotations

import random

import pytest

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import alone, blocks, decode, encode, overlaps
from faultline.program.generate import random_program
from faultline.program.minimize import minimize
from faultline.program.overlap import APART, with_block
from faultline.program.schedule import (
    KTHREAD,
    NOBODY,
    Decision,
    Schedule,
    format_schedule,
    number_of,
    parse_schedule,
)
from faultline.program.text import format_program, parse_program
from faultline.verdict.overlap import Schedules

TEXT = """\
p0.0 mmap a0+2 rw
par {
  p0.1 madvise a0 dontneed
  m ksm-merge p0 a0+2
}
p0.0 read a0
par {
  p0.0 write a0 =1
  m swap-out p0 a0
}
"""


def test_blocks_go_through_text_and_wire() -> None:
    ops = parse_program(TEXT)
    assert blocks(ops) == [(1, 3), (4, 6)]
    assert format_program(ops) == TEXT
    assert decode(encode(ops), with_blocks=True) == ops
    assert not any(map(overlaps, decode(encode(ops))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("par {\np0.0 read a0\n", "the block is not ended"),
        ("}\n", "without"),
        ("par {\n}\n", "a block without operations"),
        ("par {\npar {\n", "a block in a block"),
        ("par {\np0.0 read a0\n}\npar {\np0.0 read a0\n}\n", "a block right after another"),
    ],
)
def test_a_block_that_is_wrong_is_one_line(text: str, message: str) -> None:
    with pytest.raises(FaultlineError, match=message) as error:
        parse_program(text)
    assert error.value.status == ExitStatus.USAGE
    assert "\n" not in str(error.value)


def test_a_schedule_goes_through_text() -> None:
    ops = parse_program(TEXT)
    decisions = (Decision(0, NOBODY, KTHREAD, 1), Decision(0, KTHREAD, 1, 12), Decision(1, 0, number_of(ops[5]), 3))
    text = format_schedule(decisions)
    assert text == "-@1>k k@12>p0.1 1:p0.0@3>m"
    assert parse_schedule(text, ops) == decisions
    assert parse_schedule("", ops) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p0.3@1>k", "p0.3 does nothing in or before that block"),
        ("p9.0@1>k", "names no task"),
        ("2:p0.0@1>p0.1", "the program has 2 blocks"),
        ("p0.0@1", "is no decision"),
    ],
)
def test_a_schedule_that_does_not_fit_the_program_is_one_line(text: str, message: str) -> None:
    with pytest.raises(FaultlineError, match=message) as error:
        parse_schedule(text, parse_program(TEXT))
    assert error.value.status == ExitStatus.USAGE


def test_generated_blocks_are_of_two_tasks_and_hold_nothing_that_stands_apart() -> None:
    rng, made = random.Random(5), 0
    for _ in range(300):
        ops = with_block(rng, random_program(rng))
        if ops is None:
            continue
        made += 1
        (start, end), *more = blocks(ops)
        assert not more
        assert len({number_of(op) for op in ops[start:end]}) > 1
        assert not any(op[0] in APART for op in ops[start:end])
        assert decode(encode(ops), with_blocks=True) == ops
    assert made > 150


def test_generated_blocks_cut_no_file_that_may_have_lost_a_page() -> None:
    fails, cut = "m fail {} n1\np0.0 read a0\n", "p0.0 file-truncate f0 @0\np0.1 write a0 =1\n"
    for fault, made in (("swap-read", False), ("page", True)):
        ops = parse_program(fails.format(fault) + cut)
        tried = [with_block(random.Random(seed), ops) for seed in range(40)]
        cuts = {any(overlaps(op) for op in found if op[0] == ops[2][0]) for found in tried if found is not None}
        assert (True in cuts) is made


def test_the_minimiser_keeps_a_block_that_is_needed_and_drops_one_that_is_not() -> None:
    ops = parse_program(TEXT)

    def needs_first_block(fewer: list[tuple[int, ...]]) -> bool:
        return any(overlaps(op) and op[0] == ops[1][0] for op in fewer)

    assert format_program(minimize(ops, needs_first_block)) == "par {\n  p0.0 madvise a0 dontneed\n}\n"
    smallest = minimize(ops, lambda fewer: any(op[0] == ops[1][0] for op in fewer))
    assert smallest == [alone((*ops[1][:1], 0, *ops[1][2:]))]


@pytest.mark.parametrize(
    ("text", "policy", "parameter"),
    [
        ("mix", "mix", None),
        ("random:3", "random", 3),
        ("pct", "pct", None),
        ("exhaustive", "exhaustive", None),
        ("exhaustive:0", "exhaustive", 0),
    ],
)
def test_policies_by_their_words(text: str, policy: str, parameter: int | None) -> None:
    schedules = Schedules.parse(text)
    assert (schedules.policy, schedules.parameter) == (policy, parameter)


def test_no_preemptions_are_a_bound_and_none_given_is_none() -> None:
    bounded, all_of_them = Schedules.parse("exhaustive:0"), Schedules.parse("exhaustive")
    assert next(bounded.of(0)) == Schedule("every", parameter=0)
    assert next(all_of_them.of(0)).policy == "search"


@pytest.mark.parametrize("text", ["", "often", "mix:", "mix:3", "random:0", "pct:0", "pct:", "pct:-1", "exhaustive:x"])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(FaultlineError, match=r"one of mix, random\[:N\], pct\[:DEPTH\], exhaustive\[:PREEMPTIONS\]"):
        Schedules.parse(text)
