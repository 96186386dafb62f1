"""The proposals of the 2019 thread, on every tree to which they apply: Faultline's verdict beside what it must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from faultline.campaign.benchmark import Entry, Trial, attempt, read_set
from faultline.campaign.source import corpora_dir
from faultline.campaign.subject import Say
from faultline.kinds import FaultlineError, FindingKind
from faultline.tree import Overlay, TreeInfo, find_tree

SET: Final = "thread"
#: The tree that the proposals were written for, and those on which they are tried besides.
TREES: Final = ("debian:6.12", "debian:6.1", "debian:7.2")
SAME: Final = "same"
#: It keeps to the documentation; user space may see a difference from base, or does.
RIGHT: Final = "right"
NOT_THE_SAME: Final = "right, not the same"
#: No finding, and no changed line ran.
NOT_TESTED: Final = "not tested"


@dataclass(frozen=True)
class Row:
    """One proposal on one tree."""

    name: str
    entry: Entry
    version: str
    trial: Trial | None = None
    """None: it does not apply."""
    misfit: str = ""
    """Why it does not apply."""

    @property
    def expected(self) -> str:
        """The verdict that is recorded for it, in words."""
        if not self.entry.expected:
            return RIGHT if FindingKind.BASE_DIFFERENCE in self.entry.also else SAME
        return ", ".join(kind.value for kind in self.entry.expected)

    @property
    def verdict(self) -> str:
        """Faultline's; of a wrong proposal the kinds of finding that are recorded for it."""
        if self.trial is None:
            return "does not apply"
        if not self.trial.kinds:
            reach = self.trial.reach
            return NOT_TESTED if not self.trial.programs or (reach and reach.untested) else SAME
        if set(self.trial.kinds) == {FindingKind.BASE_DIFFERENCE}:
            return NOT_THE_SAME
        told = [kind for kind in self.trial.kinds if kind in (*self.entry.expected, *self.trial.stray)]
        return ", ".join(kind.value for kind in told or self.trial.kinds)

    @property
    def passed(self) -> bool:
        """Whether that is what is recorded, that it does not apply included."""
        if self.trial is None:
            return self.version not in self.entry.trees
        allowed = (SAME, NOT_THE_SAME) if self.expected == RIGHT else (self.expected,)
        return self.trial.passed and self.verdict in allowed


def rows(trees: Sequence[str], *, seconds: float, seed: int, jobs: int, say: Say) -> Iterator[Row]:
    """Tries every proposal on every tree, each for so many seconds at most.

    :raises FaultlineError: a tree, or the build.
    """
    for spec in trees:
        tree = find_tree(spec, say)
        for name, entry in read_set(SET).items():
            yield _row(name, entry, tree, spec, seconds=seconds, seed=seed, jobs=jobs, say=say)


def _row(name: str, entry: Entry, tree: TreeInfo, spec: str, *, seconds: float, seed: int, jobs: int, say: Say) -> Row:
    version, folder = f"{tree.major}.{tree.minor}", corpora_dir() / SET
    say(f"{name} on {version}: does it apply?")
    try:
        Overlay(tree.path, [folder / entry.file])
    except FaultlineError as error:
        return Row(name, entry, version, misfit=str(error).partition(": ")[2])
    trial = attempt(name, entry, folder, spec, seconds=seconds, seed=seed, jobs=jobs, say=say, reach=True)
    return Row(name, entry, version, trial)
