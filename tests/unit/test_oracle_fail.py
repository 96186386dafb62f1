"""Failure injection: what an operation may come to for want of memory, and what not."""

from __future__ import annotations

import errno
import signal

import pytest

from faultline.oracle import Oracle
from faultline.program.text import parse_program
from faultline.program.trace import RECORD, Bit, Status

BEFORE = "p0.0 mmap a0+4 rw\np0.0 write a1 =5\nm fail slab n1\n"


def _failed(done: str, error: int = errno.ENOMEM, aux: int = 0) -> bytes:
    """The trace of BEFORE and an operation, as if it had failed after doing what it does."""
    oracle = Oracle()
    start = len(oracle.expect(parse_program(BEFORE)).trace)
    trace = oracle.expect(parse_program(BEFORE + done)).trace
    index, _, count, _, _ = RECORD.unpack_from(trace, start)
    return trace[:start] + RECORD.pack(index, Status.ERROR, count, error, aux) + trace[start + RECORD.size :]


def _allows(wanted: str, trace: bytes) -> bool:
    expectation = Oracle().expect(parse_program(BEFORE + wanted), trace)
    rule = expectation.rule(3)
    assert rule is not None
    assert (expectation.trace == trace) == (rule.id == "fail-no-memory")
    return expectation.trace == trace


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_range_may_be_half_done_from_its_start(pages: int) -> None:
    assert _allows("p0.0 mprotect a0+4 r", _failed(f"p0.0 mprotect a0+{pages} r"))


def test_or_nothing_is_done() -> None:
    nothing = _failed("p0.0 mprotect a0 rw")
    assert _allows("p0.0 mprotect a0+4 r", nothing)
    assert _allows("p0.0 munmap a0+4", nothing)
    assert _allows("p0.0 mmap a0+4 rw", nothing)
    assert _allows("p0.0 mmap a0+4 rw", _failed("p0.0 munmap a0+4"))


def test_a_range_is_not_done_from_its_middle() -> None:
    assert not _allows("p0.0 mprotect a0+4 r", _failed("p0.0 mprotect a1+2 r"))


def test_no_data_are_lost() -> None:
    assert not _allows("p0.0 mprotect a0+4 r", _failed("p0.0 madvise a1 dontneed"))
    assert not _allows("p0.0 fork p1", _failed("p0.0 madvise a1 dontneed"))


def test_the_errno_must_say_so() -> None:
    assert not _allows("p0.0 mprotect a0+4 r", _failed("p0.0 mprotect a0 r", errno.EINVAL))
    assert not _allows("p0.0 mprotect a0+4 r", _failed("p0.0 mprotect a0 r", errno.EAGAIN))
    assert _allows("p0.0 madvise a1 mergeable", _failed("p0.0 mprotect a0 rw", errno.EAGAIN))


def test_without_a_failure_nothing_may_fail() -> None:
    program = "p0.0 mmap a0 rw\np0.0 mprotect a0 r"
    trace = Oracle().expect(parse_program(program)).trace
    start = len(Oracle().expect(parse_program("p0.0 mmap a0 rw")).trace)
    wrong = bytearray(trace)
    wrong[start : start + RECORD.size] = RECORD.pack(1, Status.ERROR, 0, errno.ENOMEM, 0)
    assert Oracle().expect(parse_program(program), bytes(wrong)).trace == trace


def test_advice_that_fails_may_leave_the_range_mergeable() -> None:
    before = "p0.0 mmap a0+2 rw\np0.0 madvise a0+2 mergeable\nm fail slab n1\n"
    oracle = Oracle()
    start = len(oracle.expect(parse_program(before)).trace)
    trace = bytearray(oracle.expect(parse_program(before + "p0.0 munmap a5")).trace)
    trace[start : start + RECORD.size] = RECORD.pack(3, Status.ERROR, 0, errno.EAGAIN, 0)
    assert int.from_bytes(trace[start + RECORD.size + 4 : start + RECORD.size + 8], "little") & Bit.MERGEABLE
    assert oracle.expect(parse_program(before + "p0.0 madvise a0+2 unmergeable"), bytes(trace)).trace == trace


def _unread(before: str, access: str, status: int, value: int) -> bool:
    """Whether the oracle allows that an access to a page in swap ends so, and the page stays there."""
    start = len(Oracle().expect(parse_program(before)).trace)
    trace = bytearray(Oracle().expect(parse_program(before + "p0.0 munmap a9")).trace)
    trace[start : start + RECORD.size] = RECORD.pack(len(parse_program(before)), status, 0, value, 0)
    return Oracle().expect(parse_program(before + access), bytes(trace)).trace == trace


SWAPPED = "p0.0 mmap a0 rw\np0.0 write a0 =5\nm swap-out p0 a0\n"


@pytest.mark.parametrize("access", ["p0.0 read a0", "p0.0 write a0 =6"])
def test_a_page_that_cannot_be_read_is_a_signal_and_no_other_data(access: str) -> None:
    failing = SWAPPED + "m fail swap-read n1\n"
    assert _unread(failing, access, Status.SIGNAL, signal.SIGBUS)
    assert not _unread(failing, access, Status.SIGNAL, signal.SIGSEGV)
    assert not _unread(failing, access, Status.DONE, 0)
    assert not _unread(SWAPPED + "m fail swap-write n1\n", access, Status.SIGNAL, signal.SIGBUS)
    assert not _unread(SWAPPED, access, Status.SIGNAL, signal.SIGBUS)


def test_swapoff_leaves_what_it_cannot_read_a_signal() -> None:
    for text, allowed in ((SWAPPED + "m fail swap-read n1\n", True), (SWAPPED, False)):
        poisoned = bytearray(Oracle().expect(parse_program(text + "m swapoff sync")).trace)
        at = len(poisoned) - 32 * 4 - 12
        word = int.from_bytes(poisoned[at : at + 4], "little") & ~(Bit.PRESENT | Bit.EXCLUSIVE | 0xFF) | Bit.SWAP
        poisoned[at : at + 4] = word.to_bytes(4, "little")
        poisoned[at + 32 * 4 : at + 32 * 4 + 4] = bytes(4)
        expectation = Oracle().expect(parse_program(text + "m swapoff sync"), bytes(poisoned))
        assert (expectation.trace == poisoned) == allowed
