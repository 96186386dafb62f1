"""Wire form: any bytes decode, canonical operations round-trip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultline.program import ops
from faultline.program.codec import clipped, decode, encode, process_of, task_byte, task_of

MMAP, WRITE, EXIT = (ops.BY_NAME[name].code for name in ("mmap", "write", "exit"))
COPY = ops.BY_NAME["uffd-copy"].code
REGISTER = ops.BY_NAME["uffd-register"].code
MREMAP = ops.BY_NAME["mremap"].code


@pytest.mark.parametrize(
    ("wire", "operation"),
    [
        ("0000000000000000", (MMAP, 0, 0, 1, 0)),
        ("0001020302000000", (MMAP, 1, 2, 4, 2)),
        ("0500040700000000", (WRITE, 0, 4, 7)),
        ("050f040700000000", (WRITE, task_byte(7, 1), 4, 7)),
        ("0e80010503070100", (COPY, ops.TASK_MONITOR, 1, 5, 4, 7, 1)),
        # Spare bytes, spare task bits and bytes beyond a kind's count are noise.
        ("05e0240700ffffff", (WRITE, 0, 4, 7)),
        (f"{len(ops.OPS) + WRITE:02x}00240700000000", (WRITE, 0, 4, 7)),
        ("0e00010503070500", (COPY, ops.TASK_MONITOR, 1, 5, 4, 7, 1)),
        ("0980000000020000", (REGISTER, ops.TASK_MONITOR, 0, 0, 1, 3)),
        # A range is cut at the region's end.
        ("00001f1f00000000", (MMAP, 0, 31, 1, 0)),
        ("0000101f00000000", (MMAP, 0, 16, 16, 0)),
        (f"{MREMAP:02x}001f1f1e1f0100", (MREMAP, 0, 31, 1, 30, 2, 1)),
    ],
)
def test_decode_one_operation(wire: str, operation: tuple[int, ...]) -> None:
    assert decode(bytes.fromhex(wire)) == [operation]


def test_trailing_fragment_is_dropped() -> None:
    assert decode(b"") == []
    assert decode(b"\x05" * (ops.OP_SIZE - 1)) == []
    assert len(decode(b"\x05" * (3 * ops.OP_SIZE + 1))) == 3


def test_long_input_is_cut() -> None:
    assert len(decode(bytes(ops.OP_SIZE * (ops.OPS_MAX + 5)))) == ops.OPS_MAX


@given(st.binary(max_size=40 * ops.OP_SIZE))
def test_any_bytes_decode_to_a_canonical_program(data: bytes) -> None:
    program = decode(data)
    assert len(program) == len(data) // ops.OP_SIZE
    wire = encode(program)
    assert decode(wire) == program
    assert encode(decode(wire)) == wire
    for op in program:
        assert clipped(op) == op
        for value, kind in zip(op[2:], ops.OPS[op[0]].kinds, strict=True):
            assert kind.lo <= value < kind.lo + kind.count


def test_every_value_of_every_operand_round_trips() -> None:
    for op in ops.OPS:
        task = ops.TASK_MONITOR if op.actor is ops.Actor.MONITOR else task_byte(5, 2)
        for i, kind in enumerate(op.kinds):
            for value in range(kind.lo, kind.lo + kind.count):
                values = [k.lo for k in op.kinds]
                values[i] = value
                operation = clipped((op.code, task, *values))
                assert decode(encode([operation])) == [operation]


@pytest.mark.parametrize(
    "operation",
    [
        (WRITE, 0, ops.SLOTS, 7),
        (WRITE, 0, 0, 300),
        (WRITE, 0, 0, -1),
        (WRITE, 0x20, 0, 7),
        (WRITE, ops.TASK_MONITOR, 0, 7),
        (WRITE, 0, 0),
        (WRITE, 0, 0, 7, 0),
        (MMAP, 0, 31, 2, 0),
        (MMAP, 0, 0, 0, 0),
        (COPY, 0, 1, 5, 4, 7, 1),
        (len(ops.OPS), 0),
        (),
    ],
)
def test_encode_refuses_what_is_not_canonical(operation: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not a canonical operation"):
        encode([operation])


def test_encode_refuses_too_many_operations() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode([(EXIT, 0)] * (ops.OPS_MAX + 1))


def test_task_byte() -> None:
    for process in range(ops.PROCESSES):
        for task in range(ops.TASKS):
            byte = task_byte(process, task)
            assert (process_of(byte), task_of(byte)) == (process, task)
            assert byte < ops.TASK_MONITOR
