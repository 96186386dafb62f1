"""What of a patch there is to reach: its changed lines and their branches, each with the counters that tell.
Lines and branches are those of :mod:`faultline.verdict.parts`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.build.covmap import Coverage, Form, Function, Kind, Region, read_coverage
from faultline.tree import Overlay
from faultline.tree.lines import Change, changed_lines
from faultline.verdict.parts import conditions, telling, text_between
from faultline.verdict.reach import NO_CODE, NOT_REACHED, REACHED, Branch, ChangedLine, Reach, TouchedFunction

_COUNTER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Side:
    """The counters of one library that are looked at."""

    start: int
    """Offset of the first counter in the library."""
    size: int
    """Bytes of all counters."""
    weights: tuple[int, ...] = ()
    """For each counter, how many regions of the changed files' text it tells of."""


@dataclass(frozen=True, slots=True)
class Point:
    """A line, or one way of a branch: it was reached if one of these sums of counters is above zero."""

    on_base: bool
    """It is of the tree without the patches."""
    sums: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """Each behind the number of its function's first counter, which is zero if the function was not called: numbers of
    counters in the library and how often each is taken."""


@dataclass(frozen=True, slots=True)
class Points:
    """All that there is to reach, as workers need it; a point is known by its number."""

    points: tuple[Point, ...]
    subject: Side
    base: Side


@dataclass(frozen=True, slots=True)
class _Line:
    change: Change
    function: str
    point: int | None
    """None: no code."""
    branches: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Hint:
    """Which operations are likely to reach a function, likeliest first; ``near``: a caller, if no more is known."""

    operations: tuple[str, ...]
    near: str = ""


class Places:
    """The changed lines of a patch, found in the libraries with and without it."""

    def __init__(self, overlay: Overlay, library: Path, base: Path) -> None:
        """Both libraries count the lines of the files that the overlay changes.

        :raises FaultlineError: the compiler's mapping cannot be read.
        """
        self._points: list[Point] = []
        files = frozenset(overlay.changed)
        new, old = read_coverage(library, files), read_coverage(base, files)
        before = Overlay(overlay.tree)
        finders = {
            False: _Finder(new, {path: overlay.read(path) or "" for path in files}),
            True: _Finder(old, {path: before.read(path) or "" for path in files}),
        }
        self.coverage = old
        self._finder = finders[False]
        self._lines = self._telling([self._line(finders[one.removed], one) for one in changed_lines(overlay)])
        self.points = Points(tuple(self._points), _side(new), _side(old))

    def _line(self, finder: _Finder, change: Change) -> _Line:
        found = finder.line(change) if change.code else None
        if found is None:
            return _Line(change, "", None, ())
        branches = tuple(
            (f"{what}: {way}", self._point(change.removed, finder, sums))
            for what, ways in finder.branches(change)
            for way, sums in zip(("true", "false"), ways, strict=True)
        )
        return _Line(change, found.function, self._point(change.removed, finder, found.sums), branches)

    def _point(self, on_base: bool, finder: _Finder, sums: Collection[_Sum]) -> int:
        def number(offset: int) -> int:
            return (offset - finder.start) // _COUNTER_BYTES

        numbered = sorted((number(call), tuple((number(o), n) for o, n in form)) for call, form in sums if form)
        self._points.append(Point(on_base, tuple(numbered)))
        return len(self._points) - 1

    def _telling(self, lines: Sequence[_Line]) -> list[_Line]:
        """Without removed lines where others that have code took their place."""
        replaced = {line.change.place for line in lines if not line.change.removed and line.point is not None}
        return [line for line in lines if not line.change.removed or line.change.place not in replaced]

    @property
    def functions(self) -> tuple[tuple[str, str], ...]:
        """Name and file of the functions with changed lines."""
        return tuple(dict.fromkeys((line.function, line.change.file) for line in self._lines if line.function))

    def callers(self, name: str) -> tuple[str, ...]:
        """Functions of the changed files, as they are with the patches, that name another one in their text."""
        return self._finder.naming(name)

    def reach(self, first: Mapping[int, int], hints: Mapping[str, Hint]) -> Reach:
        """What was reached.

        :param first: by the number of a point, the index of the first program that reached it.
        :param hints: by the name of a function.
        """
        lines = tuple(_changed(line, first) for line in self._lines)
        functions: list[TouchedFunction] = []
        for name, file in self.functions:
            inside = [line for line in lines if (line.function, line.file) == (name, file)]
            reached = sum(line.state == REACHED for line in inside)
            hint = hints.get(name, Hint(()))
            functions.append(
                TouchedFunction(
                    name=name,
                    file=file,
                    reached=reached,
                    total=len(inside),
                    operations=hint.operations,
                    near=hint.near,
                )
            )
        return Reach(lines=lines, functions=tuple(functions))


def _side(coverage: Coverage) -> Side:
    weights = [0] * (coverage.size // _COUNTER_BYTES)
    for function in coverage.functions:
        for region in function.regions:
            if region.kind is Kind.CODE:
                for offset, times in region.count.items():
                    weights[(offset - coverage.start) // _COUNTER_BYTES] += times
    return Side(coverage.start, coverage.size, tuple(weights))


def _changed(line: _Line, first: Mapping[int, int]) -> ChangedLine:
    index = None if line.point is None else first.get(line.point)
    return ChangedLine(
        file=line.change.file,
        line=line.change.line,
        text=line.change.text,
        state=NO_CODE if line.point is None else NOT_REACHED if index is None else REACHED,
        function=line.function,
        first=index,
        removed=line.change.removed,
        branches=tuple(Branch(what=what, first=first.get(point)) for what, point in line.branches),
    )


_Sum = tuple[int, tuple[tuple[int, int], ...]]
"""The function's first counter, and the sum, as offsets."""


@dataclass(frozen=True, slots=True)
class _Found:
    function: str
    sums: frozenset[_Sum]


class _Finder:
    """Finds lines of some files in a library's coverage."""

    def __init__(self, coverage: Coverage, texts: Mapping[str, str]) -> None:
        self.start = coverage.start
        self._texts = {path: text.split("\n") for path, text in texts.items()}
        self._plain: dict[str, list[tuple[Function, list[Region]]]] = defaultdict(list)
        self._macros: dict[str, list[tuple[Function, list[Region]]]] = defaultdict(list)
        for function in coverage.functions:
            for path in {region.file for region in function.regions} & texts.keys():
                here = [region for region in function.regions if region.file == path]
                self._plain[path].append((function, [region for region in here if not region.in_macro]))
                self._macros[path].append((function, [region for region in here if region.in_macro]))

    def line(self, change: Change) -> _Found | None:
        """Where the code of a line is counted; None: it has no code."""
        text = self._texts[change.file][change.line - 1]
        place = (change.line, len(text) - len(text.lstrip()) + 1)
        sums: set[_Sum] = set()
        names: list[str] = []
        for function, regions in (self._macros if change.macro else self._plain)[change.file]:
            found = telling(regions, place, text, change.macro)
            if found is None:
                continue
            names.append(function.name)
            if function.counters:
                sums |= {_sum(function, region.count) for region in found}
        return _Found(min(names), frozenset(sums)) if names else None

    def naming(self, name: str) -> tuple[str, ...]:
        """Functions in whose text a name stands."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        found: set[str] = set()
        for path, functions in self._plain.items():
            lines = [number for number, text in enumerate(self._texts[path], 1) if word.search(text)]
            for function, regions in functions:
                body = next((region for region in regions if region.kind is Kind.CODE), None)
                if body and any(body.start[0] <= number <= body.end[0] for number in lines):
                    found.add(function.name)
        return tuple(sorted(found - {name}))

    def branches(self, change: Change) -> list[tuple[str, tuple[frozenset[_Sum], frozenset[_Sum]]]]:
        """The conditions on a line: text, and the counters of either way."""
        found: dict[tuple[int, str], tuple[set[_Sum], set[_Sum]]] = {}
        for function, _ in self._plain[change.file]:
            for region, start, end in conditions(function, change.file, self._texts[change.file]):
                if start[0] != change.line:
                    continue
                ways = found.setdefault((start[1], text_between(self._texts[change.file], start, end)), (set(), set()))
                ways[0].add(_sum(function, region.count))
                ways[1].add(_sum(function, region.other))
        return [(text, (frozenset(a), frozenset(b))) for (_, text), (a, b) in sorted(found.items())]


def _sum(function: Function, form: Form) -> _Sum:
    return function.counters[0], tuple(sorted(form.items()))
