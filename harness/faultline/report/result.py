"""A campaign's result for programs (JSON) and in a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from faultline.campaign.run import Result
from faultline.campaign.worker import Record
from faultline.program.text import format_program
from faultline.report.repro import Setting
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame


def result_json(result: Result, setting: Setting, files: Mapping[str, Path]) -> dict[str, Any]:
    """The result as plain data; ``files`` are the repros by signature.

    ``base``, ``fixed`` and ``known`` count programs by signature: findings that the base tree shows too, that only the
    base tree shows, and that corpora/known records.
    """
    return {
        "verdict": verdict_word(result),
        "kernel": setting.kernel,
        "patches": [str(patch) for patch in setting.patches],
        "profile": setting.profile,
        "variant": setting.variant,
        "seed": result.seed,
        "programs": result.programs,
        "seconds": round(result.seconds, 3),
        "interrupted": result.interrupted,
        "worker_deaths": result.deaths,
        "findings": [_record_json(record, files) for record in result.records],
        **{blame.value: _counts(result, blame) for blame in (Blame.BASE, Blame.FIXED, Blame.KNOWN)},
        "deviations": dict(sorted(result.deviations.items())),
        "undecided": dict(sorted(result.undecided.items())),
        "lacks": dict(sorted(result.lacks.items())),
        "explained": dict(sorted(result.explained.items())),
        "reach": result.reach.to_json() if result.reach else None,
    }


def verdict_word(result: Result) -> str:
    """``findings``, ``interrupted``, ``not-tested`` (no changed line ran) or ``clean``."""
    if result.records:
        return "findings"
    if result.interrupted:
        return "interrupted"
    return "not-tested" if result.reach is not None and result.reach.untested else "clean"


def summary(result: Result, setting: Setting, *, verbose: bool) -> list[str]:
    """The result in a few lines; ``verbose``: with what is known of the tree."""
    count = len(result.records)
    rate = result.programs / result.seconds if result.seconds else 0
    what = "no finding" if count == 0 else "1 finding" if count == 1 else f"{count} findings"
    how = f"{result.programs:,} programs in {result.seconds:.1f} s ({rate:,.0f}/s), seed {result.seed}"
    lines = [f"{'interrupted: ' if result.interrupted else ''}{what}: {_subject(setting)}, {how}"]
    for blame, text in _OTHERS.items():
        lines += [f"{text} {name} ({times:,} programs)" for name, times in _counts(result, blame).items()]
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
    Blame.FIXED: "only the base tree shows:",
    Blame.KNOWN: "known finding:",
}


def _subject(setting: Setting) -> str:
    return " + ".join([setting.kernel, *(patch.path.name for patch in setting.patches)])


def _counts(result: Result, blame: Blame) -> dict[str, int]:
    return {name: times for (whose, name), times in sorted(result.signatures.items()) if whose is blame}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain data, its signature first."""
    about: dict[str, Any] = msgspec.to_builtins(finding)
    return {"signature": finding.signature, **about}


def _record_json(record: Record, files: Mapping[str, Path]) -> dict[str, Any]:
    file = files.get(record.finding.signature)
    return {
        **finding_json(record.finding),
        "repro": str(file) if file else None,
        "program": format_program(record.ops),
        "index": record.index,
        "minimised": record.minimised,
    }
