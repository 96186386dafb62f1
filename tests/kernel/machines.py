"""Machines that tests share: a library can be one machine only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from faultline.backend.machine import Machine


@cache
def machine_of(library: Path) -> Machine:
    """The machine of this library, opened once in this process."""
    return Machine(library)
