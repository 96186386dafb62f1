"""The oracle beside traces: what it takes over from a backend, and that it takes over nothing else."""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from oracle_cases import CASES, CHOICES
from oracle_dsl import SMALL_PAGES, parse, records

from faultline.oracle import DEVIATIONS, KnownDeviation, Oracle
from faultline.program.codec import Operation
from faultline.program.generate import random_program
from faultline.program.text import parse_program
from faultline.program.trace import COMPLETION, Bit, Status

_FLIPS = 300


@cache
def _record() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("oracle_traces.json").read_text())
    return data


@cache
def recorded() -> tuple[tuple[int, int], dict[str, tuple[list[Operation], bytes]]]:
    """The kernel's version, and programs with their traces."""
    data = _record()
    major, minor = data["kernel"].split(".")[:2]
    programs = {
        row["name"]: (parse_program(row["program"]), zlib.decompress(base64.b85decode(row["trace"])))
        for row in data["programs"]
    }
    return (int(major), int(minor)), programs


def _oracle() -> Oracle:
    return Oracle(tree_version=recorded()[0], has=_record()["has"])


@pytest.mark.parametrize("name", recorded()[1])
def test_recorded_trace_of_a_live_kernel(name: str) -> None:
    ops, trace = recorded()[1][name]
    assert _oracle().expect(ops, trace).trace == trace


#: The other ones show on older kernels alone: tests/kernel/test_trees.py.
LIVE_DEVIATIONS = [deviation for deviation in DEVIATIONS if "live" in deviation.trees]


@pytest.mark.parametrize("deviation", LIVE_DEVIATIONS, ids=lambda deviation: deviation.id)
def test_a_known_deviation_is_met_only_where_it_shows(deviation: KnownDeviation) -> None:
    ops, trace = recorded()[1][deviation.id]
    oracle = _oracle()
    assert deviation.id in oracle.expect(ops, trace).deviations
    documented = oracle.expect(ops)
    assert documented.deviations == ()
    assert documented.trace != trace


def _flips(trace: bytes, seed: int) -> Iterator[tuple[int, bytes]]:
    rng = random.Random(seed)
    for _ in range(_FLIPS):
        bit = rng.randrange(len(trace) * 8)
        wrong = bytearray(trace)
        wrong[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(wrong)


@pytest.mark.parametrize("name", CASES)
def test_every_wrong_bit_is_noticed(name: str) -> None:
    ops = parse(CASES[name]).ops
    oracle = Oracle(has=SMALL_PAGES)
    for bit, wrong in _flips(oracle.expect(ops).trace, len(name)):
        assert oracle.expect(ops, wrong).trace != wrong, f"bit {bit}"


def test_hardly_any_wrong_bit_is_taken_for_a_choice() -> None:
    flips = missed = 0
    oracle = _oracle()
    for ops, trace in recorded()[1].values():
        for _, wrong in _flips(trace, len(trace)):
            flips += 1
            missed += oracle.expect(ops, wrong).trace == wrong
    assert missed < flips / 1000


def test_no_trace_however_wrong_stops_the_oracle() -> None:
    rng = random.Random(0)
    oracle = _oracle()
    for ops, trace in recorded()[1].values():
        for _ in range(30):
            wrong = bytearray(trace[: rng.randrange(1, len(trace))])
            for _ in range(rng.randrange(20)):
                wrong[rng.randrange(len(wrong))] = rng.randrange(256)
            expectation = oracle.expect(ops, bytes(wrong))
            assert len(expectation.trace) > 0


def test_its_own_expectation_is_allowed() -> None:
    oracle = Oracle(has=SMALL_PAGES)
    for seed in range(300):
        ops = random_program(random.Random(seed), length_max=40)
        for snapshots in (True, False):
            first = oracle.expect(ops, snapshots=snapshots).trace
            again = oracle.expect(ops, first, snapshots=snapshots)
            assert again.trace == first, f"seed {seed}"
            assert again.deviations == (), f"seed {seed}"


def _with_word(trace: bytes, at: int, change: int) -> bytes:
    (word,) = struct.unpack_from("<I", trace, at)
    return trace[:at] + struct.pack("<I", word ^ change) + trace[at + 4 :]


def test_the_zero_page_may_be_in_a_child_or_not() -> None:
    ops = parse("p0.0 mmap a0+2 rw\np0.0 read a0\np0.0 fork p1").ops
    oracle = Oracle(has=SMALL_PAGES)
    documented = oracle.expect(ops).trace
    child = len(documented) - 140
    for allowed in (documented, _with_word(documented, child, Bit.PRESENT)):
        assert oracle.expect(ops, allowed).trace == allowed
    for slot, change in ((0, Bit.PRESENT | Bit.EXCLUSIVE), (0, Bit.UFFD_WP), (1, Bit.PRESENT), (0, Bit.PRESENT | 1)):
        wrong = _with_word(documented, child + slot * 4, change)
        assert oracle.expect(ops, wrong).trace == documented


def test_messages_come_in_any_order() -> None:
    text = """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        p0.0 read a0
        p0.1 write a1 =1
        m uffd-read u0 u1
        m uffd-read u0 u1
    """
    ops = parse(text).ops
    oracle = Oracle(has=SMALL_PAGES)
    trace = oracle.expect(ops).trace
    first, second = (struct.pack("<i", 0x12 | flags << 8 | slot << 16) for flags, slot in ((0, 0), (1, 1)))
    assert first in trace
    swapped = trace.replace(first, b"####").replace(second, first).replace(b"####", second)
    assert swapped != trace
    assert oracle.expect(ops, swapped).trace == swapped
    twice = trace.replace(second, first)
    assert oracle.expect(ops, twice).trace != twice


def test_tasks_woken_together_go_on_in_any_order() -> None:
    ops = parse(CHOICES["who is first"]).ops
    oracle = Oracle(has=SMALL_PAGES)
    trace = oracle.expect(ops).trace
    reader = COMPLETION.pack(5, Status.DONE, 9, 0)
    at = trace.index(COMPLETION.pack(5, Status.DONE, trace[-140], 0)[:4])
    allowed = set()
    for read, content in product((1, 2, 3, 9, 4), repeat=2):
        wrong = bytearray(trace)
        wrong[at : at + len(reader)] = COMPLETION.pack(5, Status.DONE, read, 0)
        wrong[-140] = content
        if oracle.expect(ops, bytes(wrong)).trace == wrong:
            allowed.add((read, content))
    assert allowed == set(product((1, 2, 3, 9), (1, 2, 3)))


def test_the_order_of_woken_tasks_may_show_later() -> None:
    text = """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.1 write a0 =1
        p0.0 pin k1 a0
        m uffd-zeropage u0 a0
        p0.0 fork p1
    """
    ops = parse(text).ops
    oracle = Oracle(has=SMALL_PAGES)
    copied = oracle.expect(ops).trace
    parent, child = (len(copied) - rows * 140 for rows in (2, 1))
    shared = _with_word(_with_word(copied, parent, Bit.EXCLUSIVE), child, Bit.EXCLUSIVE)
    for allowed in (copied, shared):
        assert oracle.expect(ops, allowed).trace == allowed
    for row in (parent, child):
        assert oracle.expect(ops, _with_word(copied, row, Bit.EXCLUSIVE)).trace == copied


def _sharing(groups: dict[int, int], processes: int = 1) -> bytes:
    return bytes(groups.get(slot, slot) for slot in range(32 * processes))


@pytest.mark.parametrize(
    ("groups", "allowed"),
    [
        ({}, True),
        ({1: 0}, True),
        ({4: 0}, True),
        ({1: 0, 4: 0}, True),
        ({2: 0}, False),  # unequal contents
        ({3: 0}, False),  # not mergeable
        ({5: 0}, False),  # the zero page
        ({0: 1}, False),  # not the lowest slot
        ({6: 0}, False),  # no page
    ],
)
def test_what_ksm_may_merge(groups: dict[int, int], allowed: bool) -> None:
    text = """
        p0.0 mmap a0+7 rw
        p0.0 write a0 =7
        p0.0 write a1 =7
        p0.0 write a2 =8
        p0.0 write a3 =7
        p0.0 write a4 =7
        p0.0 read a5
        p0.0 madvise a0+3 mergeable
        p0.0 madvise a4+3 mergeable
        m ksm-scan
    """
    ops = parse(text).ops
    oracle = Oracle(has=SMALL_PAGES)
    documented = oracle.expect(ops).trace
    snapshot = 4 + 140
    trace = bytearray(documented)
    trace[-snapshot - 32 : -snapshot] = _sharing(groups)
    for slot in {*groups, *groups.values()}:
        (word,) = struct.unpack_from("<I", trace, len(trace) - 140 + slot * 4)
        struct.pack_into("<I", trace, len(trace) - 140 + slot * 4, word & ~Bit.EXCLUSIVE)
    assert (oracle.expect(ops, bytes(trace)).trace == trace) == allowed


def test_ksm_does_not_part_slots_without_merging_them() -> None:
    text = """
        p0.0 mmap a0 rw
        p0.0 write a0 =7
        p0.0 madvise a0 mergeable
        p0.0 fork p1
        m ksm-scan
    """
    ops = parse(text).ops
    oracle = Oracle(has=SMALL_PAGES)
    documented = oracle.expect(ops).trace
    assert next(reversed(list(records(ops, documented)))).state("p1 a0 shares") == "p0 a0"
    snapshot = 4 + 2 * 140
    parted = bytearray(documented)
    parted[-snapshot - 64 : -snapshot] = _sharing({}, 2)
    for start in (280, 140):
        (word,) = struct.unpack_from("<I", parted, len(parted) - start)
        struct.pack_into("<I", parted, len(parted) - start, word | Bit.EXCLUSIVE)
    assert oracle.expect(ops, bytes(parted)).trace == documented
