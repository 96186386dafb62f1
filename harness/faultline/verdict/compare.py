"""Where two traces part, and what kind of finding that is.

One program gives at most one finding: after the first difference the two sides are in different states, and what
follows says nothing.  Within a record the outcome comes first, then the completions, then the snapshot; within a
snapshot what matters most comes first, whichever slot it is in, so that a defect gives the same finding whatever
else it disturbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from faultline.kinds import FindingKind
from faultline.oracle.rules import Rule
from faultline.program.codec import Operation, is_monitor, process_of
from faultline.program.ops import BY_NAME, LOADS, OPS, PAGES, SLOT, SLOTS
from faultline.program.text import format_operation
from faultline.program.trace import Bit, Status, Wait
from faultline.program.traceview import Completion, Snapshot, Step, describe_step, describe_word, parse_trace
from faultline.verdict.finding import Because, Finding, SlotState

_UFFD_READ: Final = BY_NAME["uffd-read"].code

#: Bits of a snapshot word by importance, with the kind if it is expected but clear, and if it is set unexpectedly.
_BITS: Final = (
    (Bit.CONTENT, FindingKind.WRONG_DATA, FindingKind.WRONG_DATA),
    (Bit.MIXED, FindingKind.WRONG_DATA, FindingKind.WRONG_DATA),
    *(
        (bit, FindingKind.LOST_BIT, FindingKind.STRAY_BIT)
        for bit in (
            Bit.UFFD_WP, Bit.MAPPED, Bit.READ, Bit.WRITE, Bit.REG_MISSING, Bit.REG_WP, Bit.REG_MINOR, Bit.MERGEABLE,
            Bit.DONTFORK, Bit.WIPEONFORK, Bit.GUARD, Bit.PRESENT, Bit.SWAP, Bit.FILE, Bit.EXCLUSIVE, Bit.SOFT_DIRTY,
            Bit.HUGE,
        )
    ),
)  # fmt: skip
assert {bit for bit, _, _ in _BITS} == {Bit.CONTENT, *Bit}, "every bit has its place"
_COUNTERS: Final = ("resident-anonymous", "resident-file", "swap-entries")


class Expected(Protocol):
    """The part of an oracle's expectation that is needed here."""

    @property
    def trace(self) -> bytes: ...
    def rules(self, op_index: int) -> tuple[Rule, ...]: ...


@dataclass(frozen=True, slots=True)
class _Difference:
    """What parts two records: a finding's kind, aspect and two lines, and the page slots (process, slot) concerned."""

    kind: FindingKind
    aspect: str
    expected: str
    happened: str
    slots: tuple[tuple[int, int], ...] = ()


def compare(
    ops: Sequence[Operation], expectation: Expected, trace: bytes, *, before: int | None = None
) -> Finding | None:
    """The first divergence of ``trace`` from what the oracle expects, None if there is none.

    ``before``: only records of operations below this index count, as the run ended there.
    """
    index, found, expected, happened = _first(ops, expectation.trace, trace, before)
    if found is None:
        return None
    because = tuple(Because(rule.text, rule.source) for rule in expectation.rules(index))
    return _finding(ops, index, found, expected, happened, because)


def difference(ops: Sequence[Operation], base: bytes, patched: bytes) -> Finding | None:
    """The first difference that user space sees between two trees, of which each keeps to the oracle's rules."""
    index, found, expected, happened = _first(ops, base, patched, None)
    if found is None:
        return None
    because = (Because("A refactor changes nothing that user space can see; the unpatched tree did the other.", ""),)
    found = _Difference(FindingKind.BASE_DIFFERENCE, found.aspect, found.expected, found.happened, found.slots)
    return _finding(ops, index, found, expected, happened, because)


def steps_finding(
    ops: Sequence[Operation], wanted: list[Step], seen: list[Step], because: tuple[Because, ...]
) -> Finding | None:
    """The first difference of two sequences of steps of a program; None if there is none."""
    index, found = _first_step(ops, wanted, seen, None)
    return _finding(ops, index, found, wanted, seen, because) if found is not None else None


def states_before(ops: Sequence[Operation], index: int, trace: bytes) -> tuple[SlotState, ...]:
    """The slots that the operation at ``index`` names, in each process that maps them, as they were before it."""
    steps = parse_trace(trace, ops, snapshots=True)
    if not 0 < index <= len(steps):
        return ()
    before = _snapshot_before(steps, index)
    return tuple(
        SlotState(process, slot, word, None, None)
        for process, slot in _named_slots(ops[index], before)
        if (word := _word(before, process, slot))
    )


def _first(
    ops: Sequence[Operation], expected: bytes, happened: bytes, before: int | None
) -> tuple[int, _Difference | None, list[Step], list[Step]]:
    """The index of the first differing record and what is different there, with the steps of both traces."""
    wanted, seen = parse_trace(expected, ops, snapshots=True), parse_trace(happened, ops, snapshots=True)
    return *_first_step(ops, wanted, seen, before), wanted, seen


def _first_step(
    ops: Sequence[Operation], wanted: list[Step], seen: list[Step], before: int | None
) -> tuple[int, _Difference | None]:
    end = len(ops) if before is None else before
    for index in range(min(end, len(wanted))):
        if index == len(seen):
            return index, _cut(index, ops) if before is None else None
        found = _step_difference(ops, wanted[index], seen[index])
        if found is not None:
            return index, found
    return end, None


def _finding(
    ops: Sequence[Operation],
    index: int,
    found: _Difference,
    wanted: list[Step],
    seen: list[Step],
    because: tuple[Because, ...],
) -> Finding:
    before = _snapshot_before(seen, index)
    after = seen[index].snapshot if index < len(seen) else None
    slots = found.slots or _named_slots(ops[index], after or before)
    states = (
        SlotState(
            process,
            slot,
            _word(before, process, slot),
            _word(wanted[index].snapshot, process, slot),
            _word(after, process, slot),
        )
        for process, slot in slots
    )
    return Finding(
        kind=found.kind,
        op=index,
        operation=OPS[ops[index][0]].name,
        aspect=found.aspect,
        expected=found.expected,
        happened=found.happened,
        because=because,
        slots=tuple(state for state in states if state.before or state.expected or state.happened),
    )


def _snapshot_before(seen: list[Step], index: int) -> Snapshot | None:
    """The last one that was taken; there is none within a block."""
    return next((step.snapshot for step in reversed(seen[:index]) if step.snapshot is not None), None)


def _cut(index: int, ops: Sequence[Operation]) -> _Difference:
    kind = FindingKind.TOOL_ERROR
    return _Difference(kind, "trace-cut", f"{len(ops)} records", f"the trace ends after {index} of them")


# --- one record ---


def _step_difference(ops: Sequence[Operation], wanted: Step, seen: Step) -> _Difference | None:
    if wanted == seen:
        return None
    return (
        _outcome_difference(ops, wanted.index, wanted, seen)
        or _completions_difference(ops, wanted, seen)
        or _snapshot_difference(wanted.snapshot, seen.snapshot)
        or _sharing_difference(wanted, seen)
    )


def _outcome_difference(
    ops: Sequence[Operation], index: int, wanted: Step | Completion, seen: Step | Completion
) -> _Difference | None:
    """How the outcomes of the operation at ``index`` differ, be it at once or in a later record."""
    pair = (wanted.status, seen.status)
    if (*pair, wanted.value, wanted.aux) == (*pair[::-1], seen.value, seen.aux):
        return None
    kind, aspect = _outcome_kind(ops[index], wanted, seen)
    return _Difference(kind, aspect, describe_step(ops[index], wanted), describe_step(ops[index], seen))


def _outcome_kind(op: Operation, wanted: Step | Completion, seen: Step | Completion) -> tuple[FindingKind, str]:
    """The kind and aspect for two different outcomes of one operation."""
    statuses = (wanted.status, seen.status)
    if op[0] == _UFFD_READ and Status.SKIPPED not in statuses:
        return _message_kind(wanted, seen)
    if Status.SIGNAL in statuses:
        return FindingKind.WRONG_SIGNAL, "signal"
    if Status.ERROR in statuses:
        return FindingKind.WRONG_ERRNO, "errno"
    if Status.SKIPPED in statuses or Status.KILLED in statuses:
        return FindingKind.TOOL_ERROR, "skipped" if Status.SKIPPED in statuses else "killed"
    if Status.BLOCKED in statuses:
        return _blocked_kind(wanted, seen)
    if op[0] in LOADS:
        return FindingKind.WRONG_DATA, "value"
    return FindingKind.WRONG_ERRNO, "count"


def _message_kind(wanted: Step | Completion, seen: Step | Completion) -> tuple[FindingKind, str]:
    if wanted.status == Status.ERROR and seen.status == Status.DONE:
        return FindingKind.SPURIOUS_EVENT, "message"
    if wanted.status == Status.DONE:
        return FindingKind.MISSED_EVENT, "message"
    return FindingKind.WRONG_ERRNO, "errno"


def _blocked_kind(wanted: Step | Completion, seen: Step | Completion) -> tuple[FindingKind, str]:
    if seen.status != Status.BLOCKED:
        return FindingKind.MISSED_EVENT, "not-blocked"
    if seen.value == Wait.LOCK:
        return FindingKind.HANG, "lock"
    return FindingKind.SPURIOUS_EVENT, "blocked"


def _completions_difference(ops: Sequence[Operation], wanted: Step, seen: Step) -> _Difference | None:
    """An operation that blocked and does not end now though it should, or the reverse, or ends otherwise."""
    due = {completion.index: completion for completion in wanted.completions}
    ended = {completion.index: completion for completion in seen.completions}
    for index in sorted(due.keys() | ended.keys()):
        text = f"operation {index + 1} ({format_operation(ops[index])})"
        name = OPS[ops[index][0]].name
        if index not in ended:
            return _Difference(FindingKind.HANG, f"{name}-not-woken", f"{text} ends now", f"{text} stays blocked")
        if index not in due:
            return _Difference(FindingKind.MISSED_EVENT, f"{name}-woken", f"{text} stays blocked", f"{text} ends now")
        found = _outcome_difference(ops, index, due[index], ended[index])
        if found is not None:
            expected, happened = f"{text}: {found.expected}", f"{text}: {found.happened}"
            return _Difference(found.kind, f"{name}-{found.aspect}", expected, happened)
    return None


# --- snapshots ---


def _snapshot_difference(wanted: Snapshot | None, seen: Snapshot | None) -> _Difference | None:
    if wanted == seen:
        return None
    if wanted is None or seen is None:
        return _Difference(FindingKind.TOOL_ERROR, "snapshot", "a snapshot", "none")
    if wanted.words.keys() != seen.words.keys():
        living = [", ".join(f"p{process}" for process in side.words) or "none" for side in (wanted, seen)]
        return _Difference(
            FindingKind.HANG, "processes", f"these processes live: {living[0]}", f"these live: {living[1]}"
        )
    return _word_difference(wanted, seen) or _counter_difference(wanted, seen)


def _word_difference(wanted: Snapshot, seen: Snapshot) -> _Difference | None:
    """The most important bits that differ anywhere, at the lowest process and slot; and all slots that differ."""
    parted = [
        (process, slot)
        for process, words in wanted.words.items()
        for slot in range(SLOTS)
        if words[slot] != seen.words[process][slot]
    ]
    for mask, if_clear, if_set in _BITS:
        for process, slot in parted:
            before, after = wanted.words[process][slot], seen.words[process][slot]
            if (before ^ after) & mask:
                kind = if_clear if before & mask else if_set
                where = f"p{process} a{slot}: "
                return _Difference(
                    kind, _bit_name(mask), where + describe_word(before), where + describe_word(after), tuple(parted)
                )
    return None


def _bit_name(bit: Bit) -> str:
    assert bit.name is not None
    return bit.name.lower().replace("_", "-")


def _counter_difference(wanted: Snapshot, seen: Snapshot) -> _Difference | None:
    for process, counters in wanted.counters.items():
        for name, before, after in zip(_COUNTERS, counters, seen.counters[process], strict=True):
            if before != after:
                what = f"p{process} {name.replace('-', ' ')}: "
                return _Difference(FindingKind.COUNTER_DRIFT, name, f"{what}{before}", f"{what}{after}")
    return None


def _sharing_difference(wanted: Step, seen: Step) -> _Difference | None:
    """A slot that shares its page with others than it should, by the map that a KSM operation leaves."""
    if wanted.sharing is None or seen.sharing is None or wanted.snapshot is None:
        return None
    numbers = [process * SLOTS + slot for process in wanted.snapshot.words for slot in range(SLOTS)]
    for own, before, after in zip(numbers, wanted.sharing, seen.sharing, strict=True):
        if before != after:
            kind = FindingKind.LOST_BIT if after == own else FindingKind.STRAY_BIT
            slots = tuple(dict.fromkeys(divmod(number, SLOTS) for number in (own, before, after)))
            return _Difference(kind, "sharing", _shared(own, before), _shared(own, after), slots)
    return None


def _shared(own: int, lowest: int) -> str:
    """A sharing map's entry in words."""
    names = [f"p{number // SLOTS} a{number % SLOTS}" for number in (own, lowest)]
    return f"{names[0]} has a page of its own" if own == lowest else f"{names[0]} maps the same page as {names[1]}"


# --- which slots to show ---


def _named_slots(op: Operation, snapshot: Snapshot | None) -> tuple[tuple[int, int], ...]:
    """The slots that an operation names, in the acting process first, then in every other that lives."""
    if snapshot is None:
        return ()
    kinds = OPS[op[0]].kinds
    slots: list[int] = []
    for i, (value, kind, following) in enumerate(zip(op[2:], kinds, (*kinds, None)[1:], strict=True), 2):
        if kind is SLOT:
            pages = op[i + 1] if following is PAGES else 1
            slots += (slot for slot in range(value, value + pages) if slot not in slots)
    actor = -1 if is_monitor(op[1]) else process_of(op[1])
    processes = sorted(snapshot.words, key=lambda process: (process != actor, process))
    return tuple((process, slot) for process in processes for slot in slots)


def _word(snapshot: Snapshot | None, process: int, slot: int) -> int | None:
    if snapshot is None or process not in snapshot.words:
        return None
    return snapshot.words[process][slot]
