"""Which of a patch's changed lines ran, and which program was the first to run each.

A changed line with code that no program ran was not tested, however many programs came out clean.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

State = Literal["reached", "not-reached", "no-code"]

REACHED: Final = "reached"
NOT_REACHED: Final = "not-reached"
#: A comment, a declaration, or what the profile leaves out: nothing of the built library belongs to the line.
NO_CODE: Final = "no-code"


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One way that a condition on a changed line can go."""

    what: str
    """The condition as the source has it, and ``: true`` or ``: false``."""
    first: int | None = None
    """Index of the first program in which it went that way; None: it never did."""

    @property
    def taken(self) -> bool:
        return self.first is not None


class ChangedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the patches add, or one that they remove with nothing that has code in its place."""

    file: str
    """Path in the tree."""
    line: int
    """Counted from 1, in the patched file; of a removed line in the file before the patches."""
    text: str
    """As it stands there, without its newline."""
    state: State
    function: str = ""
    """The function that its code belongs to; empty: no code, or none that has a name."""
    first: int | None = None
    """Index of the first program that ran it; None: none did."""
    removed: bool = False
    """The line is gone with the patches; whether it ran is seen on the tree without them."""
    branches: tuple[Branch, ...] = ()


class TouchedFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function with changed lines."""

    name: str
    file: str
    reached: int
    """Changed lines of it that ran."""
    total: int
    """Changed lines of it that have code."""
    operations: tuple[str, ...] = ()
    """Operations likely to reach it, likeliest first, by what ran it or its callers on the tree without the patches."""
    near: str = ""
    """The caller that ``operations`` are known to reach, where nothing is known to reach the function itself."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far a campaign got into a patch; lines and functions by file and line."""

    lines: tuple[ChangedLine, ...]
    functions: tuple[TouchedFunction, ...]

    @property
    def total(self) -> int:
        """Changed lines that have code."""
        return sum(line.state != NO_CODE for line in self.lines)

    @property
    def reached(self) -> int:
        """Changed lines that ran."""
        return sum(line.state == REACHED for line in self.lines)

    @property
    def missed(self) -> tuple[ChangedLine, ...]:
        """Changed lines that have code and never ran."""
        return tuple(line for line in self.lines if line.state == NOT_REACHED)

    @property
    def branches(self) -> int:
        """Ways that conditions on changed lines can go."""
        return sum(len(line.branches) for line in self.lines)

    @property
    def branches_taken(self) -> int:
        """Those of :attr:`branches` that were gone."""
        return sum(branch.taken for line in self.lines for branch in line.branches)

    @property
    def untested(self) -> bool:
        """Whether there are changed lines with code and none of them ran."""
        return self.total > 0 and self.reached == 0

    def function(self, line: ChangedLine) -> TouchedFunction | None:
        """The function that a line is in; None: it has no code."""
        return next((f for f in self.functions if (f.name, f.file) == (line.function, line.file)), None)

    def operations(self, line: ChangedLine) -> tuple[str, ...]:
        """Operations likely to reach a line, likeliest first; empty: none are known."""
        touched = self.function(line)
        return touched.operations if touched else ()
