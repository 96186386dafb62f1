"""Machines that tests share: a library can be one machine only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from faultline.backend.machine import Machine
from faultline.program.codec import Operation, alone
from faultline.program.text import read_repro


@cache
def machine_of(library: Path) -> Machine:
    """The machine of this library, opened once in this process."""
    return Machine(library)


def sequential(path: Path) -> list[Operation]:
    """The program of a file, one operation after the other also where they overlap."""
    return [alone(op) for op in read_repro(path).ops]
