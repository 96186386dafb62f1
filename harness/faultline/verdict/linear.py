"""Whether what overlapping operations came to is what some order of their steps gives.

The orders are sequential programs (:mod:`faultline.oracle.orders`).  Each runs on the reference machine, the unpatched
one in a check; the oracle must agree with what it shows there.  Outcomes, events and states of the program with its
blocks must be those of one of them until the last block ends; what follows must be what the oracle expects after it.

Not every step of an operation has a sequential program.  Where no order gives the same, the reference machine runs the
program itself, its tasks preempted only where they have nothing locked.  If that gives the same, outcomes and contents
must still each be what some order gives; how they go together, and the other bits, may be as that run has it.
"""

from __future__ import annotations

import errno
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain, combinations, islice
from typing import Final

from faultline.oracle.orders import LATE_AT_COPY, Order, coarse, may_come_to, orders
from faultline.oracle.sorts import (
    ACCESSES,
    BRINGS,
    CANNOT_MOVE,
    CONTINUES,
    EVENT,
    FILLS,
    MERGES,
    MOVES,
    RECLAIMS,
    SCANS,
    SHARES,
    SLEEPERS,
    SUMMED,
    TWO_PLACES,
    WAKES,
    changed_by,
    given_up,
    passes_holes,
    process_at,
    slots_of,
)
from faultline.oracle.steps import aside, begun, joined, looking, telling
from faultline.program.codec import Operation, blocks, process_of
from faultline.program.schedule import Decision, Schedule, number_of
from faultline.program.text import format_operation
from faultline.program.trace import Bit, Event, FaultFlag, Skip, Status, Wait
from faultline.program.traceview import Completion, Snapshot, Step, parse_trace
from faultline.verdict.compare import steps_finding
from faultline.verdict.finding import Because, Finding
from faultline.verdict.reference import Reference

#: Orders of one program that are tried of each sort; with more of them some are left out.
ORDERS_MAX: Final = 12_000
#: Of the sequential ones so many come first.
ORDERS_SOON: Final = 800
#: After so many it is looked whether the program's own steps explain it, which is quicker than all of them.
ORDERS_FEW: Final = 60
#: Programs in coarse steps.  Each is run until so many runs in a row came to nothing new, with all tasks woken in time,
#: and with some late, of which few come to something different; or so many for each different trace, if these are more:
#: where several tasks are woken at once, most of what they may come to is rare.
COARSE_MAX: Final = 120
COARSE_RUNS: Final = 1_000
COARSE_LATE_RUNS: Final = 50
COARSE_FOR_EACH: Final = 10
COARSE_RUNS_MAX: Final = 5_000
#: Runs in steps that end where nothing is locked: near the schedule, and of any other; and when nothing else explains
#: the trace, of either.
STEPS_NEAR: Final = 60
STEPS_ANY: Final = 60
STEPS_LAST: Final = 2_000

#: Why a run was not judged: it is none of the orders that were tried, but there are more; in each order the machine or
#: the oracle finds something by itself; it is none of the others, but the machine finds something in one.
TOO_MANY: Final = "too many orders"
NO_ORDER: Final = "no order to compare with"
ENDS_EARLY: Final = "an order ends with a finding of its own"

View = tuple[Step, ...]


class Run:
    """What the reference machine made of an order."""

    def __init__(self, order: Order, trace: bytes, view: View, reference: Reference) -> None:
        self.order, self.trace, self.view = order, trace, view
        self._reference = reference

    @cached_property
    def counts(self) -> bool:
        """Whether the oracle agrees with it; it is asked where that matters, as this takes longest."""
        return self.order.in_blocks or self._reference.agrees(self.order, self.trace)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a trace is; without a finding it is allowed."""

    finding: Finding | None = None
    deviation: str = ""
    """The known deviation by which it is what it is."""
    undecided: str = ""
    """Why it was not judged."""


class Linear:
    """The orders of one program, run as far as they were needed."""

    def __init__(self, ops: Sequence[Operation], reference: Reference) -> None:
        self._ops = ops
        self._last = {end - 1: range(start, end) for start, end in blocks(ops)}
        self._end = max(self._last, default=-1) + 1
        self._reference = reference
        self._reads = {index for block in self._last.values() for index in block if ops[index][0] == EVENT}
        codes = {ops[index][0] for block in self._last.values() for index in block}
        self._reclaims = bool(codes & RECLAIMS)
        self._merges = merges = bool(codes & MERGES)
        shares = self._reclaims or merges or bool(codes & SHARES)
        self._open = int(Bit.EXCLUSIVE if shares else 0) | int(Bit.SOFT_DIRTY if merges else 0)
        """Bits that what was reclaimed or merged meanwhile leaves open."""
        self._given_up = {slot for op in ops[: self._end] for slot in given_up(op)}
        """Slots whose pages reclaim may discard instead of keeping them in swap.  Source: madvise(2), MADV_FREE."""
        gives_up = ((process_of(op[1]), slot) for op in ops[: self._end] for slot in given_up(op))
        self._discardable = set(gives_up if self._reclaims else ())
        """Those that reclaim may discard also when the page that it was aimed at is another one's no more."""
        self._two_places = bool(codes & TWO_PLACES)
        self._born = {ops[index][2] for block in self._last.values() for index in block if ops[index][0] in SHARES}
        """Processes that a fork in a block makes."""
        self._allowed: dict[frozenset[int], tuple[_Allowed, _Allowed, _Allowed]] = {}
        self._without: dict[frozenset[int], _Allowed] = {}
        self._ends_early = False

    def answer(self, trace: bytes, decisions: Sequence[Decision] = ()) -> Answer:
        """What a trace of the program is.

        :param decisions: those of its schedule.
        """
        view = self.view(trace)
        same_in_steps = cache(lambda: self._two_places or self._in_steps(trace, view, decisions))
        known: list[Run] = []
        sorts = self._runs(view)
        for runs in sorts:
            for run in chain.from_iterable((run, *self._read_otherwise(run, view)) for run in runs):
                if (self._same(run.view, run.order, view) or self._goes_on(run, view, trace)) and run.counts:
                    return Answer(deviation=run.order.deviation)
                if not run.order.deviation:
                    known.append(run)
                if len(known) == ORDERS_FEW and self._each_fits(known, view) and same_in_steps():
                    return Answer()
            if self._each_fits(known, view) and same_in_steps():
                return Answer()
        if self._fails_when_woken(known, view):
            return Answer()
        if self._sleeps_at_change(known, view):
            return Answer(deviation=LATE_AT_COPY)
        if not self._two_places and self._each_fits(known, view) and self._in_steps(trace, view, decisions, STEPS_LAST):
            return Answer()
        nearest_first = sorted(known, key=lambda run: _agreement(run.view, view), reverse=True)
        nearest = next((run for run in nearest_first if run.counts), None)
        if nearest is None:
            return Answer(undecided=NO_ORDER)
        if any(runs.cut for runs in sorts):
            return Answer(undecided=TOO_MANY)
        if self._ends_early:
            return Answer(undecided=ENDS_EARLY)
        return Answer(self._finding(nearest, view))

    def _fails_when_woken(self, known: Sequence[Run], view: View) -> bool:
        """Whether the trace is an order's in which accesses do nothing that slept before a block and failed in it, or
        are another task's, and others of their tasks that failed do nothing: what is unmapped may be gone for them, and
        still be in the TLB for what their tasks do next."""
        early = {
            ended.index: looking(self._ops[ended.index])
            for last, block in self._last.items()
            for ended in view[last].completions
            if ended.index < block.start
            and self._ops[ended.index][0] in SLEEPERS
            and _fails(ended)
        }
        if not early:
            return False
        told = frozenset(self._telling_of(tuple(early), view))
        early |= {
            other.index: early[index]
            for index in early
            for other in view[index : self._end]
            if _is_busy(other) and number_of(self._ops[other.index]) == number_of(self._ops[index])
            if not self._in_block(other.index)
        }
        tasks = {number_of(self._ops[index]) for index in early}
        failed = (step for step in view[: self._end] if self._in_block(step.index) and _fails(step))
        theirs = (step for step in failed if number_of(self._ops[step.index]) in tasks)
        alike = (step.index for step in theirs if self._outcome_fits(known, step))
        silent = told.union(early, alike)
        others = _without(view, silent)
        apart = {index: step for index in early if not _is_busy(view[index]) and (step := aside(self._ops, index))}
        return any(
            self._same(_without(run.view, silent), run.order, others) and run.counts
            for steps in ((early, early | apart) if apart else (early,))
            for run in self._runs_with(steps, self._skipped(view) | silent)
        )

    def _sleeps_at_change(self, known: Sequence[Run], view: View) -> bool:
        """Whether the trace is an order's until the blocks end, but for accesses that sleep, or fail instead, although
        their pages were there before the block and are there after it, unless the mapping goes, and nobody brings pages
        meanwhile, but for who changes them, too; or that slept so and were woken, as their messages tell.  Who slept
        before the block may be woken and sleep again.  What follows depends on who would wake them and what they tell,
        and is not judged."""
        at_change, end = list(self._at_change(view)), self._end
        asleep = [index for index in at_change if (view[index].status, view[index].value) in _MISSES]
        if asleep and any(self._same(run.view[:end], run.order, view[:end]) and run.counts for run in known):
            return True
        slept = [index for index in at_change if view[index].status == Status.DONE]
        woken = frozenset(self._telling_of(slept, view, missing=True))
        for some in (chosen for size in range(len(asleep) + 1) for chosen in combinations(asleep, size)):
            silent = woken.union(some, self._telling_of(some, view))
            others = _without(view[:end], silent)
            early = frozenset(index for index in silent if not self._in_block(index))
            for run in self._runs_asleep(view, some, silent) if silent else ():
                if self._same(_without(run.view[:end], early), run.order, others) and run.counts:
                    return True
        return False

    def _runs_asleep(self, view: View, some: Sequence[int], silent: frozenset[int]) -> Iterator[Run]:
        """Orders in which some accesses do nothing, and others in which they get no further than their first step.

        :param silent: these, and what reads their messages, which is left out.
        """
        idle = self._skipped(view) | silent
        waits = any(True for block in self._last.values() for _ in self._asleep_before(view, block.start, block.start))
        early = {index: looking(self._ops[index]) for index in some if not self._in_block(index)}
        first = early | {index: step for index in some if (step := begun(self._ops[index]))}
        yield from self._runs_with(early, idle) if early else self._runs_without(idle)
        if first != early:
            yield from self._runs_with(first, idle)
        for steps in (early, first) if waits else ():  # who is woken goes on in steps
            yield from self._runs_with(steps, idle, coarsely=True)

    def _telling_of(self, some: Sequence[int], view: View, *, missing: bool = False) -> Iterator[int]:
        """What reads messages of these accesses until the blocks end.

        :param missing: those that tell of missing pages alone.
        """
        slots = {slot for index in some for slot in slots_of(self._ops[index])}
        for step in view[: self._end]:
            told = self._ops[step.index][0] == EVENT and step.status == Status.DONE
            other = missing and step.value >> 8 & (FaultFlag.WP | FaultFlag.MINOR)
            if told and not other and step.value & 0xFF == Event.PAGEFAULT and step.value >> 16 in slots:
                yield step.index

    def _at_change(self, view: View) -> Iterator[int]:
        """Accesses that may meet an entry that changes."""
        for last, block in self._last.items():
            before, after = view[block.start - 1].snapshot if block.start else None, view[last].snapshot
            if before is None or after is None:
                continue
            done = [self._ops[index] for index in block if view[index].status != Status.ERROR]
            brought, woken = (
                {slot for op in done if op[0] in codes for slot in slots_of(op)} for codes in (BRINGS, WAKES)
            )
            waited = list(self._asleep_before(view, block.start, block.start))
            changing = {index: changed_by(self._ops[index]) for index in (*waited, *block)}  # in part, if it fails
            slept = self._asleep_before(view, block.start, block.stop)
            for index in (*(index for index in slept if slots_of(self._ops[index]) & woken), *block):
                op = self._ops[index]
                slots = slots_of(op)
                changed = set().union(*(at for other, at in changing.items() if other != index))
                if op[0] not in SLEEPERS or slots & brought - changed:
                    continue
                was, is_now = (snapshot.words.get(process_at(op)) for snapshot in (before, after))
                if was and is_now and all(_stays(was[slot], is_now[slot], slot in brought) for slot in slots):
                    yield index

    @staticmethod
    def _asleep_before(view: View, start: int, end: int) -> Iterator[int]:
        """What sleeps for a page where a block starts, and until an end."""
        ended = {completion.index for step in view[:end] for completion in step.completions}
        for step in view[:start]:
            if (step.status, step.value) == (Status.BLOCKED, Wait.FAULT) and step.index not in ended:
                yield step.index

    def _finding(self, nearest: Run, view: View) -> Finding | None:
        """What parts the trace, which no order gives, from the nearest one."""
        order = nearest.order
        wanted = [
            replace(ours, status=theirs.status, value=theirs.value, aux=theirs.aux)
            if ours.index in order.idle and may_come_to(self._ops[ours.index], theirs.status, theirs.value)
            else ours
            for ours, theirs in zip(nearest.view, view, strict=True)
        ]
        finding = steps_finding(self._ops, wanted, list(view), _BECAUSE)
        inside = (op for op, index in zip(order.ops, order.of, strict=True) if self._in_block(index))
        told = ", then ".join(map(format_operation, inside))
        note = f"No order of the overlapping operations gives this. The nearest is: {told}."
        return finding.with_note(note) if finding is not None else None

    def _read_otherwise(self, run: Run, view: View) -> Iterator[Run]:
        """The order, with its messages read in the order in which the trace has them: of those that are there at once
        documentation promises none, and who has done something may tell of it after others told of what followed."""
        order, trace, changed = run.order, run.trace, False
        if order.in_blocks or not self._reads:
            return
        for place, index in enumerate(order.of):
            if index not in self._reads:
                continue
            own, read = _steps(order, trace)[place], view[index]
            if own.status != Status.DONE or read.status != Status.DONE or _message(own) == _message(read):
                continue
            other = self._reference.comes_to(order, trace, replace(read, index=place))
            if other is None:
                return
            trace, changed = other, True
        if changed:
            yield Run(order, trace, self._view_of_order(order, _steps(order, trace)), self._reference)

    def _goes_on(self, run: Run, view: View, trace: bytes) -> bool:
        """Whether the trace is the order's until the last block ends, and what follows is what the oracle expects: by
        what the order shows there, or, of pages of which that is open, by what the trace shows."""
        end, order = self._end, run.order
        if order.in_blocks or end == len(view) or not self._same(run.view[:end], order, view[:end]):
            return False
        blocked = (place for place, step in enumerate(_steps(order, run.trace)) if step.status == Status.BLOCKED)
        place = {order.of[place]: place for place in blocked}
        first = next((at for at, index in enumerate(order.of) if max(index, ~index) in self._last[end - 1]), None)
        ways: list[tuple[bool, int | None]] = [(False, None)]
        if run.view[end - 1].snapshot != view[end - 1].snapshot:
            ways += [(True, None), *([(True, first)] if first is not None else ())]
        for shown, since in ways:
            joined = self._reference.goes_on(
                order, run.trace, place, self._ops, trace, end - 1, shown=shown, since=since
            )
            if self._same(self._view_of_order(order, _steps(order, joined)), order, view):
                return True
        return False

    # --- steps that end where nothing is locked ---

    def _each_fits(self, known: Sequence[Run], view: View) -> bool:
        """Whether each outcome, and what each page holds, is what some order gives.  Of what follows the blocks it is
        open when operations end that waited, and so which messages there are to read."""
        return all(self._outcome_fits(known, step) and self._contents_fit(known, step) for step in view)

    def _outcome_fits(self, known: Sequence[Run], step: Step) -> bool:
        index, op = step.index, self._ops[step.index]
        known = [run for run in known if len(run.view) > index]
        outcome = _outcome(op, step)
        alike = (
            run
            for run in known
            if _outcome(op, run.view[index]) == outcome
            or (index in run.order.idle and may_come_to(op, step.status, step.value))
        )
        fits = any(run.counts for run in alike)
        if op[0] == EVENT and self._two_places:
            fits = True  # whether the mapping can be merged where it goes depends on accesses, and with it the event
        if index < self._end:
            return fits and all(
                any(ended in run.view[index].completions and run.counts for run in known) for ended in step.completions
            )
        if op[0] in ACCESSES and slots_of(op) & self._given_up:
            fits = fits or step.status == Status.DONE  # the page that it leaves tells what it read
        if op[0] in SCANS and self._merges:
            fits = fits or step.status == Status.DONE  # which bits there are depends on what was merged
        return (fits or op[0] == EVENT) and all(
            any(_ends_so(run.view, ended) and run.counts for run in known) for ended in step.completions
        )

    def _contents_fit(self, known: Sequence[Run], step: Step) -> bool:
        if step.snapshot is None:
            return True
        processes = step.snapshot.words.keys()
        others: list[tuple[Run, Snapshot]] = []
        for run in known:
            other = run.view[step.index].snapshot if len(run.view) > step.index else None
            if other is not None and other.words.keys() == processes:
                others.append((run, other))
        return any(run.counts for run, _ in others) and all(
            word & Bit.SWAP
            or any(self._same_content(other.words[process][slot], word, slot) and run.counts for run, other in others)
            or any(
                self._was_there(run, process, slot, word, step.index)
                for run, other in others
                if other.words[process][slot] & Bit.SWAP or slot in self._given_up
            )
            for process, words in step.snapshot.words.items()
            for slot, word in enumerate(words)
        )

    def _was_there(self, run: Run, process: int, slot: int, word: int, index: int) -> bool:
        """Whether the order had this content there when it was last seen, before it was in swap; of what was given up
        any that was there since the block began."""
        start = next(reversed(self._last.values())).start
        for step in reversed(run.view[start:index]):
            words = step.snapshot.words.get(process) if step.snapshot is not None else None
            if words is not None and self._same_content(words[slot], word, slot):
                return run.counts
            if words is not None and not words[slot] & Bit.SWAP and slot not in self._given_up:
                return False
        return False

    def _same_content(self, one: int, other: int, slot: int) -> bool:
        return not (one ^ other) & _CONTENTS or self._same_word(one, other, slot)

    def _in_steps(self, trace: bytes, view: View, decisions: Sequence[Decision], more: int = 0) -> bool:
        """Whether the program itself comes to it in such steps.

        :param more: instead of the first runs of each sort so many that follow them.
        """
        for schedule in _schedules_in_steps(decisions, more):
            other = self._reference.overlapping(self._ops, schedule)
            if other is not None and (other == trace or self._same(self.view(other), _ITSELF, view)):
                return True
        return False

    # --- orders ---

    def _runs(self, view: View) -> Sequence[_Allowed]:
        """What is allowed where the operations that this run skipped do nothing: by sequential programs, and by those
        with blocks; and where those do nothing that failed, or that moved what may be holes.  What they found is
        allowed elsewhere, but memory may have been gone for them earlier than for others, whose TLBs led there still.
        At last come the many sequential programs that few runs need."""
        skipped = self._skipped(view)
        failed = frozenset(
            step.index
            for step in view
            if self._in_block(step.index) and _fails(step)
        )
        passing = frozenset(
            step.index for step in view if self._in_block(step.index) and passes_holes(self._ops[step.index])
        )
        if skipped not in self._allowed:
            sequential = self._sequential(skipped)
            parts = islice(sequential, ORDERS_SOON), self._coarse(skipped), sequential
            self._allowed[skipped] = _Allowed(parts[0]), _Allowed(parts[1]), _Allowed(parts[2])
        soon, coarse_ones, others = self._allowed[skipped]
        silent = sorted({passing, failed | passing}, key=len)
        without = [self._runs_without(skipped | some) for some in silent if some]
        return soon, coarse_ones, *without, others

    def _skipped(self, view: View) -> frozenset[int]:
        return frozenset(step.index for step in view if self._in_block(step.index) and step.status == Status.SKIPPED)

    def _runs_without(self, idle: frozenset[int]) -> _Allowed:
        if idle not in self._without:
            self._without[idle] = _Allowed(self._sequential(idle))
        return self._without[idle]

    def _runs_with(
        self, steps: dict[int, Operation], idle: frozenset[int], *, coarsely: bool = False
    ) -> Iterator[Run]:
        """Orders in which some accesses do no more than these steps of theirs.

        :param coarsely: those with blocks.
        """
        ops = [steps.get(index, op) for index, op in enumerate(self._ops)]
        return filter(None, (self._coarse if coarsely else self._sequential)(idle.difference(steps), ops))

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
            one == other
            or self._same_word(one, other, slot)
            or (process in self._born and _unwritten(one, other))
            or ((process, slot) in self._discardable and _discarded(one, other))
            for process, words in ours.words.items()
            for slot, (one, other) in enumerate(zip(words, theirs.words[process], strict=True))
        ) and (self._reclaims or self._same_counters(ours, theirs))

    def _same_counters(self, ours: Snapshot, theirs: Snapshot) -> bool:
        """But for pages of files: which of them a process maps without an access of its own is the kernel's choice."""
        return all(
            (anon, swap) == (theirs.counters[process][0], theirs.counters[process][2])
            for process, (anon, _, swap) in ours.counters.items()
        )

    def _same_word(self, one: int, other: int, slot: int) -> bool:
        """Whether two words differ only in what reclaim and KSM may have done."""
        there = Bit.PRESENT | Bit.SWAP
        if self._merges and one & other & Bit.MERGEABLE:
            one, other = one & ~Bit.UFFD_WP, other & ~Bit.UFFD_WP  # merging drops it, by a known deviation
        if (one | other) & Bit.FILE and (one ^ other) & (Bit.PRESENT | Bit.EXCLUSIVE):
            shown = _CONTENTS if one & other & Bit.PRESENT else 0
            return not (one ^ other) & (~_OF_FILE | shown)
        if self._reclaims and slot in self._given_up and (one ^ other) & Bit.SWAP and not (one | other) & Bit.PRESENT:
            return not (one ^ other) & ~(there | self._open | Bit.UFFD_WP | Bit.SOFT_DIRTY)
        if not self._reclaims or not one & there or not other & there:
            return not (one ^ other) & ~self._open
        shown = Bit.CONTENT | Bit.MIXED if one & other & Bit.PRESENT else 0
        return not (one ^ other) & (~(self._open | there | Bit.CONTENT | Bit.MIXED) | shown)

    def _sequential(
        self, skipped: frozenset[int], ops: Sequence[Operation] | None = None
    ) -> Iterator[Run | None]:
        """None: there are more orders than were tried.

        :param ops: with other operations in the place of some.
        """
        found = orders(ops or self._ops, skipped)
        tried: set[tuple[Operation, ...]] = set()
        asleep: set[tuple[Operation, ...]] = set()  # orders in which several tasks sleep, that may be woken together
        for order in islice(found, ORDERS_MAX):
            if order.last_first and order.ops not in asleep:
                continue
            trace = self._reference.sequential(order)
            if trace is None:
                self._ends_early = True
                continue
            steps = _steps(order, trace)
            if sum(step.status == Status.BLOCKED for step in steps) > 1:
                asleep.add(order.ops)
            yield Run(order, trace, self._view_of_order(order, steps), self._reference)
            whole = _whole_where_asleep(order, steps, self._ops)
            if whole is None or whole.ops in tried:
                continue
            tried.add(whole.ops)
            trace = self._reference.sequential(whole)
            if trace is not None:
                yield Run(whole, trace, self._view_of_order(whole, _steps(whole, trace)), self._reference)
        if next(found, None) is not None:
            yield None

    def _coarse(
        self, skipped: frozenset[int], ops: Sequence[Operation] | None = None
    ) -> Iterator[Run | None]:
        """As :meth:`_sequential`, of orders with blocks."""
        found = coarse(ops or self._ops, skipped)
        for order in islice(found, COARSE_MAX):
            seen: set[bytes] = set()
            least, newest = COARSE_LATE_RUNS if order.late else COARSE_RUNS, 0
            for seed in range(COARSE_RUNS_MAX):
                if seed - newest >= max(least, COARSE_FOR_EACH * len(seen)):
                    break
                trace = self._reference.overlapping(
                    order.ops, Schedule("coarse", seed, late=order.late, late_ops=order.late_ops)
                )
                if trace is not None and trace not in seen:
                    newest = seed
                    seen.add(trace)
                    yield Run(order, trace, self._view_of_order(order, _steps(order, trace)), self._reference)
        if next(found, None) is not None:
            yield None

    # --- views: one step for each operation; in a block outcomes are as they are at its end ---

    def view(self, trace: bytes) -> View:
        """The steps of a trace of the program itself."""
        steps = parse_trace(trace, self._ops, snapshots=True)
        return tuple(
            Step(s.index, s.status, s.value, s.aux, _sorted(s.completions), s.snapshot, None) for s in steps
        )

    def _view_of_order(self, order: Order, steps: Sequence[Step]) -> View:
        inside: dict[int, dict[int, Step | Completion]] = {}
        before: dict[int, dict[int, Completion]] = {}
        view: dict[int, Step] = {}
        shown: dict[int, Step] = {}
        block_of = {index: last for last, block in self._last.items() for index in block}
        for place, step in enumerate(steps):
            index = order.of[place]
            ended = [_renamed(completion, order.of[completion.index]) for completion in step.completions]
            last = block_of.get(index if index >= 0 else ~index)
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
                parts = [
                    (order.ops[place], part)
                    for place, part in sorted(inside.get(last, {}).items())
                    if order.of[place] == index
                ]
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

    def __init__(self, source: Iterator[Run | None]) -> None:
        self._source = source
        self._so_far: list[Run] = []
        self.cut = False
        """Whether some were left out, as far as they were looked at."""

    def __iter__(self) -> Iterator[Run]:
        yield from self._so_far
        for one in self._source:
            if one is None:
                self.cut = True
            else:
                self._so_far.append(one)
                yield one


_CHANGING: Final = (errno.ENOENT, errno.EAGAIN)
_BEYOND: Final = (errno.EFAULT, errno.ENOMEM)
#: What comes of an access to a missing page that is registered, by the userfaultfd's features and by who accesses it.
_MISSES: Final = (
    (Status.BLOCKED, Wait.FAULT),
    (Status.SIGNAL, signal.SIGBUS),
    (Status.ERROR, errno.EFAULT),
    (Status.ERROR, errno.EIO),
)
_ITSELF: Final = Order((), (), frozenset())
_CONTENTS: Final = int(Bit.CONTENT | Bit.MIXED)
#: What a slot shows of a page of a file that may be mapped there, or not.
_OF_FILE: Final = Bit.PRESENT | Bit.FILE | Bit.EXCLUSIVE | Bit.CONTENT | Bit.MIXED

_BECAUSE: Final = (
    Because(
        "Operations that overlap come to what some order of their steps gives, one step for each page.",
        "docs/oracle.md, Operations that overlap",
    ),
)


def _steps(order: Order, trace: bytes) -> list[Step]:
    return parse_trace(trace, order.ops, snapshots=True)


def _whole_where_asleep(order: Order, steps: Sequence[Step], ops: Sequence[Operation]) -> Order | None:
    """The order with operations that sleep for good in one of their steps whole from there on: they go on with the rest
    when they are woken after the block.  None: there are none."""
    changed: dict[int, Operation] = {}
    gone: set[int] = set()
    for place, step in enumerate(steps):
        index = order.of[place]
        rest = [later for later in range(place + 1, len(steps)) if order.of[later] == index]
        if step.status != Status.BLOCKED or not rest:
            continue
        busy = all(_is_busy(steps[later]) for later in rest)
        whole = joined([order.ops[later] for later in (place, *rest)], ops[index]) if busy else None
        if whole is not None:
            changed[place] = whole
            gone.update(rest)
    kept = [(changed.get(place, op), order.of[place]) for place, op in enumerate(order.ops) if place not in gone]
    return replace(order, ops=tuple(op for op, _ in kept), of=tuple(index for _, index in kept)) if changed else None


def _fails(step: Step | Completion) -> bool:
    return step.status in (Status.ERROR, Status.SIGNAL)


def _is_busy(step: Step) -> bool:
    """Whether the task was still blocked in an earlier operation."""
    return (step.status, step.value) == (Status.SKIPPED, Skip.BUSY)


def _sorted(completions: Sequence[Completion]) -> tuple[Completion, ...]:
    return tuple(sorted(completions, key=lambda completion: completion.index))


def _stays(was: int, is_now: int, brought: bool) -> bool:
    """Whether a slot where missing pages are, or were, told of had a page, or got it, and has it as long as it is
    told."""
    there = Bit.PRESENT | Bit.SWAP
    had = was & there or brought
    return bool((was | is_now) & Bit.REG_MISSING and had and (is_now & there or not is_now & Bit.REG_MISSING))


def _without(view: View, some: frozenset[int]) -> View:
    """The steps as if some operations had come to nothing."""
    done = (replace(step, status=Status.DONE, value=0, aux=0) if step.index in some else step for step in view)
    return tuple(
        replace(step, completions=tuple(ended for ended in step.completions if ended.index not in some))
        for step in done
    )


def _discarded(one: int, other: int) -> bool:
    """Whether the page of one word is gone in the other."""
    kept = Bit.PRESENT | Bit.EXCLUSIVE | Bit.CONTENT | Bit.MIXED | Bit.UFFD_WP | Bit.SOFT_DIRTY
    return bool(one & Bit.PRESENT) and not other & (kept | Bit.SWAP) and not (one ^ other) & ~kept


def _unwritten(one: int, other: int) -> bool:
    """Whether one word is of a page of zeroes and the other one of none, where nobody asks which: a child gets such a
    page if the parent has begun to write to the mapping.  Source: fork(2) tells of contents alone."""
    alike = not (one ^ other) & ~(Bit.PRESENT | Bit.SOFT_DIRTY) and not one & (Bit.CONTENT | Bit.MIXED)
    return alike and not one & (Bit.FILE | Bit.SWAP | Bit.EXCLUSIVE | Bit.REG_MISSING | Bit.UFFD_WP)


def _renamed(completion: Completion, index: int) -> Completion:
    return Completion(index, completion.status, completion.value, completion.aux)


def _outcome(op: Operation, step: Step) -> tuple[Status, int, int]:
    """The outcome; errors that say the same are one."""
    beyond = (*_BEYOND, errno.EINVAL) if op[0] in CONTINUES else _BEYOND
    for alike in (CANNOT_MOVE,) if op[0] in MOVES else (_CHANGING, beyond) if op[0] in FILLS else ():
        if step.status == Status.ERROR and step.value in alike:
            return Status.ERROR, alike[0], 0
    return step.status, step.value, step.aux


def _message(step: Step) -> tuple[int, int]:
    return step.value, step.aux


def _ends_so(view: View, ended: Completion) -> bool:
    """Whether the operation comes to the same, be it at another time."""
    own = next((step for step in view if step.index == ended.index), None)
    told = [] if own is None else [Completion(own.index, own.status, own.value, own.aux)]
    return ended in (*told, *(completion for step in view for completion in step.completions))


def _combined(op: Operation, steps: Sequence[tuple[Operation, Step | Completion]]) -> tuple[Status, int, int]:
    """The outcome of an operation from those of its steps: the first that is not done, else the last; of an access,
    what the access itself comes to, unless it stops before."""
    if not steps:
        return Status.DONE, 0, 0
    told = telling(op, [step for step, _ in steps])
    parts = [part for i, (_, part) in enumerate(steps) if i in told]
    if op[0] in SUMMED and all(part.status == Status.DONE for part in parts):
        return Status.DONE, sum(part.value for part in parts), sum(part.aux for part in parts)
    stops = (Status.BLOCKED, Status.KILLED) if op[0] in ACCESSES else tuple(set(Status) - {Status.DONE})
    if op[0] not in ACCESSES and len(parts) > 1:
        parts = [part for place, part in enumerate(parts) if place == 0 or part.status != Status.SKIPPED]
    first = next((part for part in parts if part.status in stops), parts[-1])
    return first.status, first.value, first.aux


def _schedules_in_steps(decisions: Sequence[Decision], more: int) -> Iterator[Schedule]:
    """The schedule with its preemptions put off to where the step ends, and near it; and any others."""
    rng = random.Random(len(decisions) + more)
    for locked in (0, 1, 2):
        for run in range(more or STEPS_NEAR) if decisions else ():
            reach = run % STEPS_NEAR // 6
            moved = (d._replace(passed=max(1, d.passed + rng.randint(-reach, reach))) for d in decisions)
            yield Schedule("steps", parameter=locked, decisions=tuple(moved))
        for seed in range(STEPS_ANY, STEPS_ANY + more) if more else range(STEPS_ANY):
            yield Schedule("steps", seed, locked)


def _agreement(ours: View, theirs: View) -> tuple[int, int]:
    """How far two views agree from the start, then in how many places."""
    same = [one == other for one, other in zip(ours, theirs, strict=False)]
    return (same.index(False) if False in same else len(same)), sum(same)

