"""A finding's program as it ran, operation by operation, beside what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from faultline.program.codec import Operation, overlaps
from faultline.program.text import format_actor, format_operation
from faultline.program.trace import Status
from faultline.program.traceview import Snapshot, Step, describe_step, describe_word, parse_trace
from faultline.report.document import Pages, Ran
from faultline.verdict.judge import Evidence


def ran(ops: Sequence[Operation], evidence: Evidence) -> tuple[Ran, ...]:
    """The program's operations with their outcomes and the state after each, as far as the run came.

    What was expected is said of the first operation that did something else, or of the one that did not come to its
    end; after that the two are in different states.
    """
    happened = parse_trace(evidence.happened, ops, snapshots=True)
    expected = parse_trace(evidence.expected, ops, snapshots=True)
    parted = _parting(happened, expected)
    return tuple(
        _ran(op, index, happened, expected[index] if index == parted else None) for index, op in enumerate(ops)
    )


def _parting(happened: Sequence[Step], expected: Sequence[Step]) -> int | None:
    """The first operation of which the two do not say the same; None: there is none."""
    for index, step in enumerate(expected):
        if index >= len(happened) or step != happened[index]:
            return index
    return None


def _ran(op: Operation, index: int, happened: Sequence[Step], expected: Step | None) -> Ran:
    step = happened[index] if index < len(happened) else None
    outcome = describe_step(op, step) if step else ""
    wanted = describe_step(op, expected) if expected else ""
    after = pages(step.snapshot) if step and step.snapshot else None
    expected_after = pages(expected.snapshot) if expected and expected.snapshot else None
    return Ran(
        text=format_operation(op),
        actor=format_actor(op[1]),
        overlaps=overlaps(op),
        outcome=outcome,
        expected="" if wanted == outcome else wanted,
        blocks=step is not None and step.status is Status.BLOCKED,
        ends=tuple(ended.index for ended in step.completions) if step else (),
        after=after,
        expected_after=None if expected_after == after else expected_after,
    )


def pages(snapshot: Snapshot) -> tuple[Pages, ...]:
    """What each process has mapped, neighbours in the same state together."""
    return tuple(page for process in sorted(snapshot.words) for page in _of(process, snapshot.words[process]))


def _of(process: int, words: Sequence[int]) -> Iterator[Pages]:
    for word, group in groupby(enumerate(words), key=lambda numbered: numbered[1]):
        slots = [slot for slot, _ in group]
        if word:
            yield Pages(process, slots[0], len(slots), word, describe_word(word))
