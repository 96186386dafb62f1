"""The rules of a secondary MMU: what a virtual machine sees is the memory of its process."""

from __future__ import annotations

import errno
from typing import Final

from faultline.oracle import rules
from faultline.oracle.memory import PROCESS_MASK, Memory, Outcome, failed
from faultline.oracle.state import Waiter
from faultline.program.codec import Operation
from faultline.program.trace import Status

_SIGNAL: Final = int(Status.SIGNAL)
_EFAULT: Final = failed(errno.EFAULT)


class Guest(Memory):
    """Accesses through a secondary MMU."""

    def _op_guest_read(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._no_signal(self._load(op, self._index, process, op[2]))

    def _op_guest_write(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._no_signal(self._store(op, self._index, process, op[2], op[3]))

    def _guest_load_again(self, waiter: Waiter) -> Outcome:
        return self._no_signal(self._load_again(waiter))

    def _guest_store_again(self, waiter: Waiter) -> Outcome:
        return self._no_signal(self._store_again(waiter))

    def _no_signal(self, outcome: Outcome) -> Outcome:
        """What would be a signal to the task fails the guest's access."""
        if outcome[0] != _SIGNAL:
            return outcome
        self._also(self._rule)
        self._rule = rules.GUEST_FAULT
        return _EFAULT
