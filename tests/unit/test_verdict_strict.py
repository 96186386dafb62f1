"""What is said of differences that user space cannot see."""

from __future__ import annotations

from faultline.program.ops import SLOTS
from faultline.program.text import parse_program
from faultline.program.trace import SHARED, Internal
from faultline.program.traceview import Internals
from faultline.verdict.strict import internal_differences

OPS = parse_program("p0.0 mmap a0+2 rw\np0.0 write a1 =1\np0.0 read a1\n")
PAGE = Internal.PRESENT | Internal.WRITE | Internal.DIRTY | 1 << 16 | 2 << 24
NAMES = ["folio lock", "mmap_lock", "page table lock"]


def block(word=0, *, flushes=0, faults=0, locks=b"", taken=None):
    """An internals block of process 0, with this word for slot 1."""
    words = {0: (0, int(word), *[0] * (SLOTS - 2))}
    return Internals(words, flushes, faults, len(locks) if taken is None else taken, locks)


def differences(base, patched):
    return list(internal_differences(OPS, base, patched, NAMES.__getitem__))


def test_what_is_alike_gives_nothing():
    blocks = [block(), block(PAGE, flushes=1, locks=b"\1\2")]
    assert differences(blocks, list(blocks)) == []


def test_what_matters_most_comes_first_wherever_it_is():
    base = [block(), block(PAGE), block(PAGE | Internal.YOUNG)]
    patched = [block(), block(PAGE, flushes=1), block(PAGE | 1 << 24)]
    found = differences(base, patched)
    assert [finding.signature for finding in found] == [
        "base-difference:read:references",
        "base-difference:read:pte-young",
        "base-difference:write:tlb-flushes",
    ]
    assert found[0].expected == "p0 a1: present write young dirty, mapcount 1, references 2"
    assert found[0].happened == "p0 a1: present write dirty, mapcount 1, references 3"
    assert (found[2].expected, found[2].happened) == ("0 TLB flushes", "1 TLB flush")


def test_each_aspect_is_told_where_it_shows_first():
    found = differences([block(), block(PAGE), block(PAGE)], [block(), block(PAGE ^ 1 << 17), block(PAGE ^ 1 << 17)])
    assert [(finding.aspect, finding.op) for finding in found] == [("mapcount", 1)]


def test_locks_are_named_around_the_first_that_differs():
    same = bytes([1 | SHARED, 2, 2, 2, 2])
    found = differences([block(locks=same + b"\0")], [block(locks=same + b"\1\0")])
    assert [finding.signature for finding in found] == ["base-difference:mmap:locks"]
    assert found[0].expected == "takes 6 locks: ..., page table lock 3 times, folio lock"
    assert found[0].happened == "takes 7 locks: ..., page table lock 3 times, mmap_lock, folio lock"


def test_a_lock_for_reading_is_another_than_one_for_writing():
    found = differences([block(locks=b"\1")], [block(locks=bytes([1 | SHARED]))])
    assert found[0].expected == "takes 1 lock: mmap_lock"
    assert found[0].happened == "takes 1 lock: mmap_lock (shared)"


def test_more_locks_than_are_noted_differ_by_their_number():
    locks = bytes(255)
    found = differences([block(locks=locks, taken=300)], [block(locks=locks, taken=301)])
    assert "takes 300 locks" in found[0].expected
    assert "takes 301 locks" in found[0].happened
