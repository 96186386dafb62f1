"""Who goes on where operations overlap.

A block is a run of operations that overlap (:data:`~faultline.program.ops.TASK_OVERLAPS`): each task does its own in their
order, and at every scheduling point the schedule says who goes on.  Without decisions nobody is preempted: a task runs
until it sleeps or is done, then the one with the lowest number follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

#: By their number in csrc/machine.h.
POLICIES: Final = ("first", "random", "pct", "replay")


class Decision(NamedTuple):
    """At a scheduling point another task goes on than without preemptions."""

    block: int
    """Number of the block in the program."""
    task: int
    """Number of the task that was running, NOBODY: the block begins."""
    next: int
    """Number of the task that goes on."""
    passed: int
    """Points that ``task`` had passed in the block, this one included."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A policy with what it needs.

    ``parameter``: of random, one point in that many is a preemption; of pct the depth.  ``points``: how many points to
    expect in a program, for pct.
    """

    policy: str = "first"
    seed: int = 0
    parameter: int = 0
    points: int = 0
    decisions: tuple[Decision, ...] = ()


class Taken(NamedTuple):
    """What a run decided."""

    decisions: tuple[Decision, ...]
    """Enough to replay it, unless there were more than a plan holds."""
    ndecisions: int
    preemptions: int
    """Decisions while the task could have gone on."""
    points: int
    unused: int
    """Decisions of a replayed schedule that found no place."""
