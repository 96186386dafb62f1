"""The oracle: what documentation says a program does, as the bytes of its trace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice, permutations, product
from operator import itemgetter
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.dirty import CLEAR_REFS, SOFT_DIRTY_BYTE, SOFT_DIRTY_VALUE, Dirty, SoftDirty
from faultline.oracle.fail import NOTHING, SWAP_READ, Fail
from faultline.oracle.files import Files
from faultline.oracle.fill import Fill
from faultline.oracle.guest import Guest
from faultline.oracle.huge import Huge
from faultline.oracle.hugetlb import Hugetlb
from faultline.oracle.ksm import Ksm
from faultline.oracle.memory import BLOCKED_EVENT, LOADS, PROCESS_MASK, unknown_advice
from faultline.oracle.pins import HOLDING, PIN_STATE, REMOTE, Pins
from faultline.oracle.rules import DEVIATIONS, RULES, KnownDeviation, Rule
from faultline.oracle.state import (
    EXCLUSIVE,
    GUARD,
    HUGE,
    SLOT_MASK,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    Context,
    EventWaiter,
    FilePage,
    ForkWaiter,
    OpenBits,
    Outcome,
    Process,
    RemoveWaiter,
    Waiter,
)
from faultline.oracle.swap import Swap
from faultline.program.codec import Operation, process_of, task_of
from faultline.program.ops import BY_NAME, FILES, NEED_NAMES, OPS, PROCESSES, SHARING, SLOTS, TASK_MONITOR, UFFDS
from faultline.program.trace import COMPLETION, COUNTERS, RECORD, SNAPSHOT_HEAD, Skip, Status

_NO_PROCESS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_PROCESS), 0)
_BUSY: Final[Outcome] = (int(Status.SKIPPED), int(Skip.BUSY), 0)
_LACKS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.LACKS), 0)
_BLOCKED: Final = int(Status.BLOCKED)
_UNREGISTER, _POPULATE = (BY_NAME[name].code for name in ("uffd-unregister", "populate"))
#: Operations that fail in ways that look alike at first.
_FAILS_ALIKE: Final = frozenset((_UNREGISTER, BY_NAME["mremap"].code))
_KSM: Final = frozenset(BY_NAME[name].code for name in ("ksm-merge", "ksm-scan"))
_ROW_SIZE: Final = SLOTS * 4 + COUNTERS.size
_CODE_OF: Final = itemgetter(0)
#: The heads of snapshots, by the bits of the processes that live.
_HEADS: Final = [SNAPSHOT_HEAD.pack(live) for live in range(1 << PROCESSES)]

#: Orders in which tasks woken together are tried.
_ORDERS_MAX: Final = 120
#: Choices within one order that are tried.
_CHOICES_MAX: Final = 16
#: What those trials change.
_STATE: Final = (
    "_processes", "_living", "_live", "_blocked", "_handles", "_woken", "_ended", "_once", "_stale", "_met", "_tainted",
    "_guessed",
    *PIN_STATE,
    "_swap", "_unborn", "_unread",
    "_files", "_perhaps",
    "_rows_before", "_collapsing", "_splitting", "_retried", "_observed_rows",
    "_soft", "_marks", "_closely", "_huge_files",
    "_choices",
)
#: How often a program is followed anew, with other choices that show late.
_RUNS_MAX: Final = 64

Handler = Callable[[Operation], Outcome]


class Expectation:
    """What the oracle expects of a program.

    ``trace``: the bytes of all records, without internals or end.  ``deviations``: ids of the known deviations that the
    backend's trace showed.
    """

    __slots__ = ("_also", "_rules", "deviations", "trace")

    def __init__(self, trace: bytes, rules: list[int], also: dict[int, list[int]], deviations: tuple[str, ...]) -> None:
        self.trace = trace
        self.deviations = deviations
        self._rules = rules
        self._also = also

    def rule(self, op_index: int) -> Rule | None:
        """The rule that decided the outcome of an operation; None if there is no such operation."""
        return RULES[self._rules[op_index]] if 0 <= op_index < len(self._rules) else None

    def rules(self, op_index: int) -> tuple[Rule, ...]:
        """All rules that decided what the record of an operation says, the outcome's first."""
        if not 0 <= op_index < len(self._rules):
            return ()
        return tuple(RULES[rule] for rule in (self._rules[op_index], *self._also.get(op_index, ())))


def known_deviation(name: str) -> KnownDeviation:
    """The known deviation with this id.

    :raises KeyError: there is none.
    """
    return {deviation.id: deviation for deviation in DEVIATIONS}[name]


class Oracle(Huge, Hugetlb, Files, Fill, Ksm, Fail, Guest, Pins, Swap, Dirty):
    """The reference model.  One object serves any number of programs, one after another.

    :param tree_version: the kernel version, for what differs (:mod:`faultline.oracle.versions`).
    :param has: what the kernel has, of :data:`~faultline.program.ops.NEEDS`.
    """

    def __init__(
        self, *, tree_version: versions.Version = (6, 12), has: Collection[str] = NEED_NAMES
    ) -> None:
        self.version: Final = tree_version
        self._holds = versions.holds(tree_version)
        self._has = frozenset(has)
        self._unknown_advice = unknown_advice(has)
        self._huge = "thp" in self._has
        self._handlers: list[Handler] = [
            getattr(self, "_op_" + op.name.replace("-", "_")) if self._has.issuperset(op.needs) else self._lacks
            for op in OPS
        ]
        if "hugetlb" in self._has:
            self._handlers = [partial(self._with_hugetlb, handler) for handler in self._handlers]

        self._resumptions = {
            BY_NAME["read"].code: self._load_again,
            BY_NAME["write"].code: self._store_again,
            BY_NAME["guest-read"].code: self._guest_load_again,
            BY_NAME["guest-write"].code: self._guest_store_again,
            **dict.fromkeys(HOLDING, self._go_on_holding),
            **dict.fromkeys(REMOTE, self._remote_again),
            BY_NAME["populate"].code: self._populate_again,
        }

    def but(self, difference: int, holds: bool) -> Oracle:
        """An oracle for the same kernel, but for one difference of :mod:`faultline.oracle.versions`, by its place."""
        other = Oracle(tree_version=self.version, has=self._has)
        other._holds = (*self._holds[:difference], holds, *self._holds[difference + 1 :])
        return other

    def _lacks(self, _: Operation) -> Outcome:
        self._rule = rules.SKIP_LACKS
        return _LACKS

    def expect(self, ops: Sequence[Operation], observed: bytes | None = None, *, snapshots: bool = True) -> Expectation:
        """What the program does.

        :param ops: canonical operations.
        :param observed: the backend's trace, without internals.  Where documentation leaves a choice, and where a known
            deviation may show, the oracle goes on with what the trace says if that is allowed; without a trace it takes
            one allowed choice.
        :param snapshots: the trace has snapshots.  Without them some choices cannot be seen, so a disagreement must be
            confirmed with snapshots before it is reported.
        """
        self._script: list[int] = []
        expectation = first = self._follow(ops, observed, snapshots)
        for _ in range(_RUNS_MAX):
            if observed is None or expectation.trace.startswith(observed) or not self._choose_anew(observed):
                break
            expectation = self._follow(ops, observed, snapshots)
        return expectation if observed is None or expectation.trace.startswith(observed) else first

    def _follow(self, ops: Sequence[Operation], observed: bytes | None, snapshots: bool) -> Expectation:
        """What the program does, with the choices that show late as the script says."""
        self._reset(ops, observed, snapshots)
        self._snapshots = snapshots
        out, rule_of, blocked, handlers = self._out, self._rule_of, self._blocked, self._handlers
        for index, op in enumerate(ops):
            self._index = index
            task = op[1]
            if self._failing:
                failing, self._failing = self._failing, NOTHING
                if failing == SWAP_READ:
                    self._reads_may_fail()
                    out += self._record_of(op, self._outcome(op), snapshots)
                else:
                    self._may_fail = True
                    out += self._record_of_failing(op, snapshots)
                    self._may_fail = False
                rule_of.append(self._rule)
                blocked = self._blocked
                continue
            if task != TASK_MONITOR and not self._live >> (task & PROCESS_MASK) & 1:
                self._rule, outcome = rules.SKIP_PROCESS, _NO_PROCESS
            elif task in blocked:
                self._rule, outcome = rules.SKIP_BUSY, _BUSY
            else:
                outcome = handlers[op[0]](op)
            rule = self._rule
            if self._woken and observed is not None and self._order_matters():
                out += self._record_in_some_order(op, outcome, snapshots)
                blocked = self._blocked
            else:
                out += self._record(op, outcome, snapshots)
            rule_of.append(rule)
        deviations = tuple(DEVIATIONS[i].id for i in self._met)
        return Expectation(bytes(out), rule_of, self._also_of, deviations)

    def _outcome(self, op: Operation) -> Outcome:
        task = op[1]
        if task != TASK_MONITOR and not self._live >> (task & PROCESS_MASK) & 1:
            self._rule = rules.SKIP_PROCESS
            return _NO_PROCESS
        if task in self._blocked:
            self._rule = rules.SKIP_BUSY
            return _BUSY
        return self._handlers[op[0]](op)

    def _record_of(self, op: Operation, outcome: Outcome, snapshots: bool) -> bytes:
        rule = self._rule
        if self._woken and self._observed is not None and self._order_matters():
            record = self._record_in_some_order(op, outcome, snapshots)
        else:
            record = self._record(op, outcome, snapshots)
        self._rule = rule
        return record

    def _record_of_failing(self, op: Operation, snapshots: bool) -> bytes:
        """The record of an operation in which a request for memory may fail: the one that the backend shows, of those
        that are allowed."""
        if self._may_fail_late(op):
            return self._record_of_failing_fork(op, snapshots)
        seen = self._failed(op)
        if seen is None:
            return self._record_of(op, self._outcome(op), snapshots)
        waits = seen == BLOCKED_EVENT or op[0] in _FAILS_ALIKE
        passed_by = self._choose(_RUNS_MAX) if waits else 0
        saved = self._save()
        told: set[tuple[tuple[int, Outcome], ...]] = set()
        record = self._record_of(op, self._outcome(op), snapshots)
        if self._fits(record):
            if not passed_by:
                return record
            passed_by -= 1
            told.add(self._owed(op))
        for deviation in self._failures(op, seen, saved):
            record = self._record_of(op, seen, snapshots)
            owed = self._owed(op)
            if not self._fits(record) or owed in told:
                continue
            if not passed_by:
                if deviation >= 0:
                    self._met[deviation] = None
                self._rule = rules.FAIL_NO_MEMORY
                return record
            passed_by -= 1
            told.add(owed)
        self._restore(saved)
        if waits:
            self._no_more_choices()
        return self._record_of(op, self._outcome(op), snapshots)

    def _fits(self, record: bytes) -> bool:
        """Whether the backend shows this record."""
        observed = self._told if self._told is not None else self._observed
        assert observed is not None
        return observed.startswith(record, len(self._out))

    def _owed(self, op: Operation) -> tuple[tuple[int, Outcome], ...]:
        """What tasks wait for, what the operation ends with then and what of files is mapped: that shows later than its
        record."""
        faults = [waiter for waiter in self._blocked.values() if isinstance(waiter, Waiter)]
        owed = [(waiter.task, self._message(waiter)) for waiter in faults if not waiter.read]
        owed += self._shown_of_files(op)
        waiter = self._blocked.get(op[1])
        if not isinstance(waiter, EventWaiter):
            return tuple(owed)
        places = {id(context): place for place, context in enumerate(self._handles) if context is not None}
        for context, event in waiter.queue:
            if not isinstance(event, Context):
                owed.append((places.get(id(context), -1), event))
        return (*owed, (-1, waiter.outcome))

    def _shown_of_files(self, op: Operation) -> Iterator[tuple[int, Outcome]]:
        """By slot, what the task's mappings show of files, which have numbers here by their places."""
        process = self._processes[op[1] & PROCESS_MASK] if op[1] != TASK_MONITOR else None
        if process is None or process.backing is None:
            return
        numbers: dict[int, int] = {}
        for slot, backing in enumerate(process.backing):
            if backing is not None:
                yield slot, (numbers.setdefault(id(backing[0]), len(numbers)), backing[1], backing[2])

    def _take(self, op: Operation, steps: tuple[Operation, ...]) -> None:
        """Does what the operation did before it failed, also if that is refused otherwise while mappings change."""
        changing = {context: context.changing for context in self._handles if context is not None}
        if op[0] == _UNREGISTER:
            for context in changing:
                context.changing = 0
        for step in steps:
            self._take_step(op, step)
        if op[0] == _UNREGISTER:
            for context, count in changing.items():
                context.changing = count

    def _take_step(self, op: Operation, step: Operation) -> None:
        """Does one of several things, whose events the operation waits for together."""
        waiter = self._blocked.pop(op[1], None)
        self._outcome(step)
        if waiter is None:
            return
        later = self._blocked.get(op[1])
        self._blocked[op[1]] = waiter
        if isinstance(waiter, EventWaiter) and isinstance(later, EventWaiter):
            later.queue[0][0].events.remove(later)
            waiter.queue += later.queue

    def _failures(self, op: Operation, seen: Outcome, saved: dict[str, object]) -> Iterator[int]:
        """Puts the state as an operation that failed may have left it, in each way; which is a deviation, or -1."""
        self._restore(saved)
        mergeable, ways = self._mergeable(), tuple(self._ways_to_fail(op, seen))
        stops = tuple(self._moved_in_part(op))
        for steps, keep in ways:
            self._restore(saved)
            self._take(op, steps)
            if not self._ends_in_failure(op, seen):
                continue
            if keep < SLOTS:
                self._set_mergeable(mergeable, keep)
            self._cut_anywhere(op)
            self._mapped_around(op)
            self._unprotected_before(op)
            yield -1
        for unmerges, place in stops:
            self._restore(saved)
            if unmerges is not None:
                self._outcome(unmerges)
                self._set_mergeable(mergeable)
            self._stops = place
            outcome = self._outcome(op)
            self._stops = None
            if outcome == seen:
                self._cut_anywhere(op)
                yield -1
        self._restore(saved)
        for first, back in product(self._done_before(op, seen), tuple(self._moved_back(op))):
            self._restore(saved)
            self._take(op, (*first, *back))
            if self._ends_in_failure(op, seen):
                self._cut_anywhere(op)
                yield rules.MREMAP_BACK
        for steps in self._done_before(op, seen) if self._may_tell_of_target(op, seen) else ():
            self._restore(saved)
            self._take(op, steps)
            self._tell_of_target(op)
            if self._ends_in_failure(op, seen):
                self._cut_anywhere(op)
                yield rules.FAILED_MMAP
        self._restore(saved)
        for steps, start, end, count in tuple(self._told_alone(op, seen)):
            self._restore(saved)
            self._take(op, steps)
            self._tell_alone(op, start, end, count)
            if self._ends_in_failure(op, seen):
                self._cut_anywhere(op)
                yield rules.FAILED_MMAP

    def _record_of_failing_fork(self, op: Operation, snapshots: bool) -> bytes:
        """The record of a fork that waits for its event, and may have failed when a part of the memory was copied."""
        parent = self._processes[op[1] & PROCESS_MASK]
        assert parent is not None
        held = [slot for slot, page in enumerate(parent.pages) if page is not None or slot in parent.swapped]
        passed_by, saved = self._choose(1 + len(held)), self._save()
        for end in (SLOTS, *reversed(held)):
            self._restore(saved)
            outcome = self._outcome(op)
            self._doubt_fork(op, end)
            record = self._record_of(op, outcome, snapshots)
            if self._fits(record):
                if not passed_by:
                    return record
                passed_by -= 1
        self._restore(saved)
        self._no_more_choices()
        outcome = self._outcome(op)
        self._doubt_fork(op, SLOTS)
        return self._record_of(op, outcome, snapshots)

    def _reset(self, ops: Sequence[Operation], observed: bytes | None, snapshots: bool) -> None:
        first = Process(0)
        self._ops = ops
        self._soft: SoftDirty | None = None
        self._told = None
        self._observed = observed
        if snapshots and observed is not None and CLEAR_REFS in map(_CODE_OF, ops):
            self._told = observed
            self._observed = self._without_soft_dirty(ops, observed)
        self._choices: list[tuple[int, int, int]] = []
        self._out = bytearray()
        self._rule_of: list[int] = []
        self._also_of: dict[int, list[int]] = {}
        self._processes: list[Process | None] = [first, *[None] * (PROCESSES - 1)]
        self._living = [first]
        self._live = 1
        self._handles: list[Context | None] = [None] * UFFDS
        self._blocked = {}
        self._woken = []
        self._ended = []
        self._drops = []
        self._once = []
        self._stale = {}
        self._met = {}
        self._tainted = False
        self._guessed = False
        self._events_asked = 0
        self._reset_pins()
        self._failing = NOTHING
        self._may_fail = False
        self._stops = None
        self._swap = []
        self._unborn = False
        self._unread = []
        self._files = [None] * FILES
        self._perhaps = []
        self._rows_before = {0: first.pack()} if self._huge else {}
        self._collapsing = None
        self._splitting = []
        self._retried = set()
        self._observed_rows = []
        self._marks = False
        self._huge_files = False
        self._closely = self._huge

    # --- a record ---

    def _record(self, op: Operation, outcome: Outcome, snapshots: bool) -> bytes:
        if self._woken:
            self._go_on()
        status, value, aux = outcome
        ended, closely = self._ended, self._closely
        if closely and self._soft is not None:
            self._follow_soft_dirty(self._soft, op, outcome)
        record = RECORD.pack(self._index, status, len(ended), value, aux)
        if ended:
            if len(ended) > 1:
                ended.sort(key=lambda end: (process_of(end[0]), task_of(end[0])))
            record += b"".join([COMPLETION.pack(*end[1:]) for end in ended])
            ended.clear()
        if not snapshots:
            self._once.clear()
            self._perhaps.clear()
            return record
        if closely or op[0] in SHARING:
            return self._record_closely(record, op, outcome)
        if self._once or self._stale:
            self._adopt_bits(len(self._out) + len(record))
        living = self._living
        if len(living) == 1:
            return record + _HEADS[self._live] + (living[0].packed or living[0].pack())
        return record + _HEADS[self._live] + b"".join([process.packed or process.pack() for process in living])

    def _record_closely(self, record: bytes, op: Operation, outcome: Outcome) -> bytes:
        """The record with its map and its snapshot, which may decide more than in the simplest programs."""
        if self._huge:
            self._look_at_huge(len(self._out) + len(record), op)
        at = len(self._out) + len(record)
        if self._perhaps:
            self._adopt_files(at + (len(self._living) * SLOTS if op[0] in SHARING else 0))
        if op[0] in SHARING:
            record += self._map(at, op, outcome)
        if self._once or self._stale or self._tainted or self._marks or self._unborn:
            self._adopt_bits(len(self._out) + len(record))
        if self._huge:
            self._show_huge()
            if self._soft is not None:
                self._follow_huge(self._soft, op)
        at = len(record) + SNAPSHOT_HEAD.size
        record += SNAPSHOT_HEAD.pack(self._live) + b"".join([process.pack() for process in self._living])
        if self._soft is not None:
            record = self._show_soft_dirty(self._soft, record, at, _ROW_SIZE)
        return record

    def _look_at_huge(self, at: int, op: Operation) -> None:
        size = len(self._living) * SLOTS if op[0] in SHARING else 0
        sharing = self._observed[at : at + size] if self._observed is not None else b""
        self._adopt_huge(op, at + size + SNAPSHOT_HEAD.size, sharing)

    def _map(self, at: int, op: Operation, outcome: Outcome) -> bytes:
        if op[0] not in _KSM and not self._tainted:
            return self._sharing()
        if self._observed is not None and (outcome[0] == Status.DONE or self._tainted):
            self._adopt_sharing(self._observed[at : at + len(self._living) * SLOTS])
        return self._sharing()

    def _go_on(self) -> None:
        """The tasks that were woken repeat their accesses."""
        woken, self._woken = self._woken, []
        self._also(rules.RETRY)
        self._retried = {w.context.mm.number << SLOT_SHIFT | w.slot for w in woken if isinstance(w, Waiter)}
        for waiter in woken:
            first = waiter.at if isinstance(waiter, RemoveWaiter) else 0
            status, value, aux = self._retry(waiter)
            if isinstance(waiter, RemoveWaiter) and self._soft is not None:
                self._drops.append((len(self._ended), waiter.process.number, self._mask(first, waiter.at)))
            self._also(self._rule)
            if status != _BLOCKED:
                self._ended.append((waiter.task, waiter.index, status, value, aux))

    def _conflicting(self) -> list[Waiter | RemoveWaiter]:
        """Woken tasks that access a page which another woken task may change or drop, or fail to read."""
        if any(isinstance(waiter, RemoveWaiter) for waiter in self._woken):
            return list(self._woken)
        by_page: dict[tuple[int, int], list[Waiter]] = {}
        for waiter in self._woken:
            assert isinstance(waiter, Waiter)
            process = waiter.context.mm
            for slot in range(waiter.slot, max(waiter.slot + 1, self._reaches(waiter.op))):
                backing = process.backing[slot] if process.backing is not None else None
                page = (process.number, slot) if backing is None else (id(backing[0]), backing[1])
                by_page.setdefault(page, []).append(waiter)
        fails = any(entry.bad for entry in self._swap)
        groups = [group for group in by_page.values() if len(group) > 1]
        groups = [group for group in groups if fails or any(w.op[0] not in LOADS for w in group)]
        return [waiter for waiter in self._woken if any(waiter in group for group in groups)]

    @staticmethod
    def _reaches(op: Operation) -> int:
        """The end of the range that a task accesses which a fault has stopped; 0: it is one page."""
        return op[3] + op[4] if op[0] in HOLDING else op[2] + op[3] if op[0] == _POPULATE else 0

    def _order_matters(self) -> bool:
        return len(self._woken) > 1 and bool(self._conflicting())

    def _record_in_some_order(self, op: Operation, outcome: Outcome, snapshots: bool) -> bytes:
        """Tasks that get in each other's way go on in the order that fits what the backend reports."""
        observed = self._told if self._told is not None else self._observed
        assert observed is not None
        conflicting = self._conflicting()
        self._also(rules.RETRY_ORDER)
        self._woken = [waiter for waiter in self._woken if waiter not in conflicting] + conflicting
        others = len(self._woken) - len(conflicting)
        orders = list(islice(permutations(range(len(conflicting))), _ORDERS_MAX))
        passed_by = self._choose(len(orders))
        saved = self._save()
        script = self._script
        for order in orders:
            for _ in range(_CHOICES_MAX):
                self._restore(saved)
                tail = self._woken[others:]
                self._woken[others:] = [tail[i] for i in order]
                made = len(self._choices)
                record = self._record(op, outcome, snapshots)
                if observed.startswith(record, len(self._out)):
                    if not passed_by:
                        return record
                    passed_by -= 1
                    break
                if not self._next_within(made):
                    break
            self._script = script
        self._restore(saved)
        self._no_more_choices()
        return self._record(op, outcome, snapshots)

    def _next_within(self, made: int) -> bool:
        """Makes a script of the next of the choices after the first ``made``; false: there are none."""
        while len(self._choices) > made:
            _, choice, options = self._choices.pop()
            if choice + 1 < options:
                self._script = [*(choice for _, choice, _ in self._choices), choice + 1]
                return True
        return False

    def _save(self) -> dict[str, object]:
        return copy.deepcopy({name: getattr(self, name) for name in _STATE})

    def _restore(self, saved: dict[str, object]) -> None:
        for name, value in copy.deepcopy(saved).items():
            setattr(self, name, value)

    @staticmethod
    def _without_soft_dirty(ops: Sequence[Operation], trace: bytes) -> bytes:
        """The trace without soft-dirty bits, as far as it is one of these operations with snapshots."""
        plain = bytearray(trace)
        at, live = 0, 1
        for op in ops:
            if at + RECORD.size > len(trace):
                break
            at += RECORD.size + RECORD.unpack_from(trace, at)[2] * COMPLETION.size
            at += live * SLOTS if op[0] in SHARING else 0
            if at + SNAPSHOT_HEAD.size > len(trace):
                break
            live = SNAPSHOT_HEAD.unpack_from(trace, at)[0].bit_count()
            at += SNAPSHOT_HEAD.size
            for _ in range(live):
                byte = at + SOFT_DIRTY_BYTE
                for word in range(byte, min(byte + 4 * SLOTS, len(trace)), 4):
                    plain[word] &= ~SOFT_DIRTY_VALUE
                at += _ROW_SIZE
        return bytes(plain)

    # --- choices ---

    def _choose(self, options: int) -> int:
        if options < 2 or self._observed is None:
            return 0
        at = len(self._choices)
        choice = self._script[at] if at < len(self._script) else 0
        self._choices.append((len(self._out), choice, options))
        return choice

    def _no_more_choices(self) -> None:
        """The last choice that was noted has no more options."""
        at, choice, _ = self._choices[-1]
        self._choices[-1] = at, choice, choice

    def _choose_anew(self, observed: bytes) -> bool:
        """Makes a script of the next choices, for records that do not fit; false: there are none."""
        pairs = enumerate(zip(self._out, observed, strict=False))
        wrong_at = next((at for at, (own, other) in pairs if own != other), len(self._out))
        while self._choices:
            at, choice, options = self._choices.pop()
            if at <= wrong_at and choice + 1 < options:
                self._script = [*(choice for _, choice, _ in self._choices), choice + 1]
                return True
        return False

    def _also(self, rule: int) -> None:
        noted = self._also_of.setdefault(self._index, [])
        if rule not in noted:
            noted.append(rule)

    def _saw(self, index: int) -> Outcome | None:
        record = self._seen_record()
        if record is None:
            return None
        if index == self._index:
            return record[1], record[3], record[4]
        assert self._observed is not None
        at = len(self._out) + RECORD.size
        end = min(at + record[2] * COMPLETION.size, len(self._observed) - COMPLETION.size + 1)
        for offset in range(at, end, COMPLETION.size):
            ended, status, value, aux = COMPLETION.unpack_from(self._observed, offset)
            if ended == index:
                return status, value, aux
        return _BLOCKED, 0, 0

    def _seen_word(self, process: Process, slot: int) -> int | None:
        record = self._seen_record()
        observed = self._observed
        if record is None or observed is None or not self._snapshots:
            return None
        at = len(self._out) + RECORD.size + record[2] * COMPLETION.size
        if self._ops[self._index][0] in SHARING:
            at += len(self._living) * SLOTS
        if at + SNAPSHOT_HEAD.size > len(observed):
            return None
        (live,) = SNAPSHOT_HEAD.unpack_from(observed, at)
        before = (live & (1 << process.number) - 1).bit_count()
        at += SNAPSHOT_HEAD.size + before * _ROW_SIZE + slot * 4
        if not live >> process.number & 1 or at + 4 > len(observed):
            return None
        return int.from_bytes(observed[at : at + 4], "little")

    def _adopt_bits(self, at: int) -> None:
        """Takes over the bits that the snapshot, at this place of the backend's trace, may decide."""
        open_bits: dict[int, list[OpenBits]] = {}
        for bits in (*self._once, *self._stale.values(), *self._tainted_bits(), *self._marked_bits()):
            open_bits.setdefault(bits[0], []).append(bits)
        for bits in self._unborn_bits() if self._unborn else ():
            open_bits.setdefault(bits[0], []).append(bits)
        self._once.clear()
        observed = self._observed
        if observed is None:
            return
        at += SNAPSHOT_HEAD.size
        for process in self._living:
            for slot in range(SLOTS):
                reasons = open_bits.get(process.number << SLOT_SHIFT | slot)
                if reasons:
                    word = int.from_bytes(observed[at + slot * 4 : at + slot * 4 + 4], "little")
                    self._adopt_word(process, slot, word, reasons)
            at += _ROW_SIZE

    def _adopt_word(self, process: Process, slot: int, word: int, reasons: list[OpenBits]) -> None:
        word = word & ~HUGE | process.row[slot] & HUGE
        difference = word ^ process.row[slot]
        unexplained = difference
        for _, bits, _, _ in reasons:
            if difference & bits == bits:
                unexplained &= ~bits
        if difference and not unexplained:
            process.row[slot] = word
            process.packed = None
            for _, bits, deviation, rule in reasons:
                if difference & bits and deviation >= 0:
                    self._met[deviation] = None
                if difference & bits and rule >= 0:
                    self._also(rule)
        if not process.row[slot] & UFFD_WP:
            self._stale.pop(process.number << SLOT_SHIFT | slot, None)

    def _lost_poison(self, process: Process, slot: int) -> bool:
        """What becomes of the poison of a file's mapping is not documented: it goes as the backend shows."""
        seen = self._seen_word(process, slot)
        lost = process.backing is not None and process.backing[slot] is not None and seen is not None
        if not lost or seen is None or seen & SWAP:
            return False
        process.poisoned ^= 1 << slot
        process.row[slot] &= ~SWAP
        process.packed = None
        return True

    def _marked_bits(self) -> Iterator[OpenBits]:
        if self._marks:
            for process in self._living:
                for slot in range(SLOTS):
                    key = process.number << SLOT_SHIFT | slot
                    if process.row[slot] & GUARD:
                        yield key, UFFD_WP, -1, rules.GUARD_WP
                    elif process.poisoned >> slot & 1 and not self._lost_poison(process, slot):
                        yield key, SWAP, rules.MARKER_SWAP, -1
                        yield key, UFFD_WP, -1, rules.POISON_WP

    def _tainted_bits(self) -> Iterator[OpenBits]:
        if self._tainted:
            for process in self._living:
                for slot, page in enumerate(process.pages):
                    if page:
                        yield process.number << SLOT_SHIFT | slot, EXCLUSIVE, -1, rules.KSM_UNBORN

    def _unborn_bits(self) -> Iterator[OpenBits]:
        for waiter in self._blocked.values():
            if not isinstance(waiter, ForkWaiter) or not waiter.child.unseen:
                continue
            for page in waiter.child.pages:
                shown = [key for key in page or () if self._live >> (key >> SLOT_SHIFT) & 1]
                if len(shown) == 1 and not isinstance(page, FilePage):
                    yield shown[0], EXCLUSIVE, -1, rules.RECLAIM_UNBORN


assert PROCESSES * SLOTS == (PROCESSES - 1 << SLOT_SHIFT) + SLOT_MASK + 1
