"""What a patch costs: what the same operations of the same programs take on the tree with it and on the one without.

The machine counts, per operation, with all that this wakes: TLB flushes, locks, memory that is asked for, page faults;
and the compiler's counters tell how many regions of the source text of the changed files ran.  All of it depends on
program and build alone, so any difference is the patch's.  A program that does not come to the same on both trees is
left out: it costs something else because it does something else.
"""

from __future__ import annotations

from typing import Final

import msgspec

#: What is counted, by its name in ``struct fl_cost``; locks go by their own names.
LABELS: Final = {
    "tlb_flushes": "TLB flushes",
    "tlb_full": "flushes of the whole TLB",
    "tlb_remote": "other CPUs told to flush",
    "faults": "page faults",
    "pages": "user pages allocated",
    "tables": "page tables and kernel pages allocated",
    "objects": "slab objects allocated",
    "regions": "code regions of the changed files",
}
#: The part of the source that runs, the one count that a refactor may well change.
REGIONS: Final = LABELS["regions"]

class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An operation takes more or less of something than it did."""

    operation: str
    """Its name; of a load or store with what it met, as ``write fault (uffd-wp)``; ``end``: processes exit and files
    are closed at a program's end."""
    counter: str
    """What is counted, in words; a lock by its name, with `` (shared)`` if it is taken for reading."""
    runs: int
    """How often the operation ran."""
    changed: int
    """In how many of these the count is another one."""
    before: int
    """Sum over all runs on the tree without the patches."""
    after: int
    median_before: int
    """Of the runs with another count."""
    median_after: int
    program: str = ""
    """A short one in which it differs; for the first change of an operation it was made smaller, and where others show
    in that, too, it is theirs."""
    index: int = 0
    """Number of the program that this was made of."""

    @property
    def rate(self) -> float:
        """By how much it grows, as a part of what it was; infinite: it was nothing."""
        if not self.before:
            return float("inf") if self.after else 0.0
        return (self.after - self.before) / self.before


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is counted, over all programs."""

    counter: str
    before: int
    after: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a patch costs, as far as programs came to the same on both trees."""

    programs: int
    left_out: int
    """Programs that show a finding, or did not come to the same."""
    changes: tuple[Change, ...]
    """Those of an operation together, those that matter most first."""
    totals: tuple[Total, ...]
    """What is nothing on both trees is left out."""

    @property
    def told(self) -> tuple[Change, ...]:
        """The changes but for those of the code that ran."""
        return tuple(change for change in self.changes if change.counter != REGIONS)

    @property
    def code(self) -> Total | None:
        """How much of the changed files' code ran; None: that was not counted."""
        return next((total for total in self.totals if total.counter == REGIONS), None)
