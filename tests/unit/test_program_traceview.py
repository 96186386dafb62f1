"""Traces as objects and words; cut and damaged ones too."""

from __future__ import annotations

import errno
import signal
import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultline.oracle.model import Oracle
from faultline.program.ops import PROCESSES, SLOTS
from faultline.program.text import parse_program
from faultline.program.trace import (
    COMPLETION,
    COUNTERS,
    RECORD,
    SNAPSHOT_HEAD,
    VALUE_MIXED,
    Bit,
    Event,
    FaultFlag,
    Skip,
    Status,
    Wait,
)
from faultline.program.traceview import (
    Completion,
    Snapshot,
    Step,
    continued,
    describe_step,
    describe_word,
    parse_trace,
    with_outcome,
)

OPS = parse_program(
    """
    p0.0 mmap a0+2 rw
    p0.0 write a0 =7
    p0.0 fork p1
    m uffd-resolve u0 a0
    m ksm-merge p0 a0+2
    p1.0 exit
    """
)
PAGE = Bit.MAPPED | Bit.READ | Bit.WRITE | Bit.PRESENT


def snapshot(**rows: dict[int, int]) -> bytes:
    """A snapshot from words by slot, by process."""
    processes = sorted(int(name[1:]) for name in rows)
    out = SNAPSHOT_HEAD.pack(sum(1 << p for p in processes))
    for process in processes:
        row = rows[f"p{process}"]
        out += b"".join(row.get(slot, 0).to_bytes(4, "little") for slot in range(SLOTS))
        out += COUNTERS.pack(len(row), 0, process)
    return out


RECORDS = [
    RECORD.pack(0, Status.DONE, 0, 0, 0) + snapshot(p0={}),
    RECORD.pack(1, Status.BLOCKED, 0, Wait.FAULT, 0) + snapshot(p0={0: PAGE | 7}),
    RECORD.pack(2, Status.DONE, 0, 0, 0) + snapshot(p0={0: PAGE | 7}, p1={0: PAGE | 7}),
    RECORD.pack(3, Status.DONE, 1, 0, 0) + COMPLETION.pack(1, Status.DONE, 0, 0) + snapshot(p0={}, p1={}),
    RECORD.pack(4, Status.DONE, 0, 0, 0) + bytes(range(2 * SLOTS)) + snapshot(p0={}, p1={1: PAGE}),
    RECORD.pack(5, Status.DONE, 0, 0, 0) + snapshot(p0={1: PAGE | 255}),
]
TRACE = b"".join(RECORDS)


def test_parse_a_whole_trace() -> None:
    steps = parse_trace(TRACE, OPS, snapshots=True)
    assert [(s.index, s.status) for s in steps] == [
        (i, Status.BLOCKED if i == 1 else Status.DONE) for i in range(len(OPS))
    ]
    assert steps[3].completions == (Completion(1, Status.DONE, 0, 0),)
    assert [s.sharing for s in steps] == [None, None, None, None, bytes(range(2 * SLOTS)), None]
    processes = [list(s.snapshot.words) for s in steps if s.snapshot]
    assert processes == [[0], [0], [0, 1], [0, 1], [0, 1], [0]]
    last = steps[5].snapshot
    assert last is not None
    assert last.words[0][:3] == (0, PAGE | 255, 0)
    assert last.counters == {0: (1, 0, 0)}
    assert steps[4].snapshot is not None
    assert steps[4].snapshot.counters[1] == (1, 0, 1)


def test_parse_without_snapshots() -> None:
    bare = RECORD.pack(0, Status.DONE, 0, 0, 0) + RECORD.pack(1, Status.DONE, 0, -5, 3)
    ops = parse_program("m ksm-scan\np0.0 exit")
    assert parse_trace(bare, ops, snapshots=False) == [
        Step(0, Status.DONE, 0, 0),
        Step(1, Status.DONE, -5, 3),
    ]


def test_every_cut_gives_the_whole_records_before_it() -> None:
    steps = parse_trace(TRACE, OPS, snapshots=True)
    ends = [sum(map(len, RECORDS[:i])) for i in range(len(RECORDS) + 1)]
    for length in range(len(TRACE) + 1):
        whole = sum(length >= end for end in ends[1:])
        assert parse_trace(TRACE[:length], OPS, snapshots=True) == steps[:whole]


def test_what_follows_the_last_operation_is_not_read() -> None:
    assert len(parse_trace(TRACE + b"\xff" * 40, OPS, snapshots=True)) == len(OPS)


@pytest.mark.parametrize(
    "damage",
    [
        RECORD.pack(3, Status.DONE, 0, 0, 0) + snapshot(p0={}),
        RECORD.pack(2, len(Status), 0, 0, 0) + snapshot(p0={}),
        RECORD.pack(2, Status.DONE, 1, 0, 0) + COMPLETION.pack(2, Status.DONE, 0, 0) + snapshot(p0={}),
        RECORD.pack(2, Status.DONE, 1, 0, 0) + COMPLETION.pack(1, 99, 0, 0) + snapshot(p0={}),
        RECORD.pack(2, Status.DONE, 0, 0, 0) + SNAPSHOT_HEAD.pack(1 << PROCESSES) + bytes(1000),
    ],
)
def test_a_record_that_makes_no_sense_ends_the_steps(damage: bytes) -> None:
    trace = b"".join([*RECORDS[:2], damage, *RECORDS[3:]])
    assert parse_trace(trace, OPS, snapshots=True) == parse_trace(TRACE, OPS, snapshots=True)[:2]


@given(st.binary(max_size=300), st.integers(0, len(TRACE)), st.booleans())
def test_any_bytes_are_parsed_as_far_as_they_go(noise: bytes, at: int, snapshots: bool) -> None:
    trace = TRACE[:at] + noise + TRACE[at + len(noise) :]
    for op, step in zip(OPS, parse_trace(trace, OPS, snapshots=snapshots), strict=False):
        assert describe_step(op, step).isprintable()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "not mapped"),
        (Bit.UFFD_WP, "not mapped uffd-wp"),
        (Bit.MAPPED, "=0 none"),
        (Bit.MAPPED | Bit.READ, "=0 r"),
        (PAGE | Bit.EXCLUSIVE | Bit.UFFD_WP | 7, "=7 rw present excl uffd-wp"),
        (PAGE | Bit.MIXED | 7, "=mixed rw present"),
        (Bit.MAPPED | Bit.READ | Bit.SWAP | Bit.REG_WP | Bit.REG_MISSING, "=0 r swap reg-missing reg-wp"),
        (PAGE | Bit.FILE | Bit.SOFT_DIRTY | Bit.MERGEABLE, "=0 rw present file soft-dirty mergeable"),
    ],
)
def test_describe_word(word: int, text: str) -> None:
    assert describe_word(word) == text


def test_words_that_differ_read_differently() -> None:
    base = PAGE | Bit.EXCLUSIVE
    texts = {describe_word(base ^ bit) for bit in Bit} | {describe_word(base), describe_word(base ^ 1)}
    assert len(texts) == len(Bit) + 2


def fault(flags: FaultFlag, slot: int) -> int:
    return Event.PAGEFAULT | flags << 8 | slot << 16


@pytest.mark.parametrize(
    ("op", "outcome", "text"),
    [
        ("p0.0 mmap a0 rw", (Status.DONE, 0, 0), "done"),
        ("p0.0 read a0", (Status.DONE, 7, 0), "reads 7"),
        ("p0.0 read a0", (Status.DONE, VALUE_MIXED, 0), "reads unequal bytes"),
        ("p0.0 read a0", (Status.SIGNAL, signal.SIGBUS, 0), "SIGBUS"),
        ("p0.0 read a0", (Status.SIGNAL, 99, 0), "signal 99"),
        (
            "p0.0 write a0 =1",
            (Status.BLOCKED, Wait.FAULT, 0),
            "blocks on a page fault, until the userfaultfd resolves it",
        ),
        ("p0.0 fork p1", (Status.BLOCKED, Wait.EVENT, 0), "blocks until the monitor reads the event"),
        ("p0.0 fork p1", (Status.BLOCKED, 77, 0), "blocks for reason 77"),
        ("p0.0 fork p1", (Status.SKIPPED, Skip.EXISTS, 0), "skipped: the child lives already, or is being forked"),
        ("p0.0 fork p1", (Status.SKIPPED, 77, 0), "skipped: reason 77"),
        ("p0.0 write a0 =1", (Status.KILLED, 0, 0), "killed"),
        ("m uffd-wp u0 a0", (Status.ERROR, errno.ENOENT, 0), "ENOENT"),
        ("m uffd-wp u0 a0", (Status.ERROR, 9999, 0), "errno 9999"),
        ("m uffd-copy u0 a0+2 =1", (Status.DONE, 0, 2), "done, 2 pages filled"),
        ("m uffd-copy u0 a0+2 =1", (Status.ERROR, errno.EAGAIN, 1), "EAGAIN, 1 page filled"),
        ("m uffd-copy u0 a0 =1", (Status.ERROR, errno.EEXIST, -errno.EEXIST), "EEXIST"),
        ("m uffd-zeropage u0 a0", (Status.ERROR, errno.EEXIST, -errno.ENOENT), "EEXIST, count ENOENT"),
        ("m uffd-zeropage u0 a0", (Status.SKIPPED, Skip.NO_HANDLE, 0), "skipped: the handle is not open"),
        ("m uffd-read u0 u1", (Status.DONE, Event.FORK, 2), "message: fork, the child's userfaultfd is u1"),
        (
            "m uffd-read u0 u1",
            (Status.DONE, fault(FaultFlag.WRITE | FaultFlag.WP, 3), 0),
            "message: page fault, write of a3, write-protected",
        ),
        ("m uffd-read u0 u1", (Status.DONE, fault(FaultFlag(0), 0), 0), "message: page fault, read of a0, missing"),
        ("m uffd-read u0 u1", (Status.DONE, fault(FaultFlag.MINOR, 1), 0), "message: page fault, read of a1, minor"),
        ("m uffd-read u0 u1", (Status.DONE, 0x17, 0), "message: event 0x17"),
        ("m uffd-read u0 u1", (Status.DONE, 0x14 | 2 << 16, 8 | 3 << 8), "message: remap of a2+3 to a8"),
        ("m uffd-read u0 u1", (Status.DONE, 0x15 | 2 << 16, 3), "message: remove of a2+3"),
        ("m uffd-read u0 u1", (Status.DONE, 0x16, 1), "message: unmap of a0+1"),
        ("m uffd-read u0 u1", (Status.ERROR, errno.EAGAIN, 0), "EAGAIN"),
    ],
)
def test_describe_step(op: str, outcome: tuple[Status, int, int], text: str) -> None:
    (operation,) = parse_program(op)
    assert describe_step(operation, Step(0, *outcome)) == text
    assert describe_step(operation, Completion(0, *outcome)) == text


def test_describe_step_tells_which_operations_ended() -> None:
    (op,) = parse_program("m uffd-close u0")
    ended = (Completion(1, Status.DONE, 0, 0), Completion(4, Status.SIGNAL, signal.SIGSEGV, 0))
    assert describe_step(op, Step(7, Status.DONE, 0, 0, ended)) == "done; operation 2 ends; operation 5 ends: SIGSEGV"


def test_a_trace_goes_on_as_that_of_a_longer_program_does() -> None:
    """Also where an operation ends that has another index there."""
    text = "p0.0 mmap a0 rw\np0.0 uffd-open u0\nm uffd-register u0 a0 missing\np0.1 read a0\n"
    rest = "m uffd-copy u0 a0 =7\np0.0 read a0\n"
    ops, longer = parse_program(text + rest), parse_program("p0.0 mmap a4 rw\np0.0 munmap a4\n" + text + rest)
    trace, other = Oracle().expect(ops).trace, Oracle().expect(longer).trace
    assert continued(trace, ops, other, longer, 5, {5: 3}) == trace


def test_a_trace_goes_on_with_what_the_other_one_showed() -> None:
    """After the operation that comes before."""
    ops = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0\n")
    changed = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =2\np0.0 read a0\n")
    trace, other = Oracle().expect(ops).trace, Oracle().expect(changed).trace
    kept = parse_trace(continued(trace, ops, other, changed, 1, {}), ops, snapshots=True)
    taken = parse_trace(continued(trace, ops, other, changed, 1, {}, shown=True), ops, snapshots=True)
    assert kept[1] == parse_trace(trace, ops, snapshots=True)[1]
    assert taken == parse_trace(other, changed, snapshots=True)


def test_a_trace_goes_on_with_the_pages_of_files_that_the_other_one_maps() -> None:
    """From an operation on, as far as its own maps them all along."""
    text = "p0.0 file-open f0 memfd @4\np0.0 mmap-file a0+2 rw f0 @0 shared\np0.0 {} a1\np0.0 read a0\np0.0 read a0\n"
    ops, other_ops = parse_program(text.format("read")), parse_program(text.format("guest-read"))
    trace = Oracle().expect(ops).trace
    steps = parse_trace(trace, ops, snapshots=True)
    assert steps[2].snapshot is not None
    unmapped = replace(steps[3], snapshot=_without_page(steps[3].snapshot, 1))
    other = _traced([*steps[:3], unmapped, steps[4]])
    joined = parse_trace(continued(trace, ops, other, other_ops, 3, {}, shown=True, since=2), ops, snapshots=True)
    assert joined[3].snapshot == unmapped.snapshot
    assert joined[2].snapshot == _without_page(steps[2].snapshot, 1)
    assert joined[:2] == steps[:2]
    late = parse_trace(continued(trace, ops, other, other_ops, 3, {}, shown=True, since=3), ops, snapshots=True)
    assert (late[2], late[3]) == (steps[2], joined[3])


def _without_page(snapshot: Snapshot | None, slot: int) -> Snapshot:
    """The same, but for a page of a file that is not mapped."""
    assert snapshot is not None
    words, (anonymous, file, swap) = list(snapshot.words[0]), snapshot.counters[0]
    assert words[slot] & Bit.FILE
    words[slot] &= ~(Bit.PRESENT | Bit.FILE | Bit.EXCLUSIVE)
    return Snapshot({0: tuple(words)}, {0: (anonymous, file - 1, swap)})


def _traced(steps: Sequence[Step]) -> bytes:
    """The bytes of steps without completions, all of them with a snapshot of process 0."""
    trace = b""
    for step in steps:
        assert step.snapshot is not None
        trace += RECORD.pack(step.index, step.status, 0, step.value, step.aux) + SNAPSHOT_HEAD.pack(1)
        trace += struct.pack(f"<{SLOTS}I", *step.snapshot.words[0]) + COUNTERS.pack(*step.snapshot.counters[0])
    return trace


def test_one_operation_of_a_trace_comes_to_something_else() -> None:
    steps = parse_trace(TRACE, OPS, snapshots=True)
    for step in steps:
        other = replace(step, status=Status.ERROR, value=errno.EAGAIN, aux=1)
        changed = parse_trace(with_outcome(TRACE, OPS, other), OPS, snapshots=True)
        assert changed == [*steps[: step.index], other, *steps[step.index + 1 :]]
