"""How the running kernel's speed is measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from needs_live import LIVE

from faultline import bench
from faultline.backend.live import LiveBackend
from faultline.bench import STANDARD_PROGRAM
from faultline.kinds import FaultlineError
from faultline.program.text import parse_program

pytestmark = LIVE
_SUBJECT: Any = SimpleNamespace(library=SimpleNamespace(path=Path()))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Sets the trace of a machine of which nothing else is asked."""
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(bench, "LIVE_PROGRAMS", 50)

    def does(trace: bytes) -> None:
        monkeypatch.setattr(bench, "Machine", lambda _: SimpleNamespace(run=lambda *_, **__: trace))

    return does


def test_both_are_measured(machine: Callable[[bytes], None]) -> None:
    ops = parse_program(STANDARD_PROGRAM)
    with LiveBackend() as live:
        machine(live.run(ops, snapshots=False))
    rate, ratio = bench._live_rates(_SUBJECT)
    assert rate > 0
    assert ratio > 1, "that machine has nothing to do"


def test_the_time_of_processes_counts() -> None:
    ops = parse_program("p0.0 mmap a0+32 rw\n" + "p0.0 write a0 =1\n" * 100)
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as live:
        live.restart()
        before = _of_children()
        for _ in range(100):  # a quick machine needs less than the clock's tick for a few
            for _ in range(20):
                live.run(ops, snapshots=False)
            live.restart()
            if _of_children() > before:
                return
    pytest.fail("the processes of 2,000 programs took no time")


def _of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def test_what_differs_is_not_measured(machine: Callable[[bytes], None]) -> None:
    machine(b"")
    with pytest.raises(FaultlineError, match="differ on the standard program"):
        bench._live_rates(_SUBJECT)
