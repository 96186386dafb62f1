"""Who goes on where operations overlap.

A block is a run of operations that overlap (:data:`~faultline.program.ops.TASK_OVERLAPS`): each task does its own in
their order, and at every scheduling point the schedule says who goes on.  Without decisions nobody is preempted: a task
runs until it sleeps or is done, then the one with the lowest number follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, blocks, is_monitor, process_of, task_of
from faultline.program.ops import BY_KTHREAD, OPS, PROCESSES, TASKS

#: By their number in csrc/machine.h.
POLICIES: Final = ("first", "random", "pct", "replay", "coarse", "steps", "search", "every")
#: Of preemptions: FL_ANY_NUMBER of csrc/machine.h.
ANY_NUMBER: Final = 2**32 - 1
#: Numbers of the tasks that are of no process, and of nobody.
MONITOR: Final = PROCESSES * TASKS
KTHREAD: Final = MONITOR + 1
DISK: Final = MONITOR + 2
NOBODY: Final = 255
_NAMES: Final = {MONITOR: "m", KTHREAD: "k", DISK: "d", NOBODY: "-"}
_NUMBERS: Final = {name: number for number, name in _NAMES.items()}
_DECISION: Final = re.compile(r"(?:([0-9]{1,3}):)?([a-z0-9.-]+)@([0-9]{1,9})>([a-z0-9.]+)")
_TASK: Final = re.compile(r"p([0-9])\.([0-9])")


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

    ``parameter``: of random, one point in that many is a preemption; of pct the depth; of every how many preemptions
    there may be.  ``points``: how many points to expect in a program, for pct.
    """

    policy: str = "first"
    seed: int = 0
    parameter: int = 0
    points: int = 0
    decisions: tuple[Decision, ...] = ()
    goes_on: bool = False
    """Of a search: with the next schedule of the program that ran last."""
    late: int = 0
    """Tasks, as bits, of which an operation in the block hears no wake-up by one of ``late_ops``, codes as bits."""
    late_ops: int = 0


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
    left: bool = False
    """Of a search: there are schedules to run."""
    cut: bool = False
    """Of a search: it was too large, so that it leaves out schedules."""


NOTHING_TAKEN: Final = Taken((), 0, 0, 0, 0)


def number_of(op: Operation) -> int:
    """The number of the task that does the operation."""
    if is_monitor(op[1]):
        return KTHREAD if OPS[op[0]].name in BY_KTHREAD else MONITOR
    return process_of(op[1]) * TASKS + task_of(op[1])


def name_of(number: int) -> str:
    """``p1.0`` for a task's number; ``m`` the monitor, ``k`` the kernel's thread, ``d`` the disk, ``-`` nobody."""
    return _NAMES.get(number) or f"p{number // TASKS}.{number % TASKS}"


def format_schedule(decisions: tuple[Decision, ...]) -> str:
    """The decisions as a line: ``p0.1@3>m`` has m go on when p0.1 passes its third point in the block; the number of
    the block stands before it if it is not the first: ``1:p0.1@3>m``."""
    return " ".join(
        (f"{d.block}:" if d.block else "") + f"{name_of(d.task)}@{d.passed}>{name_of(d.next)}" for d in decisions
    )


def _number(word: str, name: str, origin: str) -> int:
    match = _TASK.fullmatch(name)
    if match and int(match[1]) < PROCESSES and int(match[2]) < TASKS:
        return int(match[1]) * TASKS + int(match[2])
    if name in _NUMBERS:
        return _NUMBERS[name]
    tasks = f"p0.0 to p{PROCESSES - 1}.{TASKS - 1}, m, k or d"
    raise FaultlineError(f"{origin}: {word!r} names no task: {tasks}", ExitStatus.USAGE)


def parse_schedule(
    text: str, ops: Sequence[Operation] | None = None, origin: str = "schedule"
) -> tuple[Decision, ...]:
    """The decisions that a line tells.

    :param ops: the program that they are for, None: any.
    :param origin: where the line stands, for errors.
    :raises FaultlineError: (USAGE) a word is no decision, or names a block or task that the program has not.
    """
    found = []
    for word in text.split():
        match = _DECISION.fullmatch(word)
        if not match:
            raise FaultlineError(f"{origin}: {word[:40]!r} is no decision such as p0.1@3>m", ExitStatus.USAGE)
        block, task, following = int(match[1] or 0), _number(word, match[2], origin), _number(word, match[4], origin)
        found.append(Decision(block, task, following, int(match[3])))
        if ops is not None:
            _check(found[-1], word, ops, origin)
    return tuple(found)


def tasks_of_blocks(ops: Sequence[Operation]) -> list[set[int]]:
    """For each block the tasks that may have something to do in it: they do in or before it, or are the disk."""
    return [{number_of(op) for op in ops[:end]} | {DISK, NOBODY} for _, end in blocks(ops)]


def _check(decision: Decision, word: str, ops: Sequence[Operation], origin: str) -> None:
    there = tasks_of_blocks(ops)
    if decision.block >= len(there):
        raise FaultlineError(f"{origin}: {word!r}: the program has {len(there)} blocks", ExitStatus.USAGE)
    for number in (decision.task, decision.next):
        if number not in there[decision.block]:
            raise FaultlineError(
                f"{origin}: {word!r}: {name_of(number)} does nothing in or before that block", ExitStatus.USAGE
            )
