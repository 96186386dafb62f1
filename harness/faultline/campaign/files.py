"""Programs of files on the running kernel, one after the other; with a built tree three ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faultline.campaign.isolate import death_of
from faultline.campaign.source import SUFFIXES
from faultline.campaign.worker import NOT_STEADY, Crash, crash_finding
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, encode, has_blocks
from faultline.program.ops import OPS
from faultline.program.text import read_repro
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Judge, Trial
from faultline.verdict.live import MACHINE, LiveJudge, ThreeWay, without_lacking

OVERLAPS = "operations of it overlap, which a running kernel does not do on demand"


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: Path
    ops: Sequence[Operation]
    """The program; where three are compared, without what one of them lacks."""
    trial: Trial | None
    """On the running kernel; None: it was not run."""
    finding: Finding | None = None
    known: bool = False
    skipped: tuple[str, ...] = ()
    """The operations that were skipped, by name, as often as they were."""
    not_run: str = ""
    """Why the program, or its rest, was not run; empty: it was."""
    stopped_at: int | None = None
    """The operation from which on it was not run."""
    explained: tuple[str, ...] = ()


def programs(named: Iterable[Path]) -> list[tuple[Path, list[Operation]]]:
    """The programs of files, and of all ``*.prog`` and ``*.repro`` files in folders, in order.

    :raises FaultlineError: (USAGE) one cannot be read; (SKIPPED) there is none.
    """
    paths: list[Path] = []
    for path in named:
        inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
        paths += inside
    if not paths:
        raise FaultlineError("no program there; name files, or folders with *.prog or *.repro", ExitStatus.SKIPPED)
    return [(path, read_repro(path).ops) for path in paths]


def judge_files(judge: Judge, files: Iterable[tuple[Path, list[Operation]]]) -> Iterator[Outcome]:
    """What each program comes to."""
    for path, ops in files:
        if has_blocks(ops):
            yield Outcome(path, ops, None, not_run=OVERLAPS)
        elif isinstance(judge, ThreeWay):
            yield _three_way(judge, path, ops)
        else:
            assert isinstance(judge, LiveJudge)
            yield _live(judge, path, ops)


def _names(ops: Sequence[Operation], kept: Sequence[Operation]) -> tuple[str, ...]:
    skipped = Counter(OPS[op[0]].name for op in ops) - Counter(OPS[op[0]].name for op in kept)
    return tuple(sorted(skipped.elements()))


def _live(judge: LiveJudge, path: Path, ops: Sequence[Operation]) -> Outcome:
    trial = judge.trial(judge.subject, ops)
    skipped = _names(ops, without_lacking(ops, judge.has))
    stopped = judge.live.backend.stopped
    finding = _steady(judge, ops, trial.finding)
    known = finding is not None and judge.knows(finding, ops)
    why, at = ("", None) if stopped is None else (stopped.why, stopped.index)
    return Outcome(path, ops, trial, finding, known, skipped, why, at)


def _steady(judge: Judge, ops: Sequence[Operation], finding: Finding | None) -> Finding | None:
    """The finding, with a remark if a second run does not show it."""
    if finding is None:
        return None
    again = judge.judge(ops).finding
    return finding if again is not None and again.signature == finding.signature else finding.with_note(NOT_STEADY)


def _three_way(judge: ThreeWay, path: Path, ops: Sequence[Operation]) -> Outcome:
    kept = without_lacking(ops, judge.has)
    skipped = _names(ops, kept)
    if not kept:
        return Outcome(path, kept, None, skipped=skipped, not_run="no operation is left that both kernels have")
    wire = encode(kept)
    died = death_of(lambda: judge.subject.machine.run(wire))
    if died:
        crash = crash_finding(Crash(0, wire, died)).standing_alone(MACHINE)
        return Outcome(path, kept, None, crash, judge.knows(crash, kept), skipped)
    found = judge.compare(kept)
    stopped = judge.live.live.backend.stopped
    why, at = ("", None) if stopped is None else (stopped.why, stopped.index)
    finding = _steady(judge, kept, found.finding)
    known = finding is not None and judge.knows(finding, kept)
    return Outcome(path, kept, found.live, finding, known, skipped, why, at, found.explained)
