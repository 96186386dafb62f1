"""Which finding a difference between two traces is."""

from __future__ import annotations

import errno
import signal
import struct
from types import SimpleNamespace

import pytest
from fake_machine import record_at, with_record

from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.ops import SLOTS
from faultline.program.text import parse_program
from faultline.program.trace import COMPLETION, RECORD, Bit, Status, Wait
from faultline.verdict.compare import compare, difference, states_before

#: A write that waits for its resolve, the message of it, a read; then a fork, a merge and an exit.
PROGRAM = """\
p0.0 mmap a0+2 rw
p0.0 write a0 =7
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0
p0.0 write a0 =9
m uffd-read u0 u1
m uffd-resolve u0 a0
p0.0 read a0
m uffd-read u0 u1
p0.0 madvise a0+2 mergeable
p0.0 write a1 =9
m ksm-merge p0 a0+2
p0.0 read a5
p0.0 fork p1
p0.0 mprotect a9 r
"""
OPS = parse_program(PROGRAM)
TRACE = Oracle().expect(OPS).trace
(_, WP, WRITE, MESSAGE, RESOLVE, READ, NO_MESSAGE, _, MERGE_WRITE, MERGE, SEGV, FORK, HOLE) = range(3, 16)


def outcome(index: int, status: Status, value: int = 0, aux: int = 0) -> bytes:
    return with_record(OPS, TRACE, index, status=status, value=value, aux=aux)


def snapshot_at(index: int) -> int:
    """Where the words of the first process begin in the snapshot after an operation."""
    end = record_at(OPS, index + 1)
    processes = 2 if index >= FORK else 1
    return end - processes * (SLOTS * 4 + 12)


def with_word(index: int, slot: int, change: int) -> bytes:
    at = snapshot_at(index) + slot * 4
    word = struct.unpack_from("<I", TRACE, at)[0]
    return TRACE[:at] + struct.pack("<I", word ^ change) + TRACE[at + 4 :]


def with_counter(index: int, number: int, change: int) -> bytes:
    at = snapshot_at(index) + SLOTS * 4 + number * 4
    return TRACE[:at] + struct.pack("<i", struct.unpack_from("<i", TRACE, at)[0] + change) + TRACE[at + 4 :]


def with_sharing(index: int, slot: int, number: int) -> bytes:
    at = record_at(OPS, index) + RECORD.size + slot
    return TRACE[:at] + bytes([number]) + TRACE[at + 1 :]


def without_completion(index: int) -> bytes:
    at = record_at(OPS, index)
    number, status, count, value, aux = RECORD.unpack_from(TRACE, at)
    assert count == 1
    after = at + RECORD.size + COMPLETION.size
    return TRACE[:at] + RECORD.pack(number, status, 0, value, aux) + TRACE[after:]


def with_completion(index: int, op: int) -> bytes:
    at = record_at(OPS, index)
    number, status, count, value, aux = RECORD.unpack_from(TRACE, at)
    assert count == 0
    completion = COMPLETION.pack(op, Status.DONE, 0, 0)
    return TRACE[:at] + RECORD.pack(number, status, 1, value, aux) + completion + TRACE[at + RECORD.size :]


def with_completed_as(index: int, status: Status, value: int) -> bytes:
    at = record_at(OPS, index) + RECORD.size
    op = COMPLETION.unpack_from(TRACE, at)[0]
    return TRACE[:at] + COMPLETION.pack(op, status, value, 0) + TRACE[at + COMPLETION.size :]


@pytest.mark.parametrize(
    ("trace", "signature", "op"),
    [
        (outcome(READ, Status.DONE, 8), "wrong-data:read:value", READ),
        (outcome(WRITE, Status.DONE), "missed-event:write:not-blocked", WRITE),
        (outcome(READ, Status.BLOCKED, Wait.FAULT), "spurious-event:read:blocked", READ),
        (outcome(READ, Status.BLOCKED, Wait.LOCK), "hang:read:lock", READ),
        (outcome(WRITE, Status.BLOCKED, Wait.LOCK), "hang:write:lock", WRITE),
        (outcome(MESSAGE, Status.ERROR, errno.EAGAIN), "missed-event:uffd-read:message", MESSAGE),
        (outcome(MESSAGE, Status.DONE, 0x12), "missed-event:uffd-read:message", MESSAGE),
        (outcome(NO_MESSAGE, Status.DONE, 0x12), "spurious-event:uffd-read:message", NO_MESSAGE),
        (outcome(NO_MESSAGE, Status.ERROR, errno.EINVAL), "wrong-errno:uffd-read:errno", NO_MESSAGE),
        (outcome(SEGV, Status.SIGNAL, signal.SIGBUS), "wrong-signal:read:signal", SEGV),
        (outcome(SEGV, Status.DONE, 0), "wrong-signal:read:signal", SEGV),
        (outcome(READ, Status.SIGNAL, signal.SIGSEGV), "wrong-signal:read:signal", READ),
        (outcome(HOLE, Status.DONE), "wrong-errno:mprotect:errno", HOLE),
        (outcome(WP, Status.ERROR, errno.ENOENT), "wrong-errno:uffd-wp:errno", WP),
        (outcome(READ, Status.SKIPPED, 2), "tool-error:read:skipped", READ),
        (without_completion(RESOLVE), "hang:uffd-resolve:write-not-woken", RESOLVE),
        (with_completion(MESSAGE, WRITE), "missed-event:uffd-read:write-woken", MESSAGE),
        (
            with_completed_as(RESOLVE, Status.SIGNAL, signal.SIGSEGV),
            "wrong-signal:uffd-resolve:write-signal",
            RESOLVE,
        ),
        (with_word(WP, 0, Bit.UFFD_WP), "lost-bit:uffd-wp:uffd-wp", WP),
        (with_word(RESOLVE, 0, Bit.UFFD_WP), "stray-bit:uffd-resolve:uffd-wp", RESOLVE),
        (with_word(WP, 0, Bit.CONTENT), "wrong-data:uffd-wp:content", WP),
        (with_word(WP, 1, Bit.PRESENT), "stray-bit:uffd-wp:present", WP),
        (with_word(WP, 0, Bit.PRESENT | Bit.CONTENT), "wrong-data:uffd-wp:content", WP),
        (with_counter(WP, 0, 1), "counter-drift:uffd-wp:resident-anonymous", WP),
        (with_sharing(MERGE, 3, 0), "stray-bit:ksm-merge:sharing", MERGE),
        (TRACE[: record_at(OPS, READ)], "tool-error:read:trace-cut", READ),
        (TRACE[: record_at(OPS, READ) + 3], "tool-error:read:trace-cut", READ),
    ],
)
def test_each_difference_has_its_kind(trace: bytes, signature: str, op: int) -> None:
    assert trace != TRACE
    finding = compare(OPS, Oracle().expect(OPS), trace)
    assert finding is not None
    assert (finding.signature, finding.op) == (signature, op)
    assert finding.expected != finding.happened


def test_a_page_that_should_be_shared_is_a_lost_bit() -> None:
    expected = SimpleNamespace(trace=with_sharing(MERGE, 1, 0), rules=lambda _: ())
    finding = compare(OPS, expected, TRACE)
    assert finding is not None
    assert finding.signature == "lost-bit:ksm-merge:sharing"
    assert (finding.expected, finding.happened) == (
        "p0 a1 maps the same page as p0 a0",
        "p0 a1 has a page of its own",
    )


def test_equal_traces_have_no_difference() -> None:
    assert compare(OPS, Oracle().expect(OPS), TRACE) is None
    assert difference(OPS, TRACE, TRACE) is None


def test_the_first_difference_counts() -> None:
    trace = with_word(RESOLVE, 0, Bit.UFFD_WP)
    trace = with_record(OPS, trace, READ, status=Status.DONE, value=8)
    finding = compare(OPS, Oracle().expect(OPS), trace)
    assert finding is not None
    assert finding.op == RESOLVE


def test_records_from_where_the_run_ended_do_not_count() -> None:
    trace = outcome(READ, Status.DONE, 8)
    assert compare(OPS, Oracle().expect(OPS), trace, before=READ) is None
    assert compare(OPS, Oracle().expect(OPS), trace, before=READ + 1) is not None
    assert compare(OPS, Oracle().expect(OPS), TRACE[: record_at(OPS, READ)], before=READ) is None


def test_a_finding_tells_the_rule_and_the_state_of_the_slots() -> None:
    finding = compare(OPS, Oracle().expect(OPS), with_word(WP, 0, Bit.UFFD_WP))
    assert finding is not None
    assert all(rule.text and rule.source for rule in finding.because)
    state = next(state for state in finding.slots if (state.process, state.slot) == (0, 0))
    assert state.before is not None
    assert state.expected is not None
    assert state.happened is not None
    assert not state.before & Bit.UFFD_WP
    assert state.expected & Bit.UFFD_WP
    assert not state.happened & Bit.UFFD_WP


def test_a_difference_between_two_trees_is_a_base_difference() -> None:
    finding = difference(OPS, TRACE, with_word(WP, 1, Bit.PRESENT))
    assert finding is not None
    assert finding.kind is FindingKind.BASE_DIFFERENCE
    assert finding.signature == "base-difference:uffd-wp:present"


def test_the_state_before_an_operation_is_that_of_the_slots_it_names() -> None:
    states = states_before(OPS, MERGE_WRITE, TRACE[: record_at(OPS, MERGE_WRITE)])
    assert [(state.process, state.slot) for state in states] == [(0, 1)]
    assert states[0].before is not None
    assert states[0].before & Bit.MERGEABLE
    assert states[0].happened is None
    assert states_before(OPS, 0, b"") == ()


def test_an_operation_without_operands_names_no_slots() -> None:
    ops = parse_program("p0.0 mmap a0 rw\np0.0 fork p1\np1.0 exit\n")
    assert states_before(ops, 2, Oracle().expect(ops).trace) == ()


def test_the_slots_of_both_ranges_are_shown_once_each() -> None:
    ops = parse_program("p0.0 mmap a0+6 rw\np0.0 mremap a0+2 a1+3")
    states = states_before(ops, 1, Oracle().expect(ops).trace)
    assert [state.slot for state in states] == [0, 1, 2, 3]
