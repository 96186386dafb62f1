"""A set of patches on every tree to which they apply: Faultline's verdict beside what it must be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from faultline.campaign.benchmark import Entry, Trial, attempt, chosen, read_set
from faultline.campaign.source import corpora_dir
from faultline.campaign.subject import Say
from faultline.kinds import FaultlineError, FindingKind
from faultline.tree import Overlay, find_tree

#: The proposals of the 2019 thread; the tree that they were written for, and those on which they are tried besides.
THREAD: Final = "thread"
THREAD_TREES: Final = ("debian:6.12", "debian:6.1", "debian:7.2")
#: Refactors that keep behaviour, and each with one call lost.
REFACTORS: Final = "refactors"
SAME: Final = "same"
#: It keeps to the documentation; user space may see a difference from base, or does.
RIGHT: Final = "right"
NOT_THE_SAME: Final = "right, not the same"
#: No finding, and no changed line ran.
NOT_TESTED: Final = "not tested"


@dataclass(frozen=True)
class Row:
    """One patch on one tree."""

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
        """Faultline's; of a wrong patch the kinds of finding that are recorded for it."""
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
    def first_finding(self) -> float | None:
        """Seconds from the patch on until the first finding was shown, minimised; None: there is none."""
        trial = self.trial
        return None if trial is None or trial.first is None else trial.building + trial.first

    @property
    def passed(self) -> bool:
        """Whether that is what is recorded, that it does not apply included."""
        if self.trial is None:
            return self.version not in self.entry.trees
        allowed = (SAME, NOT_THE_SAME) if self.expected == RIGHT else (self.expected,)
        return self.trial.passed and self.verdict in allowed


def rows(
    which: str, trees: Sequence[str], *, names: Collection[str] = (), seconds: float, seed: int, jobs: int, say: Say,
    fresh: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """Tries every patch of a set, or those named, on every tree, each for so many seconds at most.

    :param fresh: what a patch changes is compiled anew.
    :raises FaultlineError: (USAGE) a name is not in the set; a tree, or the build.
    """
    entries = read_set(which)
    if names:
        entries = chosen(which, entries, None, names, interleaved=False)
    for spec in trees:
        tree = find_tree(spec, say)
        for name, entry in entries.items():
            version, folder = f"{tree.major}.{tree.minor}", corpora_dir() / which
            say(f"{name} on {version}: does it apply?")
            try:
                Overlay(tree.path, entry.patches(folder))
            except FaultlineError as error:
                yield Row(name, entry, version, misfit=str(error).partition(": ")[2])
                continue
            trial = attempt(
                name, entry, folder, spec, seconds=seconds, seed=seed, jobs=jobs, say=say, reach=True, fresh=fresh
            )
            yield Row(name, entry, version, trial)
