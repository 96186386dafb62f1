"""Operations in memory and in wire form.

An operation in memory is a tuple ``(code, task_byte, *operands)`` whose operands are values in the sense of
:class:`~faultline.program.ops.Kind`: a page count is 1..32, not the byte that stores it.  It is *canonical* if it is
what :func:`decode` yields: values within their kinds, ranges within the region, spare task bits clear.

Operations beside each other whose task bytes hold TASK_OVERLAPS are a *block*: they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from faultline.program.ops import (
    OP_SIZE,
    OPS,
    OPS_MAX,
    PAGES,
    PROCESSES,
    SLOT,
    SLOTS,
    TASK_MONITOR,
    TASK_OVERLAPS,
    TASKS,
    Actor,
)

Operation: TypeAlias = tuple[int, ...]
"""``(code, task_byte, *operand values)``"""

_TASK_SHIFT: Final = PROCESSES.bit_length() - 1
#: Operations repeat a lot within a campaign; this many are kept in each direction (about 4 MB).
_CACHE_SIZE: Final = 1 << 14

for _op in OPS:
    for _i, _kind in enumerate(_op.kinds):
        assert _kind is not PAGES or _op.kinds[_i - 1] is SLOT, "clipping needs the slot before the page count"


def task_byte(process: int, task: int = 0) -> int:
    """The task byte of task ``task`` of process ``process``."""
    return process | task << _TASK_SHIFT


def process_of(byte: int) -> int:
    """The process of a task byte that is not the monitor's."""
    return byte & PROCESSES - 1


def task_of(byte: int) -> int:
    """The task, within its process, of a task byte that is not the monitor's."""
    return byte >> _TASK_SHIFT & TASKS - 1


def is_monitor(byte: int) -> bool:
    """Whether the task byte is the monitor's."""
    return byte >= TASK_MONITOR


def overlaps(op: Operation) -> bool:
    """Whether the operation is part of a block."""
    return bool(op[1] & TASK_OVERLAPS)


def has_blocks(ops: Iterable[Operation]) -> bool:
    """Whether operations of the program overlap."""
    return any(map(overlaps, ops))


def overlapping(op: Operation) -> Operation:
    """The operation as part of a block."""
    return (op[0], op[1] | TASK_OVERLAPS, *op[2:])


def alone(op: Operation) -> Operation:
    """The operation as part of no block."""
    return (op[0], op[1] & ~TASK_OVERLAPS, *op[2:])


def blocks(ops: Sequence[Operation]) -> list[tuple[int, int]]:
    """The blocks of a program: for each its first index and the one behind its last."""
    found: list[tuple[int, int]] = []
    for index, op in enumerate(ops):
        if overlaps(op):
            if found and found[-1][1] == index:
                found[-1] = found[-1][0], index + 1
            else:
                found.append((index, index + 1))
    return found


def clipped(op: Operation) -> Operation:
    """The operation with its ranges cut at the region's end."""
    kinds = OPS[op[0]].kinds
    for i, kind in enumerate(kinds, 2):
        if kind is PAGES and op[i - 1] + op[i] > SLOTS:
            op = (*op[:i], SLOTS - op[i - 1], *op[i + 1 :])
    return op


@lru_cache(_CACHE_SIZE)
def _from_wire(wire: bytes) -> Operation:
    op = OPS[wire[0] % len(OPS)]
    task = TASK_MONITOR if op.actor is Actor.MONITOR else task_byte(process_of(wire[1]), task_of(wire[1]))
    operands = (k.lo + b % k.count for k, b in zip(op.kinds, wire[2:], strict=False))
    return clipped((op.code, task | wire[1] & TASK_OVERLAPS, *operands))


@lru_cache(_CACHE_SIZE)
def _to_wire(op: Operation) -> bytes:
    try:
        operands = (v - k.lo for v, k in zip(op[2:], OPS[op[0]].kinds, strict=True))
        wire = bytes((*op[:2], *operands)).ljust(OP_SIZE, b"\0")
    except (ValueError, IndexError):
        wire = b""
    if not wire or _from_wire(wire) != op:
        raise ValueError(f"not a canonical operation: {op}")
    return wire


def decode(data: bytes, *, with_blocks: bool = False) -> list[Operation]:
    """The operations that the wire form ``data`` stands for.

    Every byte string is some program: bytes are reduced as the operation table says, a trailing fragment is dropped,
    what goes beyond OPS_MAX operations is cut.

    :param with_blocks: operations may overlap; else one is done after the other, whatever the bytes say.
    """
    end = min(len(data) - len(data) % OP_SIZE, OPS_MAX * OP_SIZE)
    ops = [_from_wire(data[i : i + OP_SIZE]) for i in range(0, end, OP_SIZE)]
    return ops if with_blocks else [alone(op) if op[1] & TASK_OVERLAPS else op for op in ops]


def encode(ops: Sequence[Operation]) -> bytes:
    """The canonical wire form of canonical operations: spare bytes are 0, each operand's byte is the smallest.

    :raises ValueError: an operation is not canonical, or there are more than OPS_MAX.
    """
    if len(ops) > OPS_MAX:
        raise ValueError(f"{len(ops)} operations; at most {OPS_MAX}")
    return b"".join(map(_to_wire, ops))
