"""A finding: what was expected, what happened, and the signature that groups duplicates."""

from __future__ import annotations

from typing import Final

import msgspec

from faultline.kinds import FindingKind

#: The operation name of a finding made after the last operation, when everything must be back at its start.
END: Final = "end"
#: The operation name of a finding that is of no single operation of a block.
BLOCK: Final = "par"
#: Where the machine's own sources lie.
_OURS: Final = "csrc/"


class Place(msgspec.Struct, frozen=True):
    """A place in the source of the built library; ``line`` counts from 1, 0 if it is not known."""

    function: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.function} at {self.file}:{self.line}" if self.file else self.function

    @property
    def of_kernel(self) -> bool:
        """Whether the place is in the tree's code, not in the machine's."""
        return bool(self.file) and not self.file.startswith(_OURS)


class SlotState(msgspec.Struct, frozen=True):
    """One page slot of one process around an operation, as snapshot words (:class:`faultline.program.trace.Bit`).

    None: not known (no such process at that moment, or the run ended before its snapshot).
    """

    process: int
    slot: int
    before: int | None
    expected: int | None
    happened: int | None


class Because(msgspec.Struct, frozen=True):
    """A rule that the expectation rests on, and the document that states it."""

    text: str
    source: str


class TakenLock(msgspec.Struct, frozen=True):
    """A lock that a task held, and where it took it."""

    name: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.name}, taken by {self.place}" if self.place else self.name


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was under way when another one's finding was made."""

    name: str
    """As in a program's text: ``p0.1``, ``m``."""
    frames: tuple[Place, ...] = ()
    locks: tuple[TakenLock, ...] = ()
    waits: str = ""
    """The lock that it waits for; empty: none."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One divergence, or one thing that a checker of the machine saw.

    ``op`` is the index of the operation at which it showed, -1 for the end of the program.  ``expected`` and
    ``happened`` are one readable line each.  ``aspect`` says what diverged: a trace field, a snapshot bit, or the
    kernel function for what the machine found; it holds neither addresses nor line numbers.  ``locks`` are those that
    the task held, ``tasks`` the others, where the finding is about what tasks have to do with each other.
    """

    kind: FindingKind
    op: int
    operation: str
    aspect: str
    happened: str
    expected: str = ""
    because: tuple[Because, ...] = ()
    frames: tuple[Place, ...] = ()
    other: Place | None = None
    locks: tuple[TakenLock, ...] = ()
    tasks: tuple[Task, ...] = ()
    slots: tuple[SlotState, ...] = ()
    note: str = ""
    alone: str = ""
    """Where machine, oracle and live kernel were asked: which of them does what neither of the others does."""
    schedule: str = ""
    """Of a program with overlapping operations: the decisions of :mod:`faultline.program.schedule`."""

    @property
    def signature(self) -> str:
        """``kind:operation:aspect``, the same in every run of the same defect."""
        return f"{self.kind.value}:{self.operation}:{self.aspect}"

    def with_schedule(self, schedule: str) -> Finding:
        """The same finding, as it shows under a schedule."""
        return msgspec.structs.replace(self, schedule=schedule)

    def standing_alone(self, who: str) -> Finding:
        """The same finding, of one of machine, oracle and live kernel."""
        return msgspec.structs.replace(self, alone=who)

    def with_note(self, note: str) -> Finding:
        """The same finding with a remark for the reader."""
        return msgspec.structs.replace(self, note=note)
