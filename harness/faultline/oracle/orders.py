"""What operations that overlap may come to: the sequential programs of which one must give the same.

Operations take effect in atomic steps.  Documentation promises none across pages, so one on a range has a step for each
page; some are best effort and may do nothing while another task is at work on the page.  What overlapping operations
return and leave behind must be what some order of these steps gives, each task's operations in their order.  An order is
written as a program without blocks, so that the oracle judges it like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from faultline.program.codec import Operation, alone, blocks, is_monitor, process_of
from faultline.program.ops import BY_NAME, OPS, PAGES, POPULATE, Form
from faultline.program.schedule import number_of

#: Operations with a step for each page.  Source: their man pages promise nothing about other pages of the range while
#: one is at work; ioctl_userfaultfd(2) and madvise(2) even tell of ranges that are done in part.
PAGE_BY_PAGE: Final = frozenset(
    BY_NAME[name].code
    for name in ("uffd-wp", "uffd-resolve", "madvise", "populate", "swap-out", "mprotect", "numa-hint")
    if name in BY_NAME
)
#: Best effort: may leave pages as they are.  Source: Documentation/admin-guide/mm/ksm.rst, Documentation/mm/page_migration.rst
#: (pages that are in use elsewhere are passed over), madvise(2) MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE.
BEST_EFFORT: Final = frozenset(
    BY_NAME[name].code
    for name in ("swap-out", "ksm-merge", "ksm-scan", "khugepaged", "split", "migrate", "drop-swap-cache", "numa-hint")
    if name in BY_NAME
)
#: An access that faults has two steps: the page is there, then the access is repeated.  Source: what a fault is; while
#: others are at work the second may fault again.  By code, what MADV_POPULATE does the first one like.
ACCESSES: Final = {
    BY_NAME["read"].code: POPULATE.words.index("read"),
    BY_NAME["write"].code: POPULATE.words.index("write"),
}
_POPULATE: Final = BY_NAME["populate"].code
_EXIT: Final = BY_NAME["exit"].code


def _flag(name: str, word: str) -> tuple[int, int]:
    """The place of the operand with this flag in an operation, and the flag's bit."""
    for at, kind in enumerate(BY_NAME[name].kinds, 2):
        if kind.form is Form.FLAGS and word in kind.words:
            return at, 1 << kind.words.index(word)
    raise AssertionError(f"{name} has no flag {word}")


#: What wakes those who wait for a page, with its flag not to: who has found that it must wait, but does not sleep yet, is
#: woken by nobody.  Its message is there to be read.  Source: Documentation/admin-guide/mm/userfaultfd.rst, Resolving
#: Userfaults, tells of no wake-up but for a fault that was notified.
_WAKES: Final = {
    BY_NAME[name].code: _flag(name, "dontwake")
    for name in ("uffd-resolve", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
}
_ACCESSES_FINE, _RANGES_FINE, _LATE = 1, 2, 4
_ALL: Final = _ACCESSES_FINE | _RANGES_FINE | _LATE


@dataclass(frozen=True, slots=True)
class Order:
    """A sequential program that stands for one with blocks."""

    ops: tuple[Operation, ...]
    of: tuple[int, ...]
    """For each operation the index of the one that it is, or is a step of."""
    idle: frozenset[int]
    """Those that do nothing in this order."""


_Step = tuple[Operation, int]
"""An operation, and the index of the one that it is part of."""


def orders(ops: Sequence[Operation]) -> Iterator[Order]:
    """The orders of a program's blocks, the coarsest first: of whole operations, with accesses in two steps, with some that
    do nothing, page by page."""
    seen: set[tuple[_Step, ...]] = set()
    for level, idle in product((0, _ACCESSES_FINE, _ACCESSES_FINE | _LATE, _RANGES_FINE, _ALL), _idle_sets(ops)):
        for steps in _merged(ops, level, idle):
            if steps not in seen:
                seen.add(steps)
                yield Order(tuple(op for op, _ in steps), tuple(index for _, index in steps), idle)


def _idle_sets(ops: Sequence[Operation]) -> Iterator[frozenset[int]]:
    may = [i for start, end in blocks(ops) for i in range(start, end) if _may_idle(ops, i, ops[start:end])]
    for chosen in sorted(product((False, True), repeat=len(may)), key=sum):
        yield frozenset(index for index, idle in zip(may, chosen, strict=True) if idle)


def _may_idle(ops: Sequence[Operation], index: int, block: Sequence[Operation]) -> bool:
    """Best effort; or its process exits, which may kill it."""
    op = ops[index]
    if op[0] in BEST_EFFORT:
        return True
    ends = {process_of(other[1]) for other in block if other[0] == _EXIT}
    return not is_monitor(op[1]) and op[0] != _EXIT and process_of(op[1]) in ends


def _merged(ops: Sequence[Operation], level: int, idle: frozenset[int]) -> Iterator[tuple[_Step, ...]]:
    parts: list[list[tuple[_Step, ...]]] = []
    at = 0
    for start, end in blocks(ops):
        parts.append([tuple((op, at + i) for i, op in enumerate(ops[at:start]))])
        queues: dict[int, list[_Step]] = {}
        for index in range(start, end):
            if index not in idle:
                queues.setdefault(number_of(ops[index]), []).extend(_steps(ops[index], index, level))
        parts.append(list(_merges(list(queues.values()))))
        at = end
    parts.append([tuple((op, at + i) for i, op in enumerate(ops[at:]))])
    for chosen in product(*parts):
        yield tuple(step for part in chosen for step in part)


def _steps(op: Operation, index: int, level: int) -> list[_Step]:
    op = alone(op)
    if level & _ACCESSES_FINE and op[0] in ACCESSES:
        return [((_POPULATE, op[1], op[2], 1, ACCESSES[op[0]]), index), (op, index)]
    if level & _LATE and op[0] in _WAKES:
        at, bit = _WAKES[op[0]]
        op = (*op[:at], op[at] | bit, *op[at + 1 :])
    if level & _RANGES_FINE and op[0] in PAGE_BY_PAGE:
        kinds = OPS[op[0]].kinds
        at = next((i for i, kind in enumerate(kinds, 2) if kind is PAGES), 0)
        if at and op[at] > 1:
            return [((*op[: at - 1], op[at - 1] + page, 1, *op[at + 1 :]), index) for page in range(op[at])]
    return [(op, index)]


def _merges(queues: list[list[_Step]]) -> Iterator[tuple[_Step, ...]]:
    """All ways to merge the queues, each keeping its order."""
    queues = [queue for queue in queues if queue]
    if len(queues) <= 1:
        yield tuple(queues[0]) if queues else ()
        return
    for i, queue in enumerate(queues):
        rest = [*queues[:i], queue[1:], *queues[i + 1 :]]
        for tail in _merges(rest):
            yield (queue[0], *tail)
