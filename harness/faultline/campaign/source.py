"""Which programs a campaign runs: number ``i`` is a function of the seed, ``i``, the corpus and which programs of it
run what a patch changes, and of nothing else."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from faultline.program import generate, mutate
from faultline.program.codec import Operation, alone, has_blocks
from faultline.program.ops import NEED_NAMES, lacking
from faultline.program.overlap import with_block
from faultline.program.text import read_repro

#: Of the generated programs, one in this many is a mutation of a corpus program; the others are fresh.
MUTATED_ONE_IN: Final = 3
#: In a check one program of so many has operations that overlap: under many schedules they take longer, about half of
#: the time.  One of so many of these is one that the campaign comes back to, run under so many times as many schedules.
OVERLAPPING_ONE_IN: Final = 40
AGAIN_ONE_IN: Final = 20
TIMES_AGAIN: Final = 25
#: Of the generated programs of a check, one in this many is a mutation of one that runs a function which the patch
#: changes, if some of the corpus do.
NEAR_ONE_IN: Final = 3
SUFFIXES: Final = (".prog", ".repro")


class Source:
    """The numbered programs of a campaign: first the corpus as it stands, of that what runs what a patch changes, then
    fresh and mutated ones.

    :param has: what the kernel has, of :data:`~faultline.program.ops.NEEDS`: no operation needs anything else, and a
        program of the corpus that does is left out.
    :param overlapping: in one program of so many operations overlap, where that can be; 0: in none.
    :param again: programs of the corpus to come back to, as they stand, if their operations overlap.
    :param near: programs of the corpus that run what a patch changes: they come first, and more is made of them.
    """

    def __init__(
        self,
        seed: int,
        corpus: Sequence[list[Operation]] = (),
        has: frozenset[str] = NEED_NAMES,
        overlapping: int = 0,
        again: Sequence[list[Operation]] = (),
        near: Sequence[list[Operation]] = (),
    ) -> None:
        self._seed = seed
        self._has = has
        self._overlapping = overlapping
        kept = [ops for ops in corpus if not lacking(ops, has) and (overlapping or not has_blocks(ops))]
        self._near = [ops for ops in near if not lacking(ops, has)]
        self._again = [ops for ops in kept if has_blocks(ops) and ops in again]
        first = {tuple(ops) for ops in self._near}
        rest = [ops for ops in kept if tuple(ops) not in first]
        self._corpus = [ops for ops in kept if tuple(ops) in first]
        self._corpus += _spread([ops for ops in rest if not has_blocks(ops)], [ops for ops in rest if has_blocks(ops)])

    @property
    def corpus(self) -> int:
        """How many programs of the corpus come first, as they stand."""
        return len(self._corpus)

    def program(self, index: int) -> list[Operation]:
        """Program number ``index``, counted from 0."""
        if index < len(self._corpus):
            return list(self._corpus[index])
        rng = random.Random(self._seed << 64 | index)
        if not self._overlapping or zlib.crc32(index.to_bytes(8)) % self._overlapping:
            return self._fresh(rng)  # not every n-th: of several workers one would have them all
        if self._again and rng.randrange(AGAIN_ONE_IN) == 0:
            return list(rng.choice(self._again))
        ops = self._fresh(rng)
        return with_block(rng, ops) or ops

    def times(self, ops: Sequence[Operation]) -> int:
        """As many schedules as usual the program is to be run under."""
        return TIMES_AGAIN if list(ops) in self._again else 1

    def _fresh(self, rng: random.Random) -> list[Operation]:
        if self._near and rng.randrange(NEAR_ONE_IN) == 0:
            return [alone(op) for op in mutate.mutate(rng, rng.choice(self._near), self._near, self._has)]
        if self._corpus and rng.randrange(MUTATED_ONE_IN) == 0:
            return [alone(op) for op in mutate.mutate(rng, rng.choice(self._corpus), self._corpus, self._has)]
        return generate.random_program(rng, has=self._has)


def _spread(many: Sequence[list[Operation]], few: Sequence[list[Operation]]) -> list[list[Operation]]:
    """Both, each in its order, mixed evenly: what takes longer neither comes first, nor when a check that found
    something is over."""
    placed = [((i + 0.5) / len(part), ops) for part in (many, few) for i, ops in enumerate(part)]
    return [ops for _, ops in sorted(placed, key=lambda one: one[0])]


def corpora_dir() -> Path:
    """The corpora: ``FAULTLINE_CORPORA``, else corpora/ of the repository that this package lies in."""
    chosen = os.environ.get("FAULTLINE_CORPORA")
    return Path(chosen).expanduser().absolute() if chosen else Path(__file__).resolve().parents[3] / "corpora"


def seeds() -> tuple[list[Operation], ...]:
    """The programs of the corpus that were written for what they may show."""
    return tuple(read_corpus([corpora_dir() / "seeds"]))


def whole_corpus() -> tuple[list[Operation], ...]:
    """The seeds, and before them what once showed a fault of ours."""
    return (*read_corpus([corpora_dir() / "regressions"]), *seeds())


def read_corpus(folders: Iterable[Path]) -> list[list[Operation]]:
    """The programs of all ``*.prog`` and ``*.repro`` files in ``folders``, ordered by file name; a missing folder is
    an empty one.

    :raises FaultlineError: (USAGE) a file is damaged or unreadable.
    """
    files = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix in SUFFIXES]
    return [read_repro(path).ops for path in sorted(files)]
