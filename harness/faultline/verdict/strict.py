"""What two trees do differently where user space cannot see it: page table entries, references, flushes, locks.

A program gives the difference that matters most, wherever in it that shows first.  It is no fault by itself: an author
says in the patch which ones are meant to be (:mod:`faultline.verdict.harmless`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from faultline.kinds import FindingKind
from faultline.program.codec import Operation
from faultline.program.ops import OPS
from faultline.program.trace import NOTES_MAX, SHARED, Internal
from faultline.program.traceview import Internals, describe_internals
from faultline.verdict.finding import Because, Finding

#: What may differ in a slot, the most important first, with the aspect of a finding.
_FIELDS: Final = (
    (Internal.MAPCOUNT, "mapcount"),
    (Internal.ANON_EXCLUSIVE, "anon-exclusive"),
    (Internal.PRESENT, "pte-present"),
    (Internal.WRITE, "pte-write"),
    (Internal.UFFD_WP, "pte-uffd-wp"),
    (Internal.DIRTY, "pte-dirty"),
    (Internal.PAGE_DIRTY, "page-dirty"),
    (Internal.SWAP_BACKED, "page-swap-backed"),
    (Internal.SWAP_CACHE, "page-swap-cache"),
    (Internal.KSM, "page-ksm"),
    (Internal.PROT_NONE, "pte-prot-none"),
    (Internal.SPECIAL, "pte-special"),
    (Internal.SOFT_DIRTY, "pte-soft-dirty"),
    (Internal.REFERENCES, "references"),
    (Internal.YOUNG, "pte-young"),
    (Internal.PAGE_REFERENCED, "page-referenced"),
)
assert sum(mask for mask, _ in _FIELDS) == sum(flag.value for flag in Internal.__members__.values())
#: What may differ in what an operation did, after that.
FLUSHES, FAULTS, LOCKS = "tlb-flushes", "page-faults", "locks"
#: Locks that a line names around the first that differs.
_LOCKS_BEFORE: Final = 3
_LOCKS_SHOWN: Final = 8
_BECAUSE: Final = Because("A refactor changes nothing inside either (--strict); the unpatched tree did the other.", "")


def internal_differences(
    ops: Sequence[Operation],
    base: Sequence[Internals],
    patched: Sequence[Internals],
    lock_name: Callable[[int], str],
) -> Iterator[Finding]:
    """What differs inside, the most important first; of each aspect where it shows first.

    :param lock_name: the name for a number in :attr:`~faultline.program.traceview.Internals.locks`.
    """
    pairs = [(i, old, new) for i, (old, new) in enumerate(zip(base, patched, strict=False)) if old != new]
    slots = [
        (i, f"p{process} a{slot}", words[slot], new.words[process][slot])
        for i, old, new in pairs
        for process, words in old.words.items()
        for slot in range(len(words))
        if words[slot] != new.words[process][slot]
    ]
    for mask, aspect in _FIELDS:
        for i, where, before, after in slots:
            if (before ^ after) & mask:
                yield _finding(ops, i, aspect, *(f"{where}: {describe_internals(word)}" for word in (before, after)))
                break
    for aspect, count in ((FLUSHES, _flushes), (FAULTS, _faults)):
        for i, old, new in pairs:
            if count(old) != count(new):
                yield _finding(ops, i, aspect, count(old), count(new))
                break
    for i, old, new in pairs:
        if (old.taken, old.locks) != (new.taken, new.locks):
            yield _finding(ops, i, LOCKS, *_lock_lines(old, new, lock_name))
            break


def _flushes(block: Internals) -> str:
    return f"{block.flushes} TLB flush{'es' * (block.flushes != 1)}"


def _faults(block: Internals) -> str:
    return f"{block.faults} page fault{'s' * (block.faults != 1)}"


def _lock_lines(old: Internals, new: Internals, lock_name: Callable[[int], str]) -> tuple[str, str]:
    """The locks of both from a few before the first that differs."""
    same = next((i for i, pair in enumerate(zip(old.locks, new.locks, strict=False)) if pair[0] != pair[1]), None)
    first = min(len(old.locks), len(new.locks)) if same is None else same
    begin = max(0, first - _LOCKS_BEFORE)
    return _lock_line(old, begin, lock_name), _lock_line(new, begin, lock_name)


def _lock_line(block: Internals, begin: int, lock_name: Callable[[int], str]) -> str:
    shown = block.locks[begin : begin + _LOCKS_SHOWN]
    names = []
    for number, run in groupby(shown):
        name, times = lock_name(number & ~SHARED) + " (shared)" * bool(number & SHARED), len(list(run))
        names.append(name + f" {times} times" * (times > 1))
    head = ["..."] if begin else []
    tail = ["..."] if begin + len(shown) < min(block.taken, NOTES_MAX + 1) else []
    return f"takes {block.taken} lock{'s' * (block.taken != 1)}: {', '.join([*head, *names, *tail]) or 'none'}"


def _finding(ops: Sequence[Operation], index: int, aspect: str, expected: str, happened: str) -> Finding:
    return Finding(
        kind=FindingKind.BASE_DIFFERENCE,
        op=index,
        operation=OPS[ops[index][0]].name,
        aspect=aspect,
        expected=expected,
        happened=happened,
        because=(_BECAUSE,),
    )
