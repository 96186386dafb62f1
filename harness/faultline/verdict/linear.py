"""Whether what overlapping operations came to is what some order of their steps gives.

The orders are sequential programs (:mod:`faultline.oracle.orders`).  Each runs on the reference machine, the unpatched
one in a check; the oracle must agree with what it shows there.  Outcomes, events and states of the program with its
blocks must be those of one of them, to the program's end.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from faultline.oracle.orders import (
    ACCESSES,
    FILLS,
    FIRST_TELLS,
    MERGES,
    RECLAIMS,
    SHARES,
    SUMMED,
    Order,
    coarse,
    may_come_to,
    orders,
)
from faultline.program.codec import Operation, blocks
from faultline.program.text import format_operation
from faultline.program.trace import Bit, Status
from faultline.program.traceview import Completion, Snapshot, Step, parse_trace
from faultline.verdict.compare import steps_finding
from faultline.verdict.finding import Because, Finding

#: Orders of one program that are tried of each sort; with more of them some are left out.
ORDERS_MAX: Final = 400
#: Programs in coarse steps, and runs of each; of these few come to something different.
COARSE_MAX: Final = 32
COARSE_RUNS: Final = 100

View = tuple[Step, ...]


class Reference(Protocol):
    """Runs what stands for overlapping operations: on the unpatched machine, in a check."""

    def sequential(self, order: Order) -> bytes | None:
        """The trace of a sequential program, if machine and oracle agree on it; else None."""

    def coarse(self, order: Order, seed: int) -> bytes | None:
        """The trace of a program with blocks in which nobody is preempted, None if the machine found something."""


class Linear:
    """The orders of one program, run as far as they were needed."""

    def __init__(self, ops: Sequence[Operation], reference: Reference) -> None:
        self._ops = ops
        self._last = {end - 1: range(start, end) for start, end in blocks(ops)}
        self._reference = reference
        codes = {ops[index][0] for block in self._last.values() for index in block}
        self._reclaims = bool(codes & RECLAIMS)
        merges = bool(codes & MERGES)
        shares = self._reclaims or merges or bool(codes & SHARES)
        self._open = int(Bit.EXCLUSIVE if shares else 0) | int(Bit.SOFT_DIRTY if merges else 0)
        """Bits that what was reclaimed or merged meanwhile leaves open."""
        self._allowed: dict[frozenset[int], _Allowed] = {}

    def order(self, trace: bytes) -> Order | None:
        """The order that gives the same as this trace of the program; None: none of them."""
        view = self.view(trace)
        return next((order for allowed, order in self._all(view) if self._same(allowed, order, view)), None)

    def finding(self, trace: bytes) -> Finding:
        """What parts the trace, which no order gives, from the nearest one."""
        view = self.view(trace)
        known = list(self._all(view))
        if not known:
            raise ValueError("no order of the program runs to its end on the reference machine")
        nearest, order = max(known, key=lambda one: _agreement(one[0], view))
        finding = steps_finding(self._ops, list(nearest), list(view), _BECAUSE)
        if finding is None:
            raise ValueError("the trace is what an order gives")
        inside = (op for op, index in zip(order.ops, order.of, strict=True) if self._in_block(index))
        told = ", then ".join(map(format_operation, inside))
        return finding.with_note(f"No order of the overlapping operations gives this. The nearest is: {told}.")

    def _all(self, view: View) -> Iterator[tuple[View, Order]]:
        """What is allowed where the operations that this run skipped do nothing."""
        skipped = frozenset(
            step.index for step in view if self._in_block(step.index) and step.status == Status.SKIPPED
        )
        if skipped not in self._allowed:
            self._allowed[skipped] = _Allowed(self._run(skipped))
        return iter(self._allowed[skipped])

    def _in_block(self, index: int) -> bool:
        return any(index in block for block in self._last.values())

    def _same(self, allowed: View, order: Order, view: View) -> bool:
        return len(allowed) == len(view) and all(
            ours == theirs
            or (
                (
                    _outcome(self._ops[ours.index], ours) == _outcome(self._ops[ours.index], theirs)
                    or (
                        ours.index in order.idle
                        and may_come_to(self._ops[ours.index], theirs.status, theirs.value)
                    )
                )
                and ours.completions == theirs.completions
                and self._same_state(ours.snapshot, theirs.snapshot)
            )
            for ours, theirs in zip(allowed, view, strict=True)
        )

    def _same_state(self, ours: Snapshot | None, theirs: Snapshot | None) -> bool:
        if ours == theirs or ours is None or theirs is None:
            return ours == theirs
        if ours.words.keys() != theirs.words.keys():
            return False
        return all(
            one == other or self._same_word(one, other)
            for process, words in ours.words.items()
            for one, other in zip(words, theirs.words[process], strict=True)
        ) and (self._reclaims or self._same_counters(ours, theirs))

    def _same_counters(self, ours: Snapshot, theirs: Snapshot) -> bool:
        """But for pages of files: which of them a process maps without an access of its own is the kernel's choice."""
        return all(
            (anon, swap) == (theirs.counters[process][0], theirs.counters[process][2])
            for process, (anon, _, swap) in ours.counters.items()
        )

    def _same_word(self, one: int, other: int) -> bool:
        """Whether two words differ only in what reclaim and KSM may have done."""
        there = Bit.PRESENT | Bit.SWAP
        if (one ^ other) & Bit.PRESENT and (one | other) & Bit.FILE:
            return not (one ^ other) & ~_OF_FILE
        if not self._reclaims or not one & there or not other & there:
            return not (one ^ other) & ~self._open
        shown = Bit.CONTENT | Bit.MIXED if one & other & Bit.PRESENT else 0
        return not (one ^ other) & (~(self._open | there | Bit.CONTENT | Bit.MIXED) | shown)

    def _run(self, skipped: frozenset[int]) -> Iterator[tuple[View, Order]]:
        for order in islice(orders(self._ops, skipped), ORDERS_MAX):
            trace = self._reference.sequential(order)
            if trace is not None:
                yield self._view_of_order(order, trace), order
        for order in islice(coarse(self._ops, skipped), COARSE_MAX):
            seen: set[bytes] = set()
            for seed in range(COARSE_RUNS):
                trace = self._reference.coarse(order, seed)
                if trace is not None and trace not in seen:
                    seen.add(trace)
                    yield self._view_of_order(order, trace), order

    # --- views: one step for each operation; in a block outcomes are as they are at its end ---

    def view(self, trace: bytes) -> View:
        """The steps of a trace of the program itself."""
        steps = parse_trace(trace, self._ops, snapshots=True)
        return tuple(
            Step(s.index, s.status, s.value, s.aux, _sorted(s.completions), s.snapshot, None) for s in steps
        )

    def _view_of_order(self, order: Order, trace: bytes) -> View:
        steps = parse_trace(trace, order.ops, snapshots=True)
        inside: dict[int, dict[int, Step | Completion]] = {}
        before: dict[int, dict[int, Completion]] = {}
        view: dict[int, Step] = {}
        shown: dict[int, Step] = {}
        block_of = {index: last for last, block in self._last.items() for index in block}
        for place, step in enumerate(steps):
            index = order.of[place]
            ended = [_renamed(completion, order.of[completion.index]) for completion in step.completions]
            last = block_of.get(index)
            if last is None:
                view[index] = Step(index, step.status, step.value, step.aux, _sorted(ended), step.snapshot, None)
                continue
            shown[last] = step
            inside.setdefault(last, {})[place] = step
            for completion, own in zip(step.completions, ended, strict=True):
                if block_of.get(own.index) == last:
                    inside[last][completion.index] = completion
                else:
                    before.setdefault(last, {})[own.index] = own
        for last, block in self._last.items():
            at_end = shown.get(last)
            for index in block:
                parts = [part for place, part in sorted(inside.get(last, {}).items()) if order.of[place] == index]
                status, value, aux = _combined(self._ops[index], parts)
                completions = _sorted(list(before.get(last, {}).values())) if index == last else ()
                snapshot = self._snapshot_at(at_end, view, block.start) if index == last else None
                view[index] = Step(index, status, value, aux, completions, snapshot, None)
        return tuple(view[index] for index in range(len(self._ops)))

    @staticmethod
    def _snapshot_at(at_end: Step | None, view: dict[int, Step], start: int) -> Snapshot | None:
        if at_end is not None:
            return at_end.snapshot
        return view[start - 1].snapshot if start else None


class _Allowed:
    """What an iterator yields, any number of times."""

    def __init__(self, source: Iterator[tuple[View, Order]]) -> None:
        self._source = source
        self._so_far: list[tuple[View, Order]] = []

    def __iter__(self) -> Iterator[tuple[View, Order]]:
        yield from self._so_far
        for one in self._source:
            self._so_far.append(one)
            yield one


#: What a slot shows of a page of a file that may be mapped there, or not.
_OF_FILE: Final = Bit.PRESENT | Bit.FILE | Bit.EXCLUSIVE | Bit.CONTENT | Bit.MIXED

_BECAUSE: Final = (
    Because(
        "Operations that overlap come to what some order of their steps gives, one step for each page.",
        "docs/oracle.md, Operations that overlap",
    ),
)


def _sorted(completions: Sequence[Completion]) -> tuple[Completion, ...]:
    return tuple(sorted(completions, key=lambda completion: completion.index))


def _renamed(completion: Completion, index: int) -> Completion:
    return Completion(index, completion.status, completion.value, completion.aux)


def _outcome(op: Operation, step: Step) -> tuple[Status, int, int]:
    changing = step.status == Status.ERROR and op[0] in FILLS and step.value in (errno.ENOENT, errno.EAGAIN)
    return (Status.ERROR, errno.EAGAIN, 0) if changing else (step.status, step.value, step.aux)


def _combined(op: Operation, parts: Sequence[Step | Completion]) -> tuple[Status, int, int]:
    """The outcome of an operation from those of its steps: the first that is not done, else the last; of an access,
    what the access itself comes to, unless it stops before."""
    if not parts:
        return Status.DONE, 0, 0
    if op[0] in SUMMED and len(parts) > 1 and all(part.status == Status.DONE for part in parts):
        return Status.DONE, sum(part.value for part in parts), sum(part.aux for part in parts)
    stops = (Status.BLOCKED, Status.KILLED) if op[0] in ACCESSES else tuple(set(Status) - {Status.DONE})
    if op[0] not in ACCESSES and len(parts) > 1:
        parts = [part for place, part in enumerate(parts) if place == 0 or part.status != Status.SKIPPED]
    telling = next((part for part in parts if part.status in stops), parts[0 if op[0] in FIRST_TELLS else -1])
    return telling.status, telling.value, telling.aux


def _agreement(ours: View, theirs: View) -> tuple[int, int]:
    """How far two views agree from the start, then in how many places."""
    same = [one == other for one, other in zip(ours, theirs, strict=False)]
    return (same.index(False) if False in same else len(same)), sum(same)

