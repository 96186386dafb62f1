"""A series of patches, patch by patch: builds every step of it, and asks each what it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from msgspec.structs import replace as changed

from faultline.build import BuiltLibrary, Variant
from faultline.campaign.run import Progress, Result, run
from faultline.campaign.subject import Say, Subject, build_library
from faultline.campaign.witness import Maker, Question, Witness
from faultline.campaign.worker import Cure, Plan, Record
from faultline.kinds import FaultlineError
from faultline.program.text import format_program
from faultline.tree import Overlay, TreeInfo
from faultline.tree.series import Series
from faultline.verdict.judge import Blame
from faultline.verdict.overlap import Schedules
from faultline.verdict.series import Failure, SeriesVerdict, Shown, Step, judge_series

#: A step in the middle is looked at for this share of the campaign's time or programs, and for so many seconds (a
#: worker needs one or two to start) or programs at least.
SAMPLE_SHARE: Final = 0.05
SAMPLE_SECONDS: Final = 4.0
SAMPLE_PROGRAMS: Final = 500
#: Seconds for all questions; what was not asked by then is not known.
ASK_SECONDS: Final = 120.0
#: Builds at once: each has steps that use one core.
BUILDS: Final = 2


@dataclass(frozen=True)
class Ladder:
    """The steps of a series, with the library of each that could be built."""

    steps: tuple[Step, ...]
    libraries: tuple[BuiltLibrary | None, ...]
    base: BuiltLibrary
    seconds: float

    @property
    def highest(self) -> int:
        """How many patches the last step has that was built; 0: none was."""
        return max((number for number, library in enumerate(self.libraries, 1) if library), default=0)

    @property
    def moves(self) -> bool:
        """Whether some step is not the same as the base."""
        return any(library is not None and library.path != self.base.path for library in self.libraries)


def build_ladder(
    tree: TreeInfo, series: Series, profile: str, *, jobs: int, say: Say, variant: Variant = "plain"
) -> Ladder:
    """Builds the tree with the first patch, the first two, and so on; what fails is noted with the step.

    :raises FaultlineError: the tree itself cannot be built.
    """
    begin = time.monotonic()
    steps = _applied(tree, series)
    counted = sorted({file for step in steps for file in step.files})  # as in a check, so that nothing is built twice
    base = build_library(tree, (), profile, jobs=jobs, say=say, variant=variant, counted=counted)
    applied = [number for number, step in enumerate(steps) if not step.failure and step.built]
    libraries: list[BuiltLibrary | None] = [None] * len(steps)

    def build(number: int) -> BuiltLibrary | FaultlineError:
        paths = series.paths[: number + 1]
        try:
            return build_library(tree, paths, profile, jobs=jobs, say=lambda _: None, variant=variant, counted=counted)
        except FaultlineError as error:
            return error

    pool = ThreadPoolExecutor(min(jobs, BUILDS))
    try:
        futures = {pool.submit(build, number): number for number in applied}
        for done, future in enumerate(as_completed(futures), 1):
            number, made = futures[future], future.result()
            if isinstance(made, FaultlineError):
                steps[number] = _failed(steps[number], "does-not-compile", made)
            else:
                libraries[number] = made
            say(f"building the series: {done} of {len(applied)} steps")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    _mark_same(steps, libraries, base)
    return Ladder(tuple(steps), tuple(libraries), base, time.monotonic() - begin)


def _applied(tree: TreeInfo, series: Series) -> list[Step]:
    """The steps, as far as patches apply; nothing is said of those after one that does not."""
    overlay, steps, stopped = Overlay(tree.path), [], ""
    for patch in series.patches:
        step = Step(name=patch.name, subject=patch.subject, author=patch.author)
        if stopped:
            steps.append(changed(step, built=False, why=f"it comes after {stopped}, which does not apply"))
            continue
        try:
            files = overlay.apply(patch.path)
        except FaultlineError as error:
            stopped = patch.name
            steps.append(_failed(step, "does-not-apply", error))
            continue
        steps.append(changed(step, files=tuple(sorted(files))))
    return steps


def _failed(step: Step, how: Failure, error: FaultlineError) -> Step:
    return changed(step, failure=how, built=False, why=str(error))


def _mark_same(steps: list[Step], libraries: Sequence[BuiltLibrary | None], base: BuiltLibrary) -> None:
    before: BuiltLibrary | None = base
    for number, library in enumerate(libraries):
        if library is not None and before is not None and library.path == before.path:
            files = ", ".join(steps[number].files) or "no file"
            why = f"it changes {files}, and nothing that is built"
            steps[number] = changed(steps[number], same=True, why=why)
        before = library if library is not None else before


@dataclass
class _Quiet:
    """Listens to the campaign of a step."""

    say: Say
    name: str

    def found(self, record: Record) -> None:
        """Nothing yet: what it is worth is seen when all steps were asked."""

    def progress(self, progress: Progress) -> None:
        """Says how far it is."""
        self.say(f"{self.name}: {progress.programs:,} programs, {progress.findings} findings")


@dataclass
class SeriesCheck:
    """Asks the steps of a series.  ``say`` is told what takes time."""

    ladder: Ladder
    subject: Subject
    """The whole series, with what is known of the tree."""
    plan: Plan
    """Of the campaign on the whole series."""
    say: Say
    samples: bool = True
    """Whether the steps in the middle have a short campaign of their own."""
    title: str = ""
    programs: int = 0
    """That ran in the campaigns of the steps."""
    _answers: dict[str, list[bool | None]] = field(default_factory=dict)
    _cured: dict[str, list[bool | None]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, result: Result, keep: Callable[[Record, int], Path | None]) -> SeriesVerdict:
        """What the series comes to, patch by patch; findings of the whole that only its steps' campaigns found are
        added to ``result``.

        :param keep: writes the repro of a finding, given how many patches of the series show it.
        """
        begin = time.monotonic()
        interrupted = result.interrupted
        records = {record.finding.signature: record for record in result.records}
        found = dict(records)
        if not interrupted:
            try:
                self._ask(list(records.values()), result.cures)
                if self.samples:
                    found = self._sample(records)
                    self._ask([record for name, record in found.items() if name not in records], ())
            except KeyboardInterrupt:
                self._stop.set()
                interrupted = result.interrupted = True
        about = {name: self._about(record, keep) for name, record in found.items() if name in self._answers}
        last = self.ladder.highest - 1
        for name, record in found.items():
            if name not in records and self._answers.get(name, [None] * (last + 1))[last]:
                result.records.append(record)
        if self.subject.idle:
            result.programs, result.seconds = self.programs, time.monotonic() - begin
        unanswered = interrupted or any(None in self._built(row) for row in self._answers.values())
        return judge_series(
            self.ladder.steps, self._answers, self._cured, title=self.title, about=about, interrupted=unanswered,
            seconds=(self.ladder.seconds, time.monotonic() - begin),
        )  # fmt: skip

    def _about(self, record: Record, keep: Callable[[Record, int], Path | None]) -> tuple[str, str | None]:
        row = self._answers[record.finding.signature]
        shown = [number for number, here in enumerate(row, 1) if here]
        file = keep(record, max(shown)) if shown else None
        return format_program(record.ops), str(file) if file else None

    def _built(self, row: Shown) -> list[bool | None]:
        return [here for here, library in zip(row, self.ladder.libraries, strict=True) if library is not None]

    def _distinct(self) -> dict[Path, list[int]]:
        """The steps by their libraries."""
        places: dict[Path, list[int]] = {}
        for number, library in enumerate(self.ladder.libraries):
            if library is not None:
                places.setdefault(library.path, []).append(number)
        return places

    def _maker(self, number: int) -> Maker:
        library = self.ladder.libraries[number]
        assert library is not None
        return replace(self.subject, library=library, base=self.ladder.base).judge_maker(Schedules())

    # --- asking ---

    def _ask(self, records: Sequence[Record], cures: Sequence[Cure]) -> None:
        """Runs the programs of findings, and of what the patches cure, on every step."""
        questions = [Question(record.ops, record.finding) for record in records]
        questions += [Question(cure.ops, cure.finding, Blame.FIXED) for cure in cures]
        rows = {id(question): self._row(question) for question in questions}
        if not questions:
            return
        end, done, distinct = time.monotonic() + ASK_SECONDS, 0, self._distinct()
        for place in distinct.pop(self.ladder.base.path, ()):  # all that the patches change is undone there
            for row in rows.values():
                row[place] = False
        total = len(distinct) * len(questions)

        def ask(places: list[int]) -> None:
            nonlocal done
            witness = Witness(self._maker(places[0]), stopped=self._stop.is_set)
            try:
                for question in questions:
                    if self._stop.is_set() or time.monotonic() > end:
                        return
                    shown = witness.shows(question)
                    for place in places:
                        rows[id(question)][place] = shown
                    done += 1
                    self.say(f"which patch: {done} of {total} runs")
            finally:
                witness.close()

        self._parallel(ask, list(distinct.values()))

    def _row(self, question: Question) -> list[bool | None]:
        """Where the answers to a question go, by step."""
        rows = self._answers if question.blame is Blame.NEW else self._cured
        return rows.setdefault(question.finding.signature, [None] * len(self.ladder.steps))

    def _parallel(self, work: Callable[[list[int]], None], items: list[list[int]]) -> None:
        pool = ThreadPoolExecutor(self.plan.jobs)
        try:
            for future in [pool.submit(work, item) for item in items]:
                future.result()
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    # --- short campaigns ---

    def _sample(self, known: Mapping[str, Record]) -> dict[str, Record]:
        """What the steps in the middle show in a short campaign each, besides what is known."""
        found = dict(known)
        distinct = self._distinct()
        outer = {self.ladder.base.path, self._library_of_last()}
        for path, places in distinct.items():
            if path in outer:
                continue
            name = self.ladder.steps[places[0]].name
            result = run(self._short_plan(places[0]), _Quiet(self.say, f"the series up to {name}"))
            self.programs += result.programs
            for record in result.records:
                found.setdefault(record.finding.signature, record)
            if result.interrupted:
                raise KeyboardInterrupt
        return found

    def _library_of_last(self) -> Path | None:
        last = self.ladder.libraries[self.ladder.highest - 1]
        return last.path if last else None

    def _short_plan(self, number: int) -> Plan:
        plan, maker = replace(self.plan, points=None, costs=0), self._maker(number)
        # where the whole is not looked at, the steps have its time
        share = 1 / len(self._distinct()) if self.subject.idle else SAMPLE_SHARE
        if plan.programs is not None:
            programs = max(SAMPLE_PROGRAMS, int(plan.programs * share))
            return replace(plan, make_judge=maker, programs=min(programs, plan.programs))
        seconds = max(SAMPLE_SECONDS, (plan.seconds or 0.0) * share)
        return replace(plan, make_judge=maker, seconds=seconds)
