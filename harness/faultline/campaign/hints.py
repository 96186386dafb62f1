"""Which operations run which functions of the changed files, measured on the tree without the patches.

Programs of the corpus and some generated ones run on the base library, which counts: an operation that adds to the
calls of a function ran it.  Results are kept in the cache.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from faultline.backend.machine import Machine
from faultline.build.covmap import Coverage
from faultline.build.objects import digest
from faultline.program.codec import Operation, encode, has_blocks
from faultline.program.generate import random_program
from faultline.program.ops import OPS, lacking
from faultline.tree.cache import cache_dir, store, touch, writing
from faultline.verdict.places import Hint, Places

Callers = Callable[[str], Iterable[str]]
"""The functions that call another one, by its name."""

#: Generated programs that are run beside the corpus.
GENERATED: Final = 1500
#: Operations that are named for a function.
NAMED_MAX: Final = 8
#: Runs that are taken to have missed, so that a single run does not look certain.
_DOUBT: Final = 2
#: How far callers are followed.
CALLERS_MAX: Final = 4


class Table(msgspec.Struct, frozen=True):
    """What was measured."""

    runs: dict[str, int]
    """By operation, how often it was run."""
    hits: dict[str, dict[str, int]]
    """By function, how often each operation ran it."""
    programs: dict[str, tuple[int, ...]]
    """By function, the programs of the corpus that ran it, by number."""

    def likely(self, function: str) -> tuple[str, ...]:
        """Operations by how likely they run a function, likeliest first."""
        hits = self.hits.get(function, {})
        share = {name: times / (self.runs[name] + _DOUBT) for name, times in hits.items()}
        return tuple(sorted(share, key=lambda name: (-share[name], name))[:NAMED_MAX])


NOTHING: Final = Table({}, {}, {})


def table(library: Path, key: str, coverage: Coverage, corpus: Sequence[list[Operation]]) -> Table:
    """The table of a library, from the cache if it is there; empty if the library does not survive the programs.

    :param key: stands for the library's content; ``coverage``: of the functions that are asked about.
    """
    functions = {(f.name, f.counters[0]) for f in coverage.functions if f.counters}
    names = sorted(f"{name} {at}" for name, at in functions)
    kept = cache_dir() / "reach" / f"{digest(key, *names, *map(encode, corpus), str(GENERATED))}.json"
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=Table)
        touch(kept)
        return found
    except (OSError, msgspec.MsgspecError):
        pass
    measured = _Measurement(library, coverage.start, coverage.size, tuple(sorted(functions)), tuple(corpus))
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # a process opens a library once
            made = pool.submit(measured.run).result()
    except BrokenProcessPool:
        return NOTHING
    with writing(cache_dir()):
        store(kept, msgspec.json.encode(made))
    return made


@dataclass(frozen=True)
class _Measurement:
    library: Path
    start: int
    size: int
    functions: tuple[tuple[str, int], ...]
    corpus: tuple[list[Operation], ...]

    def run(self) -> Table:
        machine = Machine(self.library)
        has = machine.has
        names = [name for name, _ in self.functions]
        calls = itemgetter(*((at - self.start) // 8 for _, at in self.functions), 0)
        runs: Counter[str] = Counter()
        hits: dict[str, Counter[str]] = defaultdict(Counter)
        programs: dict[str, list[int]] = defaultdict(list)
        for number, ops in self._programs(has):
            sets = machine.run_counting(encode(ops), len(ops), self.start, self.size)
            seen: set[str] = set()
            before = calls(sets[0])
            for op, view in zip(ops, sets[1:], strict=False):
                after, name = calls(view), OPS[op[0]].name
                ran = {function for function, a, b in zip(names, before, after, strict=False) if a != b}
                runs[name] += 1
                for function in ran:
                    hits[function][name] += 1
                seen |= ran
                before = after
            for function in seen if number >= 0 else ():
                programs[function].append(number)
        by_function = {function: dict(sorted(counts.items())) for function, counts in sorted(hits.items())}
        return Table(dict(runs), by_function, {name: tuple(found) for name, found in sorted(programs.items())})

    def _programs(self, has: frozenset[str]) -> Iterable[tuple[int, list[Operation]]]:
        """Those of the corpus with their numbers, generated ones with -1."""
        for number, ops in enumerate(self.corpus):
            if not has_blocks(ops) and not lacking(ops, has):
                yield number, ops
        for seed in range(GENERATED):
            yield -1, random_program(random.Random(seed), has=has)


def hints(places: Places, measured: Table) -> Mapping[str, Hint]:
    """Which operations are likely to reach each function with changed lines."""
    return hints_for([name for name, _ in places.functions], places.callers, measured)


def hints_for(names: Iterable[str], callers: Callers, measured: Table) -> Mapping[str, Hint]:
    """Which operations are likely to reach each of these functions: those that ran it, or the nearest caller that any
    ran."""
    found: dict[str, Hint] = {}
    for name in names:
        known = measured.likely(name)
        found[name] = Hint(known) if known else _by_callers(name, callers, measured)
    return found


def near(places: Places, measured: Table, corpus: Sequence[list[Operation]]) -> tuple[list[Operation], ...]:
    """The programs of the corpus that run a function with changed lines, or where none does its nearest callers."""
    numbers: set[int] = set()
    for name, _ in places.functions:
        caller = _by_callers(name, places.callers, measured).near
        numbers |= set(measured.programs.get(name) or measured.programs.get(caller, ()))
    return tuple(corpus[number] for number in sorted(numbers))


def _by_callers(name: str, callers: Callers, measured: Table) -> Hint:
    seen, ring = {name}, [name]
    for _ in range(CALLERS_MAX):
        ring = sorted({caller for one in ring for caller in callers(one)} - seen)
        seen |= set(ring)
        for caller in ring:
            if known := measured.likely(caller):
                return Hint(known, caller)
    return Hint(())
