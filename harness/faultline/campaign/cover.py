"""Programs run for what they reach, not for what they come to: no oracle looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Final

from faultline.build import BuiltLibrary, kernel_files
from faultline.build.covmap import Coverage, read_coverage
from faultline.campaign.hints import CALLERS_MAX, NOTHING, hints, hints_for, near, table
from faultline.campaign.source import whole_corpus
from faultline.campaign.subject import Say, build_library, nothing_to_test
from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.program.codec import Operation, encode, has_blocks
from faultline.tree import Overlay, TreeInfo, find_tree
from faultline.tree.fit import lay
from faultline.verdict.cover import CoveredFile, Map
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Judge, Side, Verdict, open_judge
from faultline.verdict.meter import Meter
from faultline.verdict.overlap import Overlap, Schedules
from faultline.verdict.places import Hint, Places
from faultline.verdict.places import Side as Counters
from faultline.verdict.reference import Reference

#: Stands for whatever a run with overlapping operations may show, so that nobody asks an oracle.
_RAN: Final = Finding(
    kind=FindingKind.TOOL_ERROR, op=0, operation="", aspect="not-judged", expected="", happened="it ran"
)


class Runner(Judge):
    """Runs programs as a judge does, and finds nothing."""

    def judge(
        self, ops: Sequence[Operation], wire: bytes | None = None, *, seed: int = 0, times: int = 1,
        meter: Meter | None = None,
    ) -> Verdict:  # fmt: skip
        for side in (self.subject, self.base):
            if side is not None:
                self.exercise(side, ops, seed, times)
        return Verdict()

    def exercise(self, side: Side, ops: Sequence[Operation], seed: int = 0, times: int = 1) -> None:
        wire = encode(ops)
        if not has_blocks(ops):
            self._before_run(wire)
            side.machine.run(wire, snapshots=False)
            return
        reference = Reference(side.machine, self._oracle, self._before_run)
        program = Overlap(ops, side.machine, lambda _ops, _trace: _RAN, reference, self._before_run)
        for _ in program.findings(self._more(times), seed):
            pass


def open_runner(
    before_run: Callable[[bytes], None], *, subject: Path, base: Path | None, schedules: Schedules
) -> Judge:
    """As :func:`faultline.verdict.judge.open_judge`."""
    judge = open_judge(before_run, subject=subject, base=base, schedules=schedules)
    return Runner(judge.subject, judge.base, before_run=before_run, schedules=schedules)


@dataclass(frozen=True)
class CoverSubject:
    """A library that counts what it runs, with what there is to reach."""

    library: BuiltLibrary
    map: Map
    base: BuiltLibrary | None
    places: Places | None
    """Of patches: their changed lines."""
    changed_hints: Mapping[str, Hint]
    """By function with changed lines, which operations are likely to reach it."""
    near: tuple[list[Operation], ...]
    """Programs of the corpus that run such a function."""

    @property
    def counted(self) -> Counters:
        """The library's counters."""
        return Counters(self.map.coverage.start, self.map.coverage.size)

    def judge_maker(self, schedules: Schedules) -> Callable[[Callable[[bytes], None]], Judge]:
        """What opens a :class:`Runner` in any process."""
        base = self.base.path if self.base else None
        return partial(open_runner, subject=self.library.path, base=base, schedules=schedules)

    def covered(self, counts: Iterable[bytes]) -> list[CoveredFile]:
        """What ran, from the counters of all workers."""
        return self.map.covered(_added(counts, self.map.coverage.size))

    def hints(self, names: Sequence[str]) -> Mapping[str, Hint]:
        """Which operations are likely to reach functions; measured once and kept in the cache."""
        asked = ring = {*names}
        for _ in range(CALLERS_MAX):
            ring = {caller for name in ring for caller in self.map.callers(name)} - asked
            asked = asked | ring
        found = tuple(function for function in self.map.coverage.functions if function.name in asked)
        coverage = Coverage(found, self.map.coverage.start, self.map.coverage.size)
        measured = table(self.library.path, self.library.key, coverage, whole_corpus())
        return hints_for(names, self.map.callers, measured)


def _added(counts: Iterable[bytes], size: int) -> Sequence[int]:
    views = [memoryview(one).cast("Q") for one in counts]
    return [sum(column) for column in zip(*views, strict=True)] if views else [0] * (size // 8)


def prepare_cover(
    kernel: str, patches: Sequence[Path], profile: str, files: Sequence[str], *, jobs: int, say: Say
) -> CoverSubject:
    """Finds the tree and builds it such that it counts.

    :param files: which files are looked at; none: those that patches change, without patches all that are built.
    :raises FaultlineError: the tree, a patch or the build; (USAGE) the tree has no such file; (SKIPPED) a file is not
        built, or the patches change nothing that is.
    """
    tree = find_tree(kernel, say)
    overlay = lay(tree, patches)
    built = kernel_files(overlay, profile)
    for file in files:
        _check(file, overlay, built, tree, profile)
    changed = tuple(sorted(overlay.changed))
    wanted = tuple(dict.fromkeys(files)) or changed or built
    # without files as a check does, so that its libraries serve
    counted = {*files, *overlay.touched} or set(built)
    library = build_library(tree, patches, profile, jobs=jobs, say=say, counted=counted)
    base = None
    if patches:
        base = build_library(tree, (), profile, jobs=jobs, say=say, counted=counted)
        if base.path == library.path:
            raise nothing_to_test(tree, patches)
    say("reading what the library counts")
    places = Places(overlay, library.path, base.path) if base else None
    measured, corpus = NOTHING, whole_corpus()
    if places and base:
        measured = table(base.path, base.key, places.coverage, corpus)
    texts = {path: overlay.read(path) or "" for path in wanted}
    found = Map(read_coverage(library.path, frozenset(wanted)), texts)
    for file in files:
        if not found.has_code(file):
            raise FaultlineError(
                f"--file {file}: nothing of it is built in the profile {profile}; csrc/sources.txt lists what is",
                ExitStatus.SKIPPED,
            )
    if not places:
        return CoverSubject(library, found, base, places, {}, ())
    return CoverSubject(library, found, base, places, hints(places, measured), near(places, measured, corpus))


def _check(file: str, overlay: Overlay, built: Sequence[str], tree: TreeInfo, profile: str) -> None:
    if not overlay.exists(file):
        like = [path for path in built if Path(path).name == Path(file).name] or get_close_matches(file, built, 1)
        hint = f"; do you mean {like[0]}?" if like else "; name it as the tree does, for example mm/memory.c"
        raise FaultlineError(f"--file {file}: {tree.spec} has no such file{hint}", ExitStatus.USAGE)
    if file.endswith(".c") and file not in built:
        raise FaultlineError(
            f"--file {file}: not built in the profile {profile}; csrc/sources.txt lists what is", ExitStatus.SKIPPED
        )
