"""How often the lines, branches and functions of some files of a tree ran.

Lines and branches are those of :mod:`faultline.verdict.parts`.  Counted is what is in the library: a function that
nothing calls is not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from faultline.build.covmap import Coverage, Form, Function, Kind, Region
from faultline.tree.lines import classify
from faultline.verdict.parts import Place, conditions, telling, text_between

_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class CoveredBranch:
    """A condition."""

    what: str
    """As the source has it."""
    true: int
    """How often it was true."""
    false: int

    @property
    def taken(self) -> int:
        """How many of its two ways were gone."""
        return (self.true > 0) + (self.false > 0)


@dataclass(frozen=True, slots=True)
class CoveredLine:
    """A line that has code."""

    number: int
    """Counted from 1."""
    count: int
    """How often it ran."""
    branches: tuple[CoveredBranch, ...] = ()


@dataclass(frozen=True)
class CoveredFunction:
    """A function of which the library has code."""

    name: str
    line: int
    """Where its body begins, from 1."""
    end: int
    """Its last line."""
    calls: int
    lines: tuple[CoveredLine, ...]

    @cached_property
    def missed(self) -> tuple[tuple[int, int], ...]:
        """First and last lines of the parts that never ran; lines without code between them do not part them."""
        parts = groupby(self.lines, lambda line: line.count == 0)
        found = [list(lines) for never, lines in parts if never]
        return tuple((lines[0].number, lines[-1].number) for lines in found)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of something ran."""

    reached: int
    total: int

    def __add__(self, other: Share) -> Share:
        return Share(self.reached + other.reached, self.total + other.total)


def lines_of(functions: Iterable[CoveredFunction]) -> Share:
    """Lines that ran, of those that have code."""
    counts = [line.count for function in functions for line in function.lines]
    return Share(sum(count > 0 for count in counts), len(counts))


def branches_of(functions: Iterable[CoveredFunction]) -> Share:
    """Ways of conditions that were gone, two of each condition."""
    taken = [branch.taken for function in functions for line in function.lines for branch in line.branches]
    return Share(sum(taken), 2 * len(taken))


def calls_of(functions: Iterable[CoveredFunction]) -> Share:
    """Functions that were called."""
    calls = [function.calls for function in functions]
    return Share(sum(count > 0 for count in calls), len(calls))


@dataclass(frozen=True, slots=True)
class CoveredFile:
    """A file of the tree."""

    path: str
    functions: tuple[CoveredFunction, ...]
    """By where they begin."""
    dropped: tuple[str, ...]
    """Functions that nothing calls, so that they are not in the library."""


class Map:
    """What a library counts of some files, found in their text once."""

    def __init__(self, coverage: Coverage, texts: Mapping[str, str]) -> None:
        """:param texts: of each file by its path, as the library was built of it."""
        self.coverage = coverage
        self.texts = {path: text.split("\n") for path, text in texts.items()}
        self._classes = {path: classify(text) for path, text in texts.items()}
        self._functions: dict[str, dict[tuple[Place, str], list[tuple[Function, list[Region]]]]] = {}
        for path in texts:
            self._functions[path] = defaultdict(list)
        for function in coverage.functions:
            for path in {region.file for region in function.regions} & texts.keys():
                own = [region for region in function.regions if region.file == path and not region.in_macro]
                starts = [region.start for region in own if region.kind is Kind.CODE]
                if starts:
                    self._functions[path][min(starts), function.name].append((function, own))

    @property
    def names(self) -> frozenset[str]:
        """All functions, those that nothing calls too."""
        return frozenset(name for functions in self._functions.values() for _, name in functions)

    def has_code(self, path: str) -> bool:
        """Whether the library has code of a file."""
        return any(function.counters for copies in self._functions[path].values() for function, _ in copies)

    @cached_property
    def _users(self) -> dict[str, set[str]]:
        """By a name, the functions in whose text it stands."""
        users: dict[str, set[str]] = defaultdict(set)
        for path, functions in self._functions.items():
            for (start, name), copies in functions.items():
                end = max(region.end for _, own in copies for region in own if region.kind is Kind.CODE)
                for word in _WORD.findall("\n".join(self.texts[path][start[0] - 1 : end[0]])):
                    users[word].add(name)
        return users

    def callers(self, name: str) -> tuple[str, ...]:
        """Functions of the files that name another one in their text."""
        return tuple(sorted(self._users.get(name, set()) - {name}))

    def covered(self, counts: Sequence[int]) -> list[CoveredFile]:
        """What ran, by file.

        :param counts: by the number of a counter of the library.
        """
        return [self._file(path, counts) for path in self.texts]

    def _file(self, path: str, counts: Sequence[int]) -> CoveredFile:
        found: list[CoveredFunction] = []
        dropped: list[str] = []
        for (start, name), copies in sorted(self._functions[path].items()):
            built = [(function, own) for function, own in copies if function.counters]
            if built:
                found.append(self._function(path, start, name, built, counts))
            else:
                dropped.append(name)
        return CoveredFile(path, tuple(found), tuple(dropped))

    def _function(
        self, path: str, start: Place, name: str, built: Sequence[tuple[Function, list[Region]]], counts: Sequence[int]
    ) -> CoveredFunction:
        """:param built: the function in each unit that has it."""

        def value(form: Form) -> int:
            return max(0, sum(times * counts[(offset - self.coverage.start) // 8] for offset, times in form.items()))

        texts, end = self.texts[path], max(region.end for region in built[0][1])[0]
        branches: dict[int, dict[tuple[int, str], tuple[int, int]]] = defaultdict(dict)
        for function, _ in built:
            for region, left, right in conditions(function, path, texts):
                key = left[1], text_between(texts, left, right)
                true, false = branches[left[0]].get(key, (0, 0))
                branches[left[0]][key] = true + value(region.count), false + value(region.other)
        lines: list[CoveredLine] = []
        for number in range(start[0], end + 1):
            code, macro = self._classes[path][number - 1]
            text = texts[number - 1]
            place = (number, len(text) - len(text.lstrip()) + 1)
            if not code or macro:
                continue
            told = [telling(own, place, text, macro=False) for _, own in built]
            if any(told):
                count = sum(max(value(region.count) for region in regions) for regions in told if regions)
                ways = sorted(branches[number].items())
                conditional = tuple(CoveredBranch(what, *both) for (_, what), both in ways)
                lines.append(CoveredLine(number, count, conditional))
        calls = sum(counts[(function.counters[0] - self.coverage.start) // 8] for function, _ in built)
        return CoveredFunction(name, start[0], end, calls, tuple(lines))
