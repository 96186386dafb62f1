"""Minimisation: the smallest and simplest program that still shows a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from faultline.program.codec import Operation, alone, clipped, is_monitor, overlaps, process_of, task_byte, task_of
from faultline.program.ops import OPS, PAGES, PROCESS, SLOT, SLOTS, TASK_OVERLAPS, UFFD, VALUE, Form, Kind

Program = list[Operation]

#: A page of a range counts as much as any other operand can be lowered.
_PAGE_COST: Final = 256


def minimize(ops: Sequence[Operation], still_fails: Callable[[Program], bool], *, budget: int = 2000) -> Program:
    """The simplest program found for which ``still_fails`` holds.

    :param ops: canonical operations for which ``still_fails`` holds; the caller has seen it.
    :param still_fails: whether a program shows the same finding: same kind and same signature.
    :param budget: calls of ``still_fails`` at most.
    :returns: ``ops`` itself or a program that ``still_fails`` accepted.  The same call gives the same program, as long
        as ``still_fails`` answers the same.
    """
    search = _Search(list(ops), still_fails, budget)
    improved = True
    while improved:
        improved = False
        for candidates in _PASSES:
            while search.improve(candidates):
                improved = True
    return search.ops


def _cost(ops: Program) -> tuple[int, int]:
    """What minimisation lowers: the length first, then what the operands add up to."""
    total = 0
    for op in ops:
        total += process_of(op[1]) + task_of(op[1]) if not is_monitor(op[1]) else 0
        total += overlaps(op)
        total += sum(value * (_PAGE_COST if kind is PAGES else 1) for _, value, kind in _operands(op))
    return len(ops), total


class _Search:
    """The best program so far, and what has been tried."""

    def __init__(self, ops: Program, still_fails: Callable[[Program], bool], budget: int) -> None:
        self.ops = ops
        self._still_fails = still_fails
        self._calls_left = budget
        self._tried: set[tuple[Operation, ...]] = set()

    def improve(self, candidates: Callable[[Program], Iterable[Program]]) -> bool:
        """Whether one of the candidates for the best program is better and still fails; it is the best then."""
        cost = _cost(self.ops)
        for candidate in candidates(self.ops):
            key = tuple(candidate)
            if key in self._tried or _cost(candidate) >= cost:
                continue
            if not self._calls_left:
                return False
            self._calls_left -= 1
            self._tried.add(key)
            if self._still_fails(list(candidate)):
                self.ops = candidate
                return True
        return False


# --- operands ---


def _operands(op: Operation) -> Iterator[tuple[int, int, Kind]]:
    """(index in the operation, value, kind)"""
    for i, kind in enumerate(OPS[op[0]].kinds, 2):
        yield i, op[i], kind


def _with(op: Operation, index: int, value: int) -> Operation:
    return (*op[:index], value, *op[index + 1 :])


def _by(op: Operation, task: int) -> Operation:
    """The operation by another task; in its block it stays."""
    return _with(op, 1, task | op[1] & TASK_OVERLAPS)


def _replaced(ops: Program, i: int, op: Operation) -> Program:
    return [*ops[:i], op, *ops[i + 1 :]]


def _renamed(ops: Program, kind: Kind, names: dict[int, int]) -> Program:
    """The program with every operand of the kind renamed; processes also where they act."""
    renamed = []
    for op in ops:
        if kind is PROCESS and not is_monitor(op[1]):
            process = process_of(op[1])
            op = _by(op, task_byte(names.get(process, process), task_of(op[1])))
        for i, value, operand_kind in _operands(op):
            if operand_kind is kind:
                op = _with(op, i, names.get(value, value))
        renamed.append(clipped(op))
    return renamed


def _used(ops: Program, kind: Kind) -> list[int]:
    """The values of the kind in order of appearance; for slots, all that are in a range, ascending."""
    used: dict[int, None] = {}
    for op in ops:
        if kind is PROCESS and not is_monitor(op[1]):
            used[process_of(op[1])] = None
        for i, value, operand_kind in _operands(op):
            if operand_kind is kind:
                used.update(dict.fromkeys(range(value, value + _pages_at(op, i + 1)) if kind is SLOT else (value,)))
    return sorted(used) if kind is SLOT else list(used)


def _pages_at(op: Operation, index: int) -> int:
    kinds = OPS[op[0]].kinds
    return op[index] if index - 2 < len(kinds) and kinds[index - 2] is PAGES else 1


# --- passes: candidates for a better program, the boldest first ---


def _without_tail(ops: Program) -> Iterator[Program]:
    size = len(ops) // 2
    while size:
        yield ops[:-size]
        size //= 2


def _without_chunk(ops: Program) -> Iterator[Program]:
    size = len(ops) // 2
    while size:
        for start in range(len(ops) - size, -1, -size):
            yield ops[:start] + ops[start + size :]
        size //= 2
    if len(ops) == 1:
        yield []


def _without_pair(ops: Program) -> Iterator[Program]:
    """Both at once of what needs each other: a fork and an exit, a protection and its resolve."""
    for first in range(len(ops) - 1):
        for second in range(first + 1, len(ops)):
            yield ops[:first] + ops[first + 1 : second] + ops[second + 1 :]


def _without_slot(ops: Program) -> Iterator[Program]:
    """A slot taken out of every range at once, the slots above it moved down or not."""
    for gone in range(max(_used(ops, SLOT), default=-1), -1, -1):
        for shift in (1, 0):
            yield list(filter(None, (_operation_without_slot(op, gone, shift) for op in ops)))


def _operation_without_slot(op: Operation, gone: int, shift: int) -> Operation | None:
    """The operation, None if one of its ranges was the slot alone."""
    for i, start, kind in _operands(op):
        if kind is SLOT:
            pages = _pages_at(op, i + 1)
            if start > gone:
                op = _with(op, i, start - shift)
            elif start + pages > gone:
                if pages == 1:
                    return None
                op = _with(op, i + 1, pages - 1)
                op = _with(op, i, start + 1) if start == gone and not shift else op
    return op


def _renumbered(ops: Program) -> Iterator[Program]:
    """Slots, processes, handles and values numbered densely, everywhere at once."""
    for kind in (SLOT, PROCESS, UFFD, VALUE):
        used = _used(ops, kind)
        # Process 0 is the first of all, and zero is a value of its own: a fresh page holds it.
        fixed = kind in (PROCESS, VALUE)
        names = {value: number for number, value in enumerate((v for v in used if v or not fixed), int(fixed))}
        yield _renamed(ops, kind, names)


def _shorter_range(ops: Program) -> Iterator[Program]:
    for i, op in enumerate(ops):
        ranges = [(at, pages) for at, pages, kind in _operands(op) if kind is PAGES]
        if len(ranges) > 1 and all(pages > 1 for _, pages in ranges):
            yield _replaced(ops, i, _each_shorter(op, [at for at, _ in ranges]))
        for at, pages, kind in _operands(op):
            if kind is PAGES:
                for fewer in (1, pages // 2, pages - 1):
                    if fewer >= 1:
                        shorter = _with(op, at, fewer)
                        yield _replaced(ops, i, shorter)
                        yield _replaced(ops, i, _with(shorter, at - 1, op[at - 1] + pages - fewer))


def _each_shorter(op: Operation, places: list[int]) -> Operation:
    """The operation with all its ranges a page shorter."""
    for at in places:
        op = _with(op, at, op[at] - 1)
    return op


def _without_flag(ops: Program) -> Iterator[Program]:
    for i, op in enumerate(ops):
        for at, value, kind in _operands(op):
            if kind.form is Form.FLAGS:
                fewer = [value & ~(1 << bit) for bit in range(len(kind.words)) if value >> bit & 1]
                yield from (_replaced(ops, i, _with(op, at, flags)) for flags in (kind.lo, *fewer) if flags >= kind.lo)


def _on_first_task(ops: Program) -> Iterator[Program]:
    """All operations, then each, by task 0 of their process, then by the first process."""
    own = [op if is_monitor(op[1]) else _by(op, task_byte(process_of(op[1]))) for op in ops]
    yield own
    for i, op in enumerate(ops):
        if not is_monitor(op[1]):
            yield _replaced(ops, i, own[i])
            yield _replaced(ops, i, _by(op, task_byte(0)))


def _not_overlapping(ops: Program) -> Iterator[Program]:
    """All operations, then each, outside of any block."""
    yield [alone(op) for op in ops]
    for i, op in enumerate(ops):
        if overlaps(op):
            yield _replaced(ops, i, alone(op))


def _lower_operand(ops: Program) -> Iterator[Program]:
    """One operand lowered to another that the program uses, or to the lowest there is.

    For values that is 1: what is read from a fresh page, 0, should not look like what was written.
    """
    for kind in (SLOT, PROCESS, UFFD, VALUE):
        names = sorted({int(kind is VALUE), *_used(ops, kind)} - ({0} if kind is VALUE else set()))
        for i, op in enumerate(ops):
            for at, value, operand_kind in _operands(op):
                if operand_kind is kind:
                    for name in names:
                        if name < value and name + _pages_at(op, at + 1) <= (SLOTS if kind is SLOT else kind.count):
                            yield _replaced(ops, i, _with(op, at, name))


_PASSES: Final = (
    _without_tail,
    _without_chunk,
    _not_overlapping,
    _without_slot,
    _without_pair,
    _renumbered,
    _shorter_range,
    _without_flag,
    _on_first_task,
    _lower_operand,
)
