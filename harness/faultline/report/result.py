"""A campaign's result: as a document for programs and reports, and in a few lines for people."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from faultline import __version__
from faultline.build.toolchain import clang_version, find_toolchain
from faultline.campaign.run import Result
from faultline.campaign.worker import Record
from faultline.kinds import FaultlineError
from faultline.program.text import format_program
from faultline.report.cost import cost_lines
from faultline.report.document import Document, Environment, Found, Mode, Point, Verdict, with_sums
from faultline.report.reach import reach_lines, with_reach
from faultline.report.repro import Setting
from faultline.report.series import fix_lines, fixes
from faultline.report.steps import ran
from faultline.tree import TreeInfo
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame


@dataclass(frozen=True)
class About:
    """What is known of a run before it begins."""

    setting: Setting
    mode: Mode
    command: str
    started: str
    environment: Environment
    diff: str = ""

    @property
    def seed(self) -> int:
        """Which programs are generated."""
        return self.setting.seed or 0


def command_again(arguments: Sequence[str], seed: int) -> str:
    """The command line that runs the same again: as it was given, with its seed."""
    given = any(word == "--seed" or word.startswith("--seed=") for word in arguments)
    return shlex.join(["faultline", *arguments, *([] if given else ["--seed", str(seed)])])


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def environment(tree: TreeInfo | None) -> Environment:
    """What this machine is; ``tree``: what was built here, None: the running kernel is tested."""
    compiler = ""
    if tree is not None:
        try:
            version = clang_version(find_toolchain().clang)
        except FaultlineError:  # all came from the cache
            version = None
        compiler = version[1] if version else ""
    return Environment(
        faultline=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        compiler=compiler,
        tree=tree.id if tree else "",
        version=tree.version if tree else platform.release(),
    )


def document(
    result: Result, about: About, files: Mapping[str, Path], timeline: Sequence[Point] = (), *, ended: bool = True
) -> Document:
    """All that reports need of a run; ``files`` are the repros by signature, ``ended``: the run has."""
    setting = about.setting
    return Document(
        verdict=_verdict(result, ended=ended),
        mode=about.mode,
        command=about.command,
        started=about.started,
        kernel=setting.kernel,
        patches=setting.named,
        profile=setting.profile,
        variant=setting.variant,
        seed=result.seed,
        programs=result.programs,
        seconds=round(result.seconds, 3),
        interrupted=result.interrupted,
        ended=ended,
        worker_deaths=result.deaths,
        findings=tuple(_found(record, files) for record in result.records),
        base=_counts(result, Blame.BASE),
        fixed=_counts(result, Blame.FIXED),
        known=_counts(result, Blame.KNOWN),
        harmless=_counts(result, Blame.HARMLESS),
        deviations=dict(sorted(result.deviations.items())),
        undecided=dict(sorted(result.undecided.items())),
        lacks=dict(sorted(result.lacks.items())),
        explained=dict(sorted(result.explained.items())),
        environment=about.environment,
        diff=about.diff,
        fixes=fixes(result),
        series=result.series,
        reach=with_sums(result.reach) if result.reach else None,
        cost=result.costs.cost() if result.costs else None,
        timeline=tuple(timeline),
    )


def _verdict(result: Result, *, ended: bool) -> Verdict:
    if result.records or (result.series and result.series.mended):
        return "findings"
    if result.interrupted:
        return "interrupted"
    if not ended:
        return "unfinished"
    return "not-tested" if result.reach is not None and result.reach.untested else "clean"


def summary(result: Result, setting: Setting, *, verbose: bool) -> list[str]:
    """The result in a few lines; ``verbose``: with what is known of the tree."""
    count = len(result.records)
    rate = result.programs / result.seconds if result.seconds else 0
    what = "no finding" if count == 0 else "1 finding" if count == 1 else f"{count} findings"
    how = f"{result.programs:,} programs in {result.seconds:.1f} s ({rate:,.0f}/s), seed {result.seed}"
    what = with_reach(what, result.reach, found=bool(count)) if result.reach else what
    lines = [f"{'interrupted: ' if result.interrupted else ''}{what}: {_subject(setting)}, {how}"]
    if result.reach:
        lines += reach_lines(result.reach, verbose=verbose)
    if result.costs:
        lines += cost_lines(result.costs.cost(), verbose=verbose)
    for blame, text in _OTHERS.items():
        lines += [f"{text} {name} ({times:,} programs)" for name, times in _counts(result, blame).items()]
    lines += fix_lines(result, _counts(result, Blame.FIXED))
    if verbose:
        lines += [f"known deviation: {name} ({times:,} programs)" for name, times in sorted(result.deviations.items())]
        lines += [f"no difference, by rule: {name} ({n:,} programs)" for name, n in sorted(result.explained.items())]
    lines += [f"not judged under some schedule: {why} ({n:,} programs)" for why, n in sorted(result.undecided.items())]
    lines += [f"without {need}: {why}" for need, why in sorted(result.lacks.items())]
    if result.deaths:
        lines.append(f"workers that died: {result.deaths}")
    return lines


_OTHERS = {
    Blame.BASE: "not the patch's, the base tree shows it too:",
    Blame.KNOWN: "known finding:",
    Blame.HARMLESS: "harmless, as the patch says:",
}


def _subject(setting: Setting) -> str:
    commits = [setting.range] if setting.range else []
    return " + ".join([setting.kernel, *commits, *(patch.path.name for patch in setting.patches)])


def _counts(result: Result, blame: Blame) -> dict[str, int]:
    return {name: times for (whose, name), times in sorted(result.signatures.items()) if whose is blame}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain data, its signature first."""
    about: dict[str, Any] = msgspec.to_builtins(finding)
    return {"signature": finding.signature, **about}


def _found(record: Record, files: Mapping[str, Path]) -> Found:
    file = files.get(record.finding.signature)
    return Found(
        **msgspec.structs.asdict(record.finding),
        signature=record.finding.signature,
        repro=str(file) if file else None,
        program=format_program(record.ops),
        index=record.index,
        minimised=record.minimised,
        steps=ran(record.ops, record.evidence) if record.evidence else (),
    )
