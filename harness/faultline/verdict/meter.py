"""Compares what operations cost on two machines, and adds up what it comes to (:mod:`faultline.verdict.cost`)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final, Protocol

from faultline.backend.machine import OTHER_LOCKS
from faultline.program.codec import Operation
from faultline.program.ops import OPS
from faultline.program.text import format_program
from faultline.program.trace import Met
from faultline.verdict.cost import LABELS, REGIONS, Change, Cost, Total
from faultline.verdict.finding import END

#: Locks without a name are in part taken for what earlier programs left in caches, which a patch may change: what
#: differs in fewer operations than one in so many, or in less than so many of them, is taken for that.
OTHER_ONE_IN: Final = 20
OTHER_LEAST: Final = 3

#: What grows by more counts no more than this for the order of changes.
_RATE_MAX: Final = 10.0
#: Where a record has what a fault met; before it is whether the operation ran.
_MET: Final = 1
_FAULTING: Final = ("read", "write")
_MEETS: Final = {
    Met.MISSING: "no page",
    Met.SWAP_ENTRY: "swap entry",
    Met.NUMA_HINT: "NUMA hint",
    Met.UFFD_WP: "uffd-wp",
    Met.WRITE_PROTECTED: "write-protected",
    Met.PRESENT: "present",
}


class Metered(Protocol):
    """A machine that can say what operations cost: :class:`faultline.backend.machine.Machine`."""

    def run(self, wire: bytes, *, internals: bool = False, costs: bool = False) -> bytes: ...
    def costs(self, ops: int) -> bytes: ...
    def cost_layout(self) -> tuple[tuple[str, str], ...]: ...
    def weigh(self, weights: Sequence[int]) -> None: ...
    def reset(self) -> None: ...


@dataclass(slots=True)
class Row:
    """How often a count went from one number to another, for an operation; the shortest program in which it changed."""

    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    example: Sequence[Operation] | None = None
    index: int = 0

    def shows(self, ops: Sequence[Operation], index: int) -> None:
        """A program in which it changed."""
        if self.example is None or (len(ops), index) < (len(self.example), self.index):
            self.example, self.index = ops, index

    def add(self, other: Row) -> None:
        """Takes in what another worker saw."""
        self.pairs.update(other.pairs)
        if other.example is not None:
            self.shows(other.example, other.index)


@dataclass(slots=True)
class Table:
    """What was counted, by operation and counter."""

    programs: int = 0
    left_out: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def add(self, other: Table) -> None:
        """Takes in what another worker saw."""
        self.programs += other.programs
        self.left_out += other.left_out
        self.runs.update(other.runs)
        for key, row in other.rows.items():
            self.rows.setdefault(key, Row()).add(row)

    def cost(self) -> Cost:
        """What it comes to."""
        changes = [change for key, row in self.rows.items() if (change := self._change(*key, row)) is not None]
        first: dict[str, tuple[bool, float, str]] = {}
        for change in changes:
            first[change.operation] = min(first.get(change.operation, _weight(change)), _weight(change))
        changes.sort(key=lambda change: (first[change.operation], change.operation, _weight(change)))
        sums: dict[str, list[int]] = {}
        for (_, counter), row in self.rows.items():
            total = sums.setdefault(counter, [0, 0])
            for (before, after), times in row.pairs.items():
                total[0] += before * times
                total[1] += after * times
        totals = tuple(Total(counter=name, before=b, after=a) for name, (b, a) in sorted(sums.items()) if b or a)
        return Cost(programs=self.programs, left_out=self.left_out, changes=tuple(changes), totals=totals)

    def _change(self, operation: str, counter: str, row: Row) -> Change | None:
        runs = self.runs[operation]
        moved = {pair: times for pair, times in row.pairs.items() if pair[0] != pair[1]}
        changed = sum(moved.values())
        if not changed:
            return None
        if counter.startswith(OTHER_LOCKS) and (changed < OTHER_LEAST or changed * OTHER_ONE_IN < runs):
            return None
        return Change(
            operation=operation,
            counter=counter,
            runs=runs,
            changed=changed,
            before=sum(before * times for (before, _), times in row.pairs.items()),
            after=sum(after * times for (_, after), times in row.pairs.items()),
            median_before=_median(moved, 0),
            median_after=_median(moved, 1),
            program=format_program(row.example) if row.example else "",
            index=row.index,
        )


def _weight(change: Change) -> tuple[bool, float, str]:
    """Code that runs comes last; then what changes much and often comes first."""
    return change.counter == REGIONS, -min(abs(change.rate), _RATE_MAX) * change.changed, change.counter


def _median(moved: dict[tuple[int, int], int], which: int) -> int:
    return median_low(pair[which] for pair in Counter(moved).elements())


class Meter:
    """Compares what operations cost on two machines, program by program."""

    def __init__(self, base: Metered, subject: Metered) -> None:
        self.base, self.subject = base, subject
        layout = base.cost_layout()
        self._record = struct.Struct("<" + "".join(form for _, form in layout))
        self._labels = tuple(LABELS.get(name, name) for name, _ in layout)
        self._same: Counter[tuple[int, bytes]] = Counter()
        self._changed: dict[tuple[int, bytes, bytes], tuple[int, Sequence[Operation], int]] = {}
        self._programs = self._left_out = self._index = 0
        self._parted = False

    def weigh(self, base: Sequence[int], subject: Sequence[int]) -> None:
        """Code that runs is counted too: for each of the compiler's counters, how many regions it tells of."""
        self.base.weigh(base)
        self.subject.weigh(subject)

    def begin(self, index: int) -> None:
        """What is taken next is of this program; both machines have run the same before it."""
        self._index = index
        if self._parted:
            self.base.reset()
            self.subject.reset()
            self._parted = False

    def part(self) -> None:
        """The machines have run different programs, or the same with another end: so there may be different things in
        caches of the kernel's."""
        self._parted = True

    def leave_out(self) -> None:
        """The program did not come to the same on both machines."""
        self._left_out += 1
        self._parted = True

    def take(self, ops: Sequence[Operation]) -> None:
        """The program has run on both machines, which kept its costs, and came to the same."""
        self._programs += 1
        for code, old, new in self._records(ops):
            if old == new:
                self._same[code, old] += 1
                continue
            times, shown, index = self._changed.get((code, old, new), (0, ops, self._index))
            if len(ops) < len(shown):
                shown, index = ops, self._index
            self._changed[code, old, new] = times + 1, shown, index

    def _records(self, ops: Sequence[Operation]) -> Iterator[tuple[int, bytes, bytes]]:
        """Code and both costs of each operation that ran, the end of the program last with -1."""
        old, new, size = self.base.costs(len(ops)), self.subject.costs(len(ops)), self._record.size
        for i, code in enumerate([*(op[0] for op in ops), -1]):
            before = old[i * size : (i + 1) * size]
            if before[0]:
                yield code, before, new[i * size : (i + 1) * size]

    def differs(self, ops: Sequence[Operation], operation: str, counter: str, *, more: bool) -> bool:
        """Whether the program, which has run on both machines, has such an operation that takes more, or less, on the
        second one."""
        place = self._labels.index(counter)
        for code, old, new in self._records(ops):
            before, after = self._record.unpack(old), self._record.unpack(new)
            changed = before[place] != after[place] and (after[place] > before[place]) is more
            if changed and _operation(code, before[_MET]) == operation:
                return True
        return False

    def table(self) -> Table:
        """What was counted so far."""
        table = Table(self._programs, self._left_out)
        for (code, old), times in self._same.items():
            self._enter(table, code, old, old, times)
        for (code, old, new), (times, ops, index) in self._changed.items():
            for row in self._enter(table, code, old, new, times):
                row.shows(ops, index)
        return table

    def _enter(self, table: Table, code: int, old: bytes, new: bytes, times: int) -> list[Row]:
        """Notes a record; the rows in which it is another one."""
        before, after = self._record.unpack(old), self._record.unpack(new)
        operation = _operation(code, before[_MET])
        table.runs[operation] += times
        changed = []
        for place in range(_MET + 1, len(before)):
            if before[place] or after[place]:
                row = table.rows.setdefault((operation, self._labels[place]), Row())
                row.pairs[before[place], after[place]] += times
                if before[place] != after[place]:
                    changed.append(row)
        return changed


def _operation(code: int, met: int) -> str:
    """What the operation is called in a change."""
    if code < 0:
        return END
    name = OPS[code].name
    if name not in _FAULTING:
        return name
    return f"{name} fault ({_MEETS[Met(met)]})" if met else f"{name} (no fault)"
