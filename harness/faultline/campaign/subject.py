"""What a campaign tests: a tree, with patches or not, built and ready to be judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from faultline.backend.live_offer import requirement_missing
from faultline.build import BuiltLibrary, Variant, build
from faultline.campaign.hints import hints, near, table
from faultline.campaign.source import corpora_dir, whole_corpus
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.cheader import c_header
from faultline.program.codec import Operation
from faultline.tree import Overlay, TreeInfo, find_tree
from faultline.tree.changes import changes
from faultline.tree.diff import Misfit
from faultline.tree.fit import lay, with_better_tree
from faultline.verdict.harmless import Harmless, read_harmless
from faultline.verdict.judge import Judge, open_judge
from faultline.verdict.known import read_known, signatures
from faultline.verdict.live import open_live, open_three_way
from faultline.verdict.overlap import Schedules
from faultline.verdict.places import Hint, Places
from faultline.verdict.races import KnownRace, known_races, read_races

#: The kernel configuration, of those in csrc/arch/profiles, that is built unless another is asked for.
DEFAULT_PROFILE: Final = "base"

#: What stands for the running kernel in a repro's header, and among the trees of corpora/known.
LIVE_KERNEL: Final = "live"

#: Files that a message names.
_FILES_SHOWN: Final = 6

Say = Callable[[str], None]
"""Told in a line what is being done."""


@dataclass(frozen=True)
class Subject:
    """A built tree, with its base where the patches are to be judged against it, and what is known of it."""

    library: BuiltLibrary
    base: BuiltLibrary | None
    known: frozenset[str]
    races: tuple[KnownRace, ...] | None = None
    """Data races that may be; None: none are looked for."""
    strict: bool = False
    """What the trees do otherwise inside is a finding, too."""
    harmless: tuple[Harmless, ...] = ()
    """Differences that the patches say are meant."""
    places: Places | None = None
    """What of the patches there is to reach; None: nobody asks."""
    hints: Mapping[str, Hint] = field(default_factory=dict)
    """By function with changed lines, which operations are likely to reach it."""
    near: tuple[list[Operation], ...] = ()
    """Programs of the corpus that run such a function."""

    @property
    def kernel_tree(self) -> TreeInfo:
        """What was built."""
        return self.library.tree

    @property
    def idle(self) -> bool:
        """Whether it is the same as its base."""
        return self.base is not None and self.base.path == self.library.path

    @property
    def diff(self) -> str:
        """What the patches change in the tree, as a unified diff."""
        return changes(self.library.tree.path, self.library.patches)

    def judge_maker(self, schedules: Schedules | None = None) -> Callable[[Callable[[bytes], None]], Judge]:
        """What opens a judge in any process; it is given the judge's ``before_run``.

        :param schedules: for programs whose operations overlap; None: there are none.
        """
        base = self.base.path if self.base else None
        return partial(
            open_judge,
            subject=self.library.path,
            base=base,
            known=self.known,
            schedules=schedules,
            races=self.races,
            strict=self.strict,
            harmless=self.harmless,
        )


@dataclass(frozen=True)
class LiveSubject:
    """The running kernel; with a built tree, machine, oracle and live kernel beside each other."""

    tree: Subject | None = None

    @property
    def kernel_tree(self) -> TreeInfo | None:
        """What was built; None: nothing."""
        return self.tree.kernel_tree if self.tree else None

    @property
    def diff(self) -> str:
        """What patches change in that, as a unified diff."""
        return self.tree.diff if self.tree else ""

    @classmethod
    def checked(cls) -> LiveSubject:
        """The running kernel.

        :raises FaultlineError: (SKIPPED) it lacks what the live backend needs.
        """
        missing = requirement_missing()
        if missing:
            raise FaultlineError(missing, ExitStatus.SKIPPED)
        return cls()

    def judge_maker(self, schedules: Schedules | None = None) -> Callable[[Callable[[bytes], None]], Judge]:
        """What opens a judge in any process; one at a time on the whole machine."""
        assert schedules is None, "a running kernel has its own schedule"
        known = signatures(read_known(corpora_dir() / "known"), LIVE_KERNEL)
        cpu = max(os.sched_getaffinity(0))
        if self.tree is None:
            return partial(open_live, known=known, cpu=cpu)
        library = self.tree.library.path
        return partial(open_three_way, subject=library, known=self.tree.known, known_live=known, cpu=cpu)


def build_library(
    tree: TreeInfo, patches: Sequence[Path], profile: str, *, jobs: int, say: Say, variant: Variant = "plain",
    counted: Collection[str] = (),
) -> BuiltLibrary:  # fmt: skip
    """Builds ``tree`` with ``patches``.

    :param counted: files of the tree the lines of which the library counts.
    :raises FaultlineError: see :func:`faultline.build.build`.
    """
    what = " + ".join(["building " + tree.spec, *(patch.name for patch in patches)])

    def progress(stage: str, done: int, total: int) -> None:
        say(f"{what}: {done}/{total} {stage}")

    headers = {"ops.h": c_header()}
    try:
        return build(
            tree, patches, variant=variant, profile=profile, jobs=jobs, extra_headers=headers, progress=progress,
            counted=counted,
        )  # fmt: skip
    except Misfit as misfit:
        raise with_better_tree(misfit, patches, tree) from None


def nothing_to_test(tree: TreeInfo, patches: Sequence[Path]) -> FaultlineError:
    """The error for patches that change nothing that is built."""
    overlay = Overlay(tree.path, patches)
    files = sorted({*overlay.touched, *overlay.left_out})
    more = f" and {len(files) - _FILES_SHOWN} more" if len(files) > _FILES_SHOWN else ""
    what = f"they change {', '.join(files[:_FILES_SHOWN])}{more}" if files else "they change no file"
    names = ", ".join(patch.name for patch in patches)
    return FaultlineError(
        f"{names}: nothing to test: {what}, and none of the kernel files that are built; csrc/sources.txt lists those",
        ExitStatus.SKIPPED,
    )


def _both(patched: Callable[[], BuiltLibrary], base: Callable[..., BuiltLibrary]) -> tuple[BuiltLibrary, BuiltLibrary]:
    """Builds the base while the compiler works on the patched files; where these fail, it is given up.

    :param base: takes ``say``.
    """
    over = Event()

    def told(_: str) -> None:
        if over.is_set():
            raise FaultlineError("not needed any more")

    with ThreadPoolExecutor(1) as beside:
        pending = beside.submit(base, say=told)
        try:
            return patched(), pending.result()
        finally:
            over.set()


def prepare(
    kernel: str, patches: Sequence[Path], profile: str, *, check: bool, jobs: int, say: Say, variant: Variant = "plain",
    reach: bool = False, strict: bool = False, idle: bool = False,
) -> Subject:  # fmt: skip
    """Finds the tree and builds what is to be tested.

    :param check: its base too, the plain variant but for data races.
    :param reach: of a check, both libraries count which changed lines run.
    :param idle: patches may change nothing that is built.
    :raises FaultlineError: the tree, a patch or the build; with :attr:`ExitStatus.SKIPPED` if the patches change
        nothing that is built and that may not be.
    """
    harmless = read_harmless(patches) if check else ()
    tree = find_tree(kernel, say)
    overlay = lay(tree, patches) if check and reach else None
    counted = tuple(overlay.touched) if overlay else ()
    of_base: Variant = "race" if variant == "race" else "plain"
    built = partial(build_library, tree, profile=profile, jobs=jobs, counted=counted)
    patched = partial(built, patches, say=say, variant=variant)
    library, base = _both(patched, partial(built, (), variant=of_base)) if check else (patched(), None)
    if base and base.path == library.path and not idle:
        raise nothing_to_test(tree, patches)
    folder, version = corpora_dir() / "known", f"{tree.major}.{tree.minor}"
    races = known_races(read_races(folder), version) if variant == "race" else None
    subject = Subject(library, base, signatures(read_known(folder), version), races, strict, harmless)
    if not overlay or not base or subject.idle:
        return subject
    say("looking for the changed lines")
    places = Places(overlay, library.path, base.path)
    corpus = whole_corpus()
    measured = table(base.path, base.key, places.coverage, corpus)
    return replace(subject, places=places, hints=hints(places, measured), near=near(places, measured, corpus))
