"""A trace as objects and words; its bytes are described in :mod:`faultline.program.trace`."""

from __future__ import annotations

import errno
import signal
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from faultline.program.codec import Operation, overlaps
from faultline.program.ops import BY_NAME, LOADS, PROCESSES, PROT, SHARING, SLOTS
from faultline.program.trace import (
    COMPLETION,
    COUNTERS,
    INTERNALS_TAIL,
    NOTES_MAX,
    RECORD,
    SNAPSHOT_HEAD,
    VALUE_MIXED,
    Bit,
    Event,
    FaultFlag,
    Internal,
    Skip,
    Status,
    Wait,
)

_INDEX: Final = struct.Struct("<H")
_ROW: Final = struct.Struct(f"<{SLOTS}I")
_MESSAGE, _FILE_READ = (BY_NAME[n].code for n in ("uffd-read", "file-read"))
_FILLS: Final = frozenset(BY_NAME[n].code for n in ("uffd-copy", "uffd-zeropage", "uffd-continue"))
_COUNTING: Final = {
    BY_NAME[name].code: done for name, done in (("pin", "pinned"), ("ref", "referenced"), ("migrate", "moved"))
}


@dataclass(frozen=True, slots=True)
class Completion:
    """An operation that blocked earlier and ended in this step; ``index`` is its place in the program."""

    index: int
    status: Status
    value: int
    aux: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What user space can see of each live process, by its number."""

    words: dict[int, tuple[int, ...]]
    """SLOTS words of :class:`~faultline.program.trace.Bit`"""
    counters: dict[int, tuple[int, int, int]]
    """resident anonymous pages, resident file and shmem pages, swap entries"""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation's record."""

    index: int
    status: Status
    value: int
    aux: int
    completions: tuple[Completion, ...] = ()
    snapshot: Snapshot | None = None
    sharing: bytes | None = None
    """After a KSM operation: for each slot of each process of the snapshot, in order, the lowest
    ``process * SLOTS + slot`` that maps the same page."""


@dataclass(frozen=True, slots=True)
class Internals:
    """What user space cannot see after an operation."""

    words: dict[int, tuple[int, ...]]
    """SLOTS words of :class:`~faultline.program.trace.Internal` for each live process, by its number"""
    flushes: int
    """of TLBs, since the record before"""
    faults: int
    taken: int
    """how many locks with a name of their own were taken"""
    locks: bytes
    """the first NOTES_MAX of them, in order: their names' numbers, with SHARED"""


class _Cut(Exception):
    """The trace ends, or makes no sense, at this place."""


class _Reader:
    def __init__(self, trace: bytes) -> None:
        self._trace = trace
        self.at = 0
        self.live = 1
        """processes of the last snapshot; process 0 alone lives at first"""

    def _take(self, layout: struct.Struct) -> tuple[int, ...]:
        end = self.at + layout.size
        if end > len(self._trace):
            raise _Cut
        fields = layout.unpack_from(self._trace, self.at)
        self.at = end
        return fields

    def step(self, index: int, op: Operation, snapshots: bool) -> Step:
        """The next step; of a block, the last one alone has a snapshot."""
        number, status, count, value, aux = self._take(RECORD)
        if number != index:
            raise _Cut
        completions = tuple(self._completion(index) for _ in range(count))
        sharing = self._sharing() if snapshots and op[0] in SHARING and not overlaps(op) else None
        snapshot = self._snapshot() if snapshots else None
        return Step(index, _status(status), value, aux, completions, snapshot, sharing)

    def _completion(self, before: int) -> Completion:
        number, status, value, aux = self._take(COMPLETION)
        if number >= before:
            raise _Cut
        return Completion(number, _status(status), value, aux)

    def _sharing(self) -> bytes:
        end = self.at + self.live * SLOTS
        shares = self._trace[self.at : end]
        self.at = end
        return shares

    def internals(self, processes: Iterable[int]) -> Internals:
        """The block behind a record with these live processes."""
        words = {process: self._take(_ROW) for process in processes}
        flushes, faults, taken = self._take(INTERNALS_TAIL)
        end = self.at + min(taken, NOTES_MAX)
        locks = self._trace[self.at : end]
        if len(locks) < min(taken, NOTES_MAX):
            raise _Cut
        self.at = end
        return Internals(words, flushes, faults, taken, locks)

    def _snapshot(self) -> Snapshot:
        (mask,) = self._take(SNAPSHOT_HEAD)
        if mask >> PROCESSES:
            raise _Cut
        self.live = mask.bit_count()
        words: dict[int, tuple[int, ...]] = {}
        counters: dict[int, tuple[int, int, int]] = {}
        for process in range(PROCESSES):
            if mask >> process & 1:
                words[process] = self._take(_ROW)
                anonymous, file, swap = self._take(COUNTERS)
                counters[process] = anonymous, file, swap
        return Snapshot(words, counters)


def _status(number: int) -> Status:
    if number >= len(Status):
        raise _Cut
    return Status(number)


def parse_trace(trace: bytes, ops: Sequence[Operation], *, snapshots: bool) -> list[Step]:
    """The steps of a trace, one for each operation in order.

    A trace that was cut, because the machine stopped at a finding, gives the steps that are whole.  So does a damaged
    one, up to where it makes no sense.

    :param trace: bytes of a run without internals.
    :param ops: the program that ran.
    :param snapshots: the run was made with snapshots.
    """
    return [step for step, _ in _steps(trace, ops, snapshots)]


def _steps(trace: bytes, ops: Sequence[Operation], snapshots: bool) -> Iterator[tuple[Step, int]]:
    """The steps of a trace, each with the place where its record ends."""
    reader = _Reader(trace)
    for index, op in enumerate(ops):
        shown = snapshots and not (overlaps(op) and index + 1 < len(ops) and overlaps(ops[index + 1]))
        try:
            yield reader.step(index, op, shown), reader.at
        except _Cut:
            return


def without_internals(trace: bytes, ops: Sequence[Operation]) -> tuple[bytes, list[Internals]]:
    """The trace of a run with snapshots and internals as one without them would be, and what was taken out of it.

    :param ops: the program that ran; no operations of it overlap.
    """
    reader, plain, blocks = _Reader(trace), bytearray(), []
    for index, op in enumerate(ops):
        begin = reader.at
        try:
            step = reader.step(index, op, True)
            end = reader.at
            assert step.snapshot is not None
            blocks.append(reader.internals(step.snapshot.words))
        except _Cut:
            break
        plain += trace[begin:end]
    return bytes(plain), blocks


def continued(
    trace: bytes,
    ops: Sequence[Operation],
    other: bytes,
    other_ops: Sequence[Operation],
    last: int,
    place: dict[int, int],
    *,
    shown: bool = False,
    since: int | None = None,
) -> bytes:
    """A trace that goes on as another one does, of another program that ends with the same operations.

    :param trace: bytes of a run with snapshots, as those of ``other``.
    :param last: index of the last operation of ``other_ops`` that is not taken over.
    :param place: the index in ``ops`` for that of each operation of ``other_ops`` that ends after it.
    :param shown: the snapshot after ``last`` is taken over, too; it is of the same processes.
    :param since: what it shows otherwise it does from the operation with this index in ``ops`` on, as far as pages of
        files are mapped there all along.
    """
    begin = len(ops) - (len(other_ops) - last - 1)
    own = list(islice(_steps(trace, ops, True), begin))
    joined = bytearray(trace[: own[-1][1]])
    at = 0
    for step, end in _steps(other, other_ops, True):
        if shown and step.index == last and step.snapshot is not None:
            if since is not None:
                _show_files_since(joined, own[since:], step.snapshot)
            tail = _packed(step.snapshot)
            joined[-len(tail) :] = tail
        if step.index > last:
            record = bytearray(other[at:end])
            _INDEX.pack_into(record, 0, step.index - last - 1 + begin)
            for i, completion in enumerate(step.completions):
                index = completion.index
                index = index - last - 1 + begin if index > last else place[index]
                _INDEX.pack_into(record, RECORD.size + i * COMPLETION.size, index)
            joined += record
        at = end
    return bytes(joined)


def _show_files_since(trace: bytearray, steps: Sequence[tuple[Step, int]], shown: Snapshot) -> None:
    """Writes, into snapshots of the same processes, which pages of files are mapped, as far as they show all along what
    the last one does."""
    last = steps[-1][0].snapshot
    assert last is not None
    other = {
        (process, slot): word
        for process, words in shown.words.items()
        for slot, word in enumerate(words)
        if word != last.words[process][slot] and (word | last.words[process][slot]) & Bit.FILE
    }
    for step, end in reversed(steps):
        now = step.snapshot
        if now is None or now.words.keys() != last.words.keys():
            return
        other = {(p, slot): word for (p, slot), word in other.items() if now.words[p][slot] == last.words[p][slot]}
        words = {p: tuple(other.get((p, slot), word) for slot, word in enumerate(row)) for p, row in now.words.items()}
        counters = {
            p: (anonymous, file + _files(words[p]) - _files(now.words[p]), swap)
            for p, (anonymous, file, swap) in now.counters.items()
        }
        tail = _packed(Snapshot(words, counters))
        trace[end - len(tail) : end] = tail


def _files(words: Sequence[int]) -> int:
    return sum(1 for word in words if word & Bit.FILE)


def _packed(snapshot: Snapshot) -> bytes:
    rows = (_ROW.pack(*snapshot.words[p]) + COUNTERS.pack(*snapshot.counters[p]) for p in sorted(snapshot.words))
    return SNAPSHOT_HEAD.pack(sum(1 << process for process in snapshot.words)) + b"".join(rows)


def with_outcome(trace: bytes, ops: Sequence[Operation], step: Step) -> bytes:
    """A trace in which one operation comes to something else; what it ended and left behind stays.

    :param trace: bytes of a run with snapshots.
    :param step: of which the index, status, value and aux are taken.
    """
    ends = [0, *(end for _, end in _steps(trace, ops, True))]
    changed = bytearray(trace)
    count = RECORD.unpack_from(trace, ends[step.index])[2]
    RECORD.pack_into(changed, ends[step.index], step.index, step.status, count, step.value, step.aux)
    return bytes(changed)


# --- words ---

#: What the outcomes mean, for reports and docs.
STATUSES: Final = {
    Status.DONE: "it has ended without an error",
    Status.BLOCKED: "the task sleeps in it; a later operation ends it",
    Status.SKIPPED: "it was not run, as it means nothing here",
    Status.SIGNAL: "the access got a signal, which the task survives",
    Status.ERROR: "the call failed with an errno",
    Status.KILLED: "the process ended while the task was blocked in it",
}
SKIPS: Final = {
    Skip.NO_PROCESS: "the process does not live",
    Skip.BUSY: "the task is blocked in an earlier operation",
    Skip.EXISTS: "the child lives already, or is being forked",
    Skip.HANDLE_USED: "the handle is in use",
    Skip.NO_HANDLE: "the handle is not open",
    Skip.LACKS: "the kernel lacks what it needs",
}
WAITS: Final = {
    Wait.FAULT: "on a page fault, until the userfaultfd resolves it",
    Wait.EVENT: "until the monitor reads the event",
    Wait.LOCK: "on a lock that a blocked task holds",
}
_BITS: Final = (
    (Bit.PRESENT, "present"),
    (Bit.SWAP, "swap"),
    (Bit.FILE, "file"),
    (Bit.EXCLUSIVE, "excl"),
    (Bit.UFFD_WP, "uffd-wp"),
    (Bit.SOFT_DIRTY, "soft-dirty"),
    (Bit.REG_MISSING, "reg-missing"),
    (Bit.REG_WP, "reg-wp"),
    (Bit.REG_MINOR, "reg-minor"),
    (Bit.MERGEABLE, "mergeable"),
    (Bit.DONTFORK, "dontfork"),
    (Bit.WIPEONFORK, "wipeonfork"),
    (Bit.GUARD, "guard"),
    (Bit.HUGE, "huge"),
)


def describe_word(word: int) -> str:
    """A slot's word of a snapshot, e.g. ``=7 rw present excl uffd-wp``."""
    names = [name for bit, name in _BITS if word & bit]
    if not word & Bit.MAPPED:
        return " ".join(("not mapped", *names))
    content = "=mixed" if word & Bit.MIXED else f"={word & Bit.CONTENT}"
    access = ("r" if word & Bit.READ else "") + ("w" if word & Bit.WRITE else "")
    return " ".join((content, access or PROT.words[0], *names))


def describe_step(op: Operation, step: Step | Completion) -> str:
    """The outcome of an operation in words, and which blocked operations ended with it, counted from 1."""
    text = _outcome(op, step)
    for ended in step.completions if isinstance(step, Step) else ():
        how = "" if ended.status == Status.DONE else f": {_failure(ended)}"
        text += f"; operation {ended.index + 1} ends{how}"
    return text


def _outcome(op: Operation, step: Step | Completion) -> str:
    if op[0] in _FILLS:
        return _filling(op, step)
    if step.status != Status.DONE:
        return _failure(step)
    if op[0] == _FILE_READ and not step.aux:
        return "is at the end of the file"
    if op[0] in LOADS:
        return "reads unequal bytes" if step.value == VALUE_MIXED else f"reads {step.value}"
    if op[0] in _COUNTING:
        return f"done, {_pages(step.aux)} {_COUNTING[op[0]]}"
    return _message(step) if op[0] == _MESSAGE else "done"


def _failure(step: Step | Completion) -> str:
    """An outcome other than DONE."""
    value = step.value
    match step.status:
        case Status.ERROR:
            return _errno(value)
        case Status.SIGNAL:
            known = value in set(signal.Signals)
            return signal.Signals(value).name if known else f"signal {value}"
        case Status.SKIPPED:
            return "skipped: " + (SKIPS[Skip(value)] if value in set(Skip) else f"reason {value}")
        case Status.BLOCKED:
            return "blocks " + (WAITS[Wait(value)] if value in set(Wait) else f"for reason {value}")
        case Status.KILLED:
            return "killed"
    return "done"


def _errno(number: int) -> str:
    return errno.errorcode.get(number, f"errno {number}")


def _filling(op: Operation, step: Step | Completion) -> str:
    """What a copy or zeropage ioctl says: its own outcome, and the count that it left in its argument."""
    own = "done" if step.status == Status.DONE else _failure(step)
    if step.status not in (Status.DONE, Status.ERROR) or step.aux == -step.value < 0:
        return own
    if step.aux < 0:
        return f"{own}, count {_errno(-step.aux)}"
    return f"{own}, {_pages(step.aux)} filled"


def _pages(count: int) -> str:
    return f"{count} page{'' if count == 1 else 's'}"


def _message(step: Step | Completion) -> str:
    event, flags, slot = step.value & 0xFF, FaultFlag(step.value >> 8 & 0xFF), step.value >> 16
    if event == Event.FORK:
        return f"message: fork, the child's userfaultfd is u{step.aux - 1}"
    if event == Event.REMAP:
        return f"message: remap of a{slot}+{step.aux >> 8} to a{step.aux & 0xFF}"
    if event in (Event.REMOVE, Event.UNMAP):
        return f"message: {Event(event).name.lower()} of a{slot}+{step.aux}"
    if event != Event.PAGEFAULT:
        return f"message: event {event:#x}"
    access = "write" if flags & FaultFlag.WRITE else "read"
    cause = "write-protected" if flags & FaultFlag.WP else "minor" if flags & FaultFlag.MINOR else "missing"
    return f"message: page fault, {access} of a{slot}, {cause}"


_INTERNALS: Final = (
    (Internal.PRESENT, "present"),
    (Internal.WRITE, "write"),
    (Internal.YOUNG, "young"),
    (Internal.DIRTY, "dirty"),
    (Internal.UFFD_WP, "uffd-wp"),
    (Internal.SOFT_DIRTY, "soft-dirty"),
    (Internal.PROT_NONE, "prot-none"),
    (Internal.SPECIAL, "special"),
    (Internal.ANON_EXCLUSIVE, "anon-exclusive"),
    (Internal.KSM, "ksm"),
    (Internal.PAGE_DIRTY, "page-dirty"),
    (Internal.PAGE_REFERENCED, "page-referenced"),
    (Internal.SWAP_BACKED, "swap-backed"),
    (Internal.SWAP_CACHE, "swap-cache"),
)


def describe_internals(word: int) -> str:
    """A slot's word of an internals block, e.g. ``present write young dirty, mapcount 1, references 1``."""
    names = " ".join(name for bit, name in _INTERNALS if word & bit) or "no entry"
    if not word & Internal.PRESENT:
        return names
    return f"{names}, mapcount {field_of(word, Internal.MAPCOUNT)}, references {field_of(word, Internal.REFERENCES)}"


def field_of(word: int, mask: int) -> int:
    """The number that a mask of neighbouring bits holds."""
    return (word & mask) // (mask & -mask)
