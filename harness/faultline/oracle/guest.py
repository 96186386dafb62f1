"""The rules of a secondary MMU: what a virtual machine sees is the memory of its process."""

from __future__ import annotations

import errno
from typing import Final

from faultline.oracle import rules
from faultline.oracle.memory import Memory, Outcome, failed
from faultline.program.codec import Operation
from faultline.program.trace import Status

_SIGNAL: Final = int(Status.SIGNAL)
_EFAULT: Final = failed(errno.EFAULT)


class Guest(Memory):
    """Accesses through a secondary MMU."""

    def _op_guest_read(self, op: Operation) -> Outcome:
        return self._guest_load(op, self._index)

    def _op_guest_write(self, op: Operation) -> Outcome:
        return self._guest_store(op, self._index)

    def _guest_load(self, op: Operation, index: int) -> Outcome:
        return self._no_signal(self._load(op, index))

    def _guest_store(self, op: Operation, index: int) -> Outcome:
        return self._no_signal(self._store(op, index))

    def _no_signal(self, outcome: Outcome) -> Outcome:
        """What would be a signal to the task fails the guest's access."""
        if outcome[0] != _SIGNAL:
            return outcome
        self._also(self._rule)
        self._rule = rules.GUEST_FAULT
        return _EFAULT
