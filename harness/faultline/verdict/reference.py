"""What stands for overlapping operations, on the machine that they are compared with: the unpatched one in a check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from faultline.oracle.model import Oracle
from faultline.oracle.orders import Order
from faultline.program.codec import Operation, encode
from faultline.program.schedule import Schedule, Taken
from faultline.program.traceview import Step, continued, parse_trace, with_outcome


class Found(Protocol):
    """What a checker of a machine saw."""

    @property
    def op(self) -> int: ...


class Machine(Protocol):
    """Where programs run: :class:`faultline.backend.machine.Machine`."""

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes: ...
    def run_last_first(self, wire: bytes) -> bytes: ...
    def run_overlapping(self, wire: bytes, schedule: Schedule, *, paranoid: bool = False) -> bytes: ...
    @property
    def taken(self) -> Taken: ...
    @property
    def finding(self) -> Found | None: ...


class Reference:
    """Runs sequential programs and programs with blocks.  A finding that is told at the end of a program leaves its
    trace whole; with any other there is no trace."""

    def __init__(self, machine: Machine, oracle: Oracle, before_run: Callable[[bytes], None]) -> None:
        self._machine, self._oracle, self._before_run = machine, oracle, before_run

    def sequential(self, order: Order) -> bytes | None:
        """The trace of an order."""
        wire = encode(order.ops)
        self._before_run(wire)
        trace = self._machine.run_last_first(wire) if order.last_first else self._machine.run(wire)
        return trace if self._whole() else None

    def agrees(self, order: Order, trace: bytes) -> bool:
        """Whether the oracle agrees with a trace of an order."""
        return self._oracle.expect(order.ops, trace).trace == trace

    def comes_to(self, order: Order, trace: bytes, step: Step) -> bytes | None:
        """A trace of an order in which one operation comes to what a step says, as the oracle expects it; None: it does
        not allow that.

        :param trace: the order's own.
        """
        other = self._oracle.expect(order.ops, with_outcome(trace, order.ops, step)).trace
        own = parse_trace(other, order.ops, snapshots=True)[step.index]
        same = (own.status, own.value, own.aux) == (step.status, step.value, step.aux)
        return other if same and self.agrees(order, other) else None

    def goes_on(
        self,
        order: Order,
        trace: bytes,
        place: dict[int, int],
        ops: Sequence[Operation],
        other: bytes,
        last: int,
        *,
        shown: bool,
        since: int | None = None,
    ) -> bytes:
        """What the oracle expects of an order that goes on as another program does, one that differs in its blocks.

        :param trace: the order's own.
        :param place: the index in the order of each operation that has not ended when the blocks are over.
        :param other: trace of ``ops``, taken over after the operation with index ``last``.
        :param shown: what it shows after that one is taken over, too: the oracle may choose by that.
        :param since: the place in the order since when it maps those pages of files.
        """
        joined = continued(trace, order.ops, other, ops, last, place, shown=shown, since=since)
        return self._oracle.expect(order.ops, joined).trace

    def overlapping(self, ops: Sequence[Operation], schedule: Schedule) -> bytes | None:
        """The trace of a program with blocks."""
        wire = encode(ops)
        self._before_run(wire)
        trace = self._machine.run_overlapping(wire, schedule)
        return trace if self._whole() else None

    def _whole(self) -> bool:
        found = self._machine.finding
        return found is None or found.op < 0
