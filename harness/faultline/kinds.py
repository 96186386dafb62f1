"""Finding kinds and exit statuses: the one definition of each."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class FindingKind(StrEnum):
    """Stable names of what Faultline reports.

    The member's position is its number in C (``FL_KIND_*`` in the generated ``ops.h``): append only.
    """

    WRONG_DATA = "wrong-data"
    MISSED_EVENT = "missed-event"
    SPURIOUS_EVENT = "spurious-event"
    WRONG_SIGNAL = "wrong-signal"
    WRONG_ERRNO = "wrong-errno"
    LOST_BIT = "lost-bit"
    STRAY_BIT = "stray-bit"
    COUNTER_DRIFT = "counter-drift"
    REFERENCE_LEAK = "reference-leak"
    USE_AFTER_FREE = "use-after-free"
    STALE_TLB = "stale-tlb"
    LOCK_NOT_HELD = "lock-not-held"
    LOCK_LEAK = "lock-leak"
    LOCK_RECURSION = "lock-recursion"
    LOCK_ORDER = "lock-order"
    UNLOCK_NOT_OWNER = "unlock-not-owner"
    SLEEP_IN_ATOMIC = "sleep-in-atomic"
    PTE_UNLOCKED_ACCESS = "pte-unlocked-access"
    NOTIFIER_MISSED = "notifier-missed"
    KERNEL_BUG = "kernel-bug"
    HANG = "hang"
    BASE_DIFFERENCE = "base-difference"
    TOOL_ERROR = "tool-error"
    DATA_RACE = "data-race"


class ExitStatus(IntEnum):
    """Exit statuses of every command."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    ERROR = 3
    """A tool or build error."""
    SKIPPED = 4
    """Nothing to test, or a requirement is missing."""
    INTERRUPTED = 130
    """What was found is kept."""


class FaultlineError(Exception):
    """An error that the user sees as one line: what, where, and what to do.

    ``status`` is the exit status of the command that it ends; ``details`` are further lines, where one cannot hold all.
    """

    def __init__(self, message: str, status: ExitStatus = ExitStatus.ERROR, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
