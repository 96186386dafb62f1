"""What operations that overlap may come to: the sequential programs of which one must give the same.

Operations take effect in atomic steps.  Documentation promises none across pages, so one on a range has a step for each
page; some are best effort and may do nothing while another task is at work on the page.  What overlapping operations
return and leave behind must be what some order of these steps gives, each task's operations in their order.  An order
is written as a program without blocks, so that the oracle judges it like any other.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from faultline.program.codec import (
    Operation,
    alone,
    blocks,
    is_monitor,
    overlapping,
    overlaps,
    process_of,
    task_byte,
)
from faultline.program.ops import BY_NAME, OPS, PAGES, PIN_FLAGS, POPULATE, SCAN_MODE, TASKS, Form
from faultline.program.schedule import number_of
from faultline.program.trace import Status


def _codes(*names: str) -> frozenset[int]:
    return frozenset(BY_NAME[name].code for name in names)


#: Operations with a step for each page.  Source: their man pages promise nothing about other pages of the range while
#: one is at work; ioctl_userfaultfd(2) and madvise(2) even tell of ranges that are done in part.
PAGE_BY_PAGE: Final = _codes(
    "uffd-wp", "uffd-resolve", "madvise", "populate", "swap-out", "mprotect", "numa-hint", "migrate"
)
#: Of these the outcome is the sum of those of the steps.
SUMMED: Final = _codes("migrate")
#: Of these it is that of the first step: what the others do besides shows elsewhere.
FIRST_TELLS: Final = _codes("pagemap-scan")
#: Best effort: may leave pages as they are.  Source: Documentation/admin-guide/mm/ksm.rst,
#: Documentation/mm/page_migration.rst (pages in use elsewhere are passed over), madvise(2), MADV_PAGEOUT.
BEST_EFFORT: Final = _codes(
    "swap-out", "ksm-merge", "ksm-scan", "khugepaged", "split", "migrate", "drop-swap-cache", "numa-hint"
)
#: Reclaim takes pages, wherever they are mapped meanwhile, or leaves them: which are in swap is open.  Source: as
#: above.
RECLAIMS: Final = _codes("swap-out", "drop-swap-cache", "madvise")
#: Which pages of a range are shared depends on where the operation was when others changed them.  Source: fork(2).
SHARES: Final = _codes("fork")
#: What KSM merges of pages that change meanwhile is open.  Source: Documentation/admin-guide/mm/ksm.rst.
MERGES: Final = _codes("ksm-merge", "ksm-scan")
#: Of these EAGAIN and ENOENT say the same: the layout of the process was changing.  Source: ioctl_userfaultfd(2),
#: ERRORS.
FILLS: Final = _codes(
    "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move", "uffd-wp", "uffd-resolve"
)
#: An access that faults has two steps: the page is there, then the access is repeated, which may fault again.  Source:
#: what a fault is; Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, for one that waits.
ACCESSES: Final = _codes(
    "read", "write", "guest-read", "guest-write", "process-read", "process-write", "mem-read", "mem-write", "pin", "ref"
)
_WRITES: Final = _codes("write", "guest-write", "process-write", "mem-write")
_REMOTE: Final = _codes("process-read", "process-write", "mem-read", "mem-write")
_HOLDING: Final = _codes("pin", "ref")
_PIN_WRITE: Final = 1 << PIN_FLAGS.words.index("write")
_READ, _WRITE = (POPULATE.words.index(word) for word in ("read", "write"))
_POPULATE: Final = BY_NAME["populate"].code
_EXIT: Final = BY_NAME["exit"].code
_EVENT: Final = BY_NAME["uffd-read"].code
_SCAN: Final = BY_NAME["pagemap-scan"].code
_SCAN_WP: Final = 1 << SCAN_MODE.words.index("wp")


def _mask(*names: str) -> int:
    return sum(1 << BY_NAME[name].code for name in names)


def _flag(name: str, word: str) -> tuple[int, int]:
    """The place of the operand with this flag in an operation, and the flag's bit."""
    for at, kind in enumerate(BY_NAME[name].kinds, 2):
        if kind.form is Form.FLAGS and word in kind.words:
            return at, 1 << kind.words.index(word)
    raise AssertionError(f"{name} has no flag {word}")


#: Who has found that it must wait, but does not sleep yet, is woken by nobody; its message is there to be read.
#: Kernels look again before they sleep, but cannot tell that a page was poisoned, or lost its protection and is still
#: shared.
#: Source: Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, tells of no wake-up but for a fault that
#: was notified.
_LATE: Final = _mask("uffd-resolve", "uffd-poison")
#: The same, of what ends the registration: nobody is to wait after it.  A known deviation.
_LATE_FOR_GOOD: Final = _mask("uffd-unregister", "uffd-close")
LATE_FOR_GOOD: Final = "uffd-late-sleeper"
#: Who does not sleep yet when its page comes goes on without a wake-up.  Source: as above.
_QUIET: Final = {
    BY_NAME[name].code: _flag(name, "dontwake")
    for name in ("uffd-resolve", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
}
_ACCESSES_FINE, _RANGES_FINE, _LOUD = 1, 2, 4
_LEVELS: Final = (0, _ACCESSES_FINE, _RANGES_FINE, _ACCESSES_FINE | _RANGES_FINE)
_LOUD_LEVELS: Final = (_LOUD, _LOUD | _ACCESSES_FINE)


@dataclass(frozen=True, slots=True)
class Order:
    """A sequential program that stands for one with blocks."""

    ops: tuple[Operation, ...]
    of: tuple[int, ...]
    """For each operation the index of the one that it is, or is a step of."""
    idle: frozenset[int]
    """Those that do nothing in this order."""
    late: int = 0
    """Tasks, as bits, that do not sleep yet when an operation with a code of ``late_ops``, as bits, would wake them."""
    late_ops: int = 0
    deviation: str = ""
    """The known deviation by which this happens; empty: it is allowed."""
    last_first: bool = False
    """Of tasks that are woken together the last one goes on first.  Source: nothing says in which order they go on."""


_Step = tuple[Operation, int]
"""An operation, and the index of the one that it is part of."""


def orders(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The orders of a program's blocks, the coarsest first: of whole operations, with accesses in two steps, page by
    page, with some that do nothing.

    :param idle: indices of operations that do nothing in any order: they were skipped.
    """
    seen: set[tuple[bool, tuple[_Step, ...]]] = set()
    for last_first, level, others in product((False, True), _LEVELS, _idle_sets(ops, idle)):
        for steps in _merged(ops, level, idle | others):
            if (last_first, steps) not in seen:
                seen.add((last_first, steps))
                yield _order(steps, idle | others, last_first)


def coarse(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The program with its blocks, operations in steps: for orders in which a task that was woken goes on later, when
    others have done more.  To be run without preemptions, whoever goes on at the end of a step."""
    inside = [op for start, end in blocks(ops) for op in ops[start:end]]
    tasks = sorted({number_of(op) for op in inside if op[0] in ACCESSES})
    lates: list[tuple[int, int, str]] = [(0, 0, "")]
    for codes, deviation in ((_LATE, ""), (_LATE | _LATE_FOR_GOOD, LATE_FOR_GOOD)):
        if any(codes >> op[0] & 1 for op in inside):
            lates += ((1 << task, codes, deviation) for task in tasks)
    for (late, codes, deviation), level in product(lates, (*_LEVELS, *_LOUD_LEVELS)):
        for others in _idle_sets(ops, idle):
            steps: list[_Step] = []
            for index, op in enumerate(ops):
                if not overlaps(op):
                    steps.append((op, index))
                elif index not in idle | others:
                    steps += ((overlapping(step), index) for step, _ in _steps(op, index, level))
            order = _order(steps, idle | others, False)
            yield replace(order, late=late, late_ops=codes, deviation=deviation)


def _order(steps: Sequence[_Step], idle: frozenset[int], last_first: bool) -> Order:
    return Order(tuple(op for op, _ in steps), tuple(index for _, index in steps), idle, last_first=last_first)


def may_come_to(op: Operation, status: Status, value: int) -> bool:
    """Whether this is an outcome of an operation that does nothing in an order."""
    if status in (Status.KILLED, Status.SKIPPED):
        return True
    if op[0] == _EVENT:  # a task that was woken has taken its message away, and not yet sent the next
        return status == Status.ERROR and value == errno.EAGAIN
    return op[0] in BEST_EFFORT and status in (Status.DONE, Status.ERROR)


def _idle_sets(ops: Sequence[Operation], always: frozenset[int]) -> Iterator[frozenset[int]]:
    may = [
        i
        for start, end in blocks(ops)
        for i in range(start, end)
        if i not in always and _may_idle(ops[i], ops[start:end])
    ]
    for chosen in sorted(product((False, True), repeat=len(may)), key=sum):
        yield frozenset(index for index, idle in zip(may, chosen, strict=True) if idle)


def _may_idle(op: Operation, block: Sequence[Operation]) -> bool:
    """Best effort; or its process exits, which may kill it."""
    if op[0] in BEST_EFFORT or op[0] == _EVENT:
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
    if level & _LOUD and op[0] in _QUIET:
        at, bit = _QUIET[op[0]]
        op = (*op[:at], op[at] & ~bit, *op[at + 1 :])
    if level & _ACCESSES_FINE and op[0] in ACCESSES:
        return [(step, index) for step in (*_faulted_in(op), op)]
    if level & _RANGES_FINE and op[0] in PAGE_BY_PAGE:
        return [(step, index) for step in _pages(op)]
    if level & _RANGES_FINE and op[0] == _SCAN and op[5] & _SCAN_WP:
        return [((*op[:5], op[5] & ~_SCAN_WP), index), (op, index)]
    return [(op, index)]


def _pages(op: Operation) -> list[Operation]:
    """The operation on each page of its range."""
    at = next(i for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is PAGES)
    return [(*op[: at - 1], op[at - 1] + page, 1, *op[at + 1 :]) for page in range(op[at])]


def _faulted_in(op: Operation) -> list[Operation]:
    """The first step of an access, for each page."""
    if op[0] in _HOLDING:
        writes = op[0] == BY_NAME["pin"].code and bool(op[5] & _PIN_WRITE)
        return _pages((_POPULATE, op[1], op[3], op[4], _WRITE if writes else _READ))
    how = _WRITE if op[0] in _WRITES else _READ
    if op[0] not in _REMOTE:
        return [(_POPULATE, op[1], op[2], 1, how)]
    own = not is_monitor(op[1]) and process_of(op[1]) == op[2]
    return [(_POPULATE, op[1] if own else task_byte(op[2], TASKS - 1), op[3], 1, how)]


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
