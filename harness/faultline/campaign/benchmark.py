"""Known bugs put back: how soon a check finds each, and how small its program gets.

A set is a folder of semantic patches below corpora/ with an ``index.toml``: one table per patch, its keys the fields of
:class:`Entry`.
"""

from __future__ import annotations

import secrets
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

import msgspec

from faultline.campaign.run import Progress, run
from faultline.campaign.source import OVERLAPPING_ONE_IN, corpora_dir, seeds, whole_corpus
from faultline.campaign.subject import DEFAULT_PROFILE, Say, Subject, prepare
from faultline.campaign.worker import Plan, Record
from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.program.codec import has_blocks
from faultline.program.schedule import Schedule
from faultline.tree import DEFAULT_TREE, Overlay, find_tree
from faultline.tree.changes import changes_of
from faultline.verdict.judge import decisions_of
from faultline.verdict.overlap import Schedules
from faultline.verdict.reach import Reach

INDEX: Final = "index.toml"
#: Runs of a repro.
REPLAYS: Final = 100


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One patch of a set."""

    file: str
    title: str
    trees: tuple[str, ...]
    """Versions to which it applies, such as "6.12"."""
    mode: Literal["S", "I"]
    """S: one task at a time suffices; I: it needs an interleaving."""
    expected: tuple[FindingKind, ...]
    """Kinds that a check must report; none: it must be clean."""
    source: str = ""
    """Where it comes from, if it is not our own."""
    on: str = ""
    """The patch of the set that must be there first."""
    note: str = ""
    profile: str = DEFAULT_PROFILE
    also: tuple[FindingKind, ...] = ()
    """Kinds that follow from the same defect."""
    expected_interleaved: tuple[FindingKind, ...] = ()
    """Kinds that need an interleaving, besides ``expected``."""
    by_eye: str = ""
    """What reviewers found without running it."""

    def patches(self, folder: Path) -> list[Path]:
        """The files to apply, in order; ``folder`` is that of the set."""
        return [folder / file for file in (self.on, self.file) if file]


@dataclass(frozen=True)
class Sighting:
    """The findings of an expected kind: seconds of the campaign until the first was there; of the one with the fewest
    operations how it is once it was minimised."""

    kind: FindingKind
    seconds: float
    operations: int
    preemptions: int | None
    """None: no operations overlap."""
    replayed: int
    """Of :data:`REPLAYS` runs of its repro, those that show it."""


@dataclass(frozen=True)
class Trial:
    """What a check of one patch came to."""

    name: str
    entry: Entry
    sightings: tuple[Sighting, ...]
    missed: tuple[FindingKind, ...]
    """Expected, and not found."""
    stray: tuple[FindingKind, ...]
    """Found, and neither expected nor allowed."""
    programs: int
    seconds: float
    kinds: tuple[FindingKind, ...] = ()
    """All that were found, the expected ones first."""
    reach: Reach | None = None
    """Which changed lines ran; None: nobody asked."""
    building: float = 0.0
    """Seconds before the campaign, for the libraries and what is known of them."""
    first: float | None = None
    """Seconds of the campaign until the first finding was there, minimised; None: there is none."""

    @property
    def passed(self) -> bool:
        """Whether the check said what it must, and says it again."""
        return not self.missed and not self.stray and all(one.replayed == REPLAYS for one in self.sightings)


def sets() -> tuple[str, ...]:
    """The sets that there are."""
    return tuple(sorted(path.parent.name for path in corpora_dir().glob(f"*/{INDEX}") if _is_set(path)))


def _is_set(index: Path) -> bool:
    return any(index.parent.glob("*.cocci"))


def read_set(name: str) -> dict[str, Entry]:
    """The patches of a set by name.

    :raises FaultlineError: (USAGE) there is no such set; (ERROR) its index is damaged or names no file.
    """
    index = corpora_dir() / name / INDEX
    try:
        entries = msgspec.convert(tomllib.loads(index.read_text()), dict[str, Entry])
    except FileNotFoundError:
        known = ", ".join(sets()) or "none"
        text = f"{name}: no such set of patches in {corpora_dir()}; there are: {known}"
        raise FaultlineError(text, ExitStatus.USAGE) from None
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise FaultlineError(f"{index}: {error}; mend the entry or take it out") from None
    for patch, entry in entries.items():
        for path in entry.patches(index.parent):
            if not path.is_file():
                raise FaultlineError(f"{index}: {patch} names {path.name}, which is not there")
    return entries


def chosen(
    name: str, entries: dict[str, Entry], version: str | None, names: Collection[str], *, interleaved: bool
) -> dict[str, Entry]:
    """The entries to try: those named, else all of one mode.

    :param version: such as "6.12": only those for that tree; None: for any.
    :param interleaved: the mode, if no names are given.
    :raises FaultlineError: (USAGE) a name is not in the set; (SKIPPED) nothing fits.
    """
    unknown = [wanted for wanted in names if wanted not in entries]
    if unknown:
        raise FaultlineError(f"{unknown[0]}: not in corpora/{name}; see its {INDEX}", ExitStatus.USAGE)
    mode = "I" if interleaved else "S"
    fitting = {
        patch: entry
        for patch, entry in entries.items()
        if version in (None, *entry.trees) and (patch in names if names else entry.mode == mode)
    }
    if not fitting:
        where = f"for Linux {version}" if version else f"of mode {mode}"
        raise FaultlineError(f"corpora/{name}: nothing of it is {where}", ExitStatus.SKIPPED)
    return fitting


def tree_of(entry: Entry) -> str:
    """The tree to try an entry on: the default one, or else the newest that it is for."""
    wanted = DEFAULT_TREE.removeprefix("debian:")
    newest = max(entry.trees, key=lambda version: tuple(map(int, version.split("."))))
    return f"debian:{wanted if wanted in entry.trees else newest}"


@dataclass
class _Watch:
    """Notes when each kind was first seen."""

    say: Callable[[str], None]
    begin: float = field(default_factory=time.monotonic)
    seen: dict[FindingKind, float] = field(default_factory=dict)
    first: float | None = None
    """Of the first finding that is done."""

    def found(self, record: Record) -> None:
        now = time.monotonic() - self.begin
        self.seen.setdefault(record.finding.kind, now)
        if record.done and self.first is None:
            self.first = now

    def progress(self, progress: Progress) -> None:
        self.say(f"{progress.programs:,} programs, {progress.findings} findings, {progress.seconds:.0f} s")


def attempt(
    name: str, entry: Entry, folder: Path, kernel: str, *, seconds: float, seed: int, jobs: int, say: Say,
    reach: bool = False, fresh: bool = False,
) -> Trial:  # fmt: skip
    """Checks one patch until all expected kinds are found and minimised, or for ``seconds``.

    :param reach: and says which changed lines ran.
    :param fresh: what the patch changes is compiled anew, as after an edit.
    :raises FaultlineError: the tree, the patch or the build.
    """
    with _edited(entry.patches(folder), kernel, say) if fresh else nullcontext(entry.patches(folder)) as patches:
        begin = time.monotonic()
        subject = prepare(kernel, patches, entry.profile, check=True, jobs=jobs, say=say, reach=reach)
        building = time.monotonic() - begin
    wanted = frozenset(entry.expected)
    plan = Plan(
        subject.judge_maker(Schedules()),
        seed,
        jobs,
        seconds=seconds,
        corpus=whole_corpus(),
        wanted=wanted,
        overlapping=OVERLAPPING_ONE_IN,
        again=seeds(),
        points=subject.places.points if subject.places else None,
        near=subject.near,
    )
    watch = _Watch(lambda text: say(f"{name}: {text}"))
    result = run(plan, watch)
    best: dict[FindingKind, Record] = {}
    for record in result.records:
        kind = record.finding.kind
        if kind not in best or (not record.done, len(record.ops)) < (not best[kind].done, len(best[kind].ops)):
            best[kind] = record
    allowed = wanted | set(entry.also) | set(entry.expected_interleaved)
    return Trial(
        name=name,
        entry=entry,
        sightings=tuple(_sighting(subject, best[kind], watch) for kind in entry.expected if kind in best),
        missed=tuple(kind for kind in entry.expected if kind not in best),
        stray=tuple(kind for kind in best if kind not in allowed),
        programs=result.programs,
        seconds=result.seconds,
        kinds=tuple(sorted(best, key=lambda kind: (kind not in wanted, kind))),
        reach=subject.places.reach(result.first, {}) if subject.places else None,
        building=building,
        first=watch.first,
    )


@contextmanager
def _edited(patches: list[Path], kernel: str, say: Say) -> Iterator[list[Path]]:
    """The patches as one diff with a comment that no earlier one had: as far as any cache knows, it is a new edit."""
    with tempfile.TemporaryDirectory(prefix="faultline-") as folder:
        overlay = Overlay(find_tree(kernel, say).path, patches)
        for path, text in overlay.changed.items():
            overlay.changed[path] = f"{text}/* {secrets.token_hex(8)} */\n" if text else text
        diff = Path(folder) / "edit.diff"
        diff.write_text(changes_of(overlay), errors="surrogateescape")
        yield [diff]


def _sighting(subject: Subject, record: Record, watch: _Watch) -> Sighting:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # a process opens a library once
        replayed, preemptions = pool.submit(_replay, subject, record).result()
    kind = record.finding.kind
    return Sighting(kind, watch.seen[kind], len(record.ops), preemptions, replayed)


def _replay(subject: Subject, record: Record) -> tuple[int, int | None]:
    """How often the repro shows its finding, and its preemptions if operations overlap."""
    judge = subject.judge_maker(Schedules())(lambda _: None)
    signature = record.finding.signature
    if not has_blocks(record.ops):
        shown = (judge.judge(record.ops).finding for _ in range(REPLAYS))
        return sum(one is not None and one.signature == signature for one in shown), None
    program = judge.overlap(judge.subject, record.ops)
    schedule = Schedule("replay", decisions=decisions_of(record.finding))
    shown = (program.run(schedule) for _ in range(REPLAYS))
    return sum(one is not None and one.signature == signature for one in shown), program.taken.preemptions
