"""Watches which points of a patch each program reaches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from faultline.backend.machine import Machine
from faultline.verdict import judge, places

#: Seconds after which all counters are taken again: what a worker that dies has run since is lost.
TAKEN_EVERY: Final = 0.5


@dataclass(frozen=True)
class Reached:
    """Points that a worker reached for the first time, by the number of the program."""

    index: int
    points: tuple[int, ...]


@dataclass(slots=True)
class _Function:
    """The points of one function that are still to be reached, with the sums that tell, by the number of the point."""

    view: memoryview
    call: int
    waiting: list[tuple[int, tuple[tuple[int, int], ...]]]
    spent: slice


class Watch:
    """The counters of two machines, from :meth:`begin` to :meth:`reached`: those of one program."""

    def __init__(self, points: places.Points, subject: memoryview, base: memoryview) -> None:
        """``subject`` and ``base`` are the counters of the libraries that the points were found in."""
        views = {False: subject, True: base}
        functions: dict[tuple[bool, int], _Function] = {}
        for number, point in enumerate(points.points):
            for call, form in point.sums:
                view = views[point.on_base]
                function = functions.setdefault(
                    (point.on_base, call), _Function(view, call, [], slice(call, call + 1))
                )
                function.waiting.append((number, form))
                used = [function.spent.start, function.spent.stop - 1, *(counter for counter, _ in form)]
                function.spent = slice(min(used), max(used) + 1)
        self._functions = list(functions.values())
        self._zeros = memoryview(bytes(8 * max((f.spent.stop - f.spent.start for f in self._functions), default=0)))

    @classmethod
    def of(cls, points: places.Points, judged: judge.Judge) -> Watch:
        """Watches a judge's machines."""
        assert judged.base is not None
        return cls(points, _counters(judged.subject, points.subject), _counters(judged.base, points.base))

    def begin(self) -> None:
        """Forgets what ran before."""
        zeros = self._zeros.cast("Q")
        for function in self._functions:
            if function.view[function.call]:
                function.view[function.spent] = zeros[: function.spent.stop - function.spent.start]

    def reached(self) -> tuple[int, ...]:
        """The numbers of the points that were reached since :meth:`begin`, for the first time."""
        new: set[int] = set()
        for function in self._functions:
            view = function.view
            if view[function.call]:
                for number, form in function.waiting:
                    if sum(times * view[counter] for counter, times in form) > 0:
                        new.add(number)
        if new:
            self._strike(new)
        return tuple(sorted(new))

    def _strike(self, new: set[int]) -> None:
        for function in self._functions:
            function.waiting = [entry for entry in function.waiting if entry[0] not in new]
        self._functions = [function for function in self._functions if function.waiting]


class Counters:
    """All counters of a library, as they go up from now on."""

    def __init__(self, side: judge.Side, where: places.Side) -> None:
        self._view = _counters(side, where)
        self._view[:] = memoryview(bytes(where.size)).cast("Q")
        self._taken_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether they were not taken for a while."""
        return time.monotonic() - self._taken_at >= TAKEN_EVERY

    def take(self) -> bytes:
        """What they are."""
        self._taken_at = time.monotonic()
        return bytes(self._view)


def _counters(side: judge.Side, where: places.Side) -> memoryview:
    assert isinstance(side.machine, Machine)
    return side.machine.counters(where.start, where.size)


def earliest(first: dict[int, int], reached: Reached) -> None:
    """Notes in ``first``, the index of the first program by the number of a point, what a worker reached."""
    for point in reached.points:
        first[point] = min(first.get(point, reached.index), reached.index)

