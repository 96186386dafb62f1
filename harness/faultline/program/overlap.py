"""Blocks in generated programs: some operations in a row, by two tasks at least, made to overlap."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from faultline.program.codec import Operation, alone, is_monitor, overlapping, process_of, task_byte, task_of
from faultline.program.ops import BY_NAME, FAULT, OPS, PAGES, REGISTER_MODE, TASK_MONITOR, TASKS
from faultline.program.schedule import number_of

#: Not part of a block: what fails is the operation that follows; a device goes when nobody waits for it.
#: What makes or ends a handle does so at once; soft-dirty bits show by what has been asked for.
APART: Final = frozenset(
    BY_NAME[name].code
    for name in ("fail", "swapoff", "uffd-open", "file-open", "file-close", "clear-refs")
)
_EXIT: Final = BY_NAME["exit"].code
_COUNTING: Final = frozenset(
    BY_NAME[name].code
    for name in ("pin", "ref", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
)
_REGISTER: Final = BY_NAME["uffd-register"].code
_MINOR: Final = 1 << REGISTER_MODE.words.index("minor")
_READ_FAILS: Final = (BY_NAME["fail"].code, TASK_MONITOR, FAULT.words.index("swap-read"))
_TRUNCATE: Final = BY_NAME["file-truncate"].code
_LENGTHS: Final = (2, 2, 2, 3, 3, 4)
_TRIES: Final = 6


def with_block(rng: random.Random, ops: Sequence[Operation]) -> list[Operation] | None:
    """The program with a block somewhere, mostly late; None if none was found for it."""
    if any(op[0] == _REGISTER and op[5] & _MINOR for op in ops):
        return None  # an access that fills a hole of a file has steps in between that minor faults show
    for _ in range(_TRIES):
        length = rng.choice(_LENGTHS)
        if len(ops) < length + 1:
            continue
        last = len(ops) - length
        start = max(rng.randint(1, last), rng.randint(1, last))
        window = [alone(op) for op in ops[start : start + length]]
        if (start and ops[start - 1][0] in APART) or any(op[0] in APART for op in window):
            continue
        if any(op[0] == _TRUNCATE for op in window) and any(op[:3] == _READ_FAILS for op in ops[:start]):
            continue  # a file that lost a page is cut without its pages, which an access may map even then: a deviation
        window = _by_two(rng, window)
        if length > 2 and any(op[0] == _EXIT for op in window):
            continue
        window = [_on_one_page(op) for op in window]
        if len({number_of(op) for op in window}) > 1:
            return [*map(alone, ops[:start]), *map(overlapping, window), *map(alone, ops[start + length :])]
    return None


def _by_two(rng: random.Random, window: list[Operation]) -> list[Operation]:
    """The operations by more than one task: some go to another task of their process."""
    if len({number_of(op) for op in window}) > 1 and rng.random() < 0.5:
        return window
    return [op if is_monitor(op[1]) or rng.random() < 0.5 else _moved(op) for op in window]


def _on_one_page(op: Operation) -> Operation:
    """Operations that tell how far they came on their range are on one page: their orders can be told."""
    if op[0] not in _COUNTING:
        return op
    at = next(i for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is PAGES)
    return (*op[:at], 1, *op[at + 1 :])


def _moved(op: Operation) -> Operation:
    return (op[0], task_byte(process_of(op[1]), (task_of(op[1]) + 1) % TASKS), *op[2:])
