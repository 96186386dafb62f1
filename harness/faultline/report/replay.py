"""What a replayed repro shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faultline.program.codec import Operation, overlaps
from faultline.program.text import format_operation
from faultline.program.traceview import describe_step, parse_trace
from faultline.report.repro import Setting
from faultline.report.result import finding_json
from faultline.report.text import Line, Style, explain, title, transcript
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Trial


def replay_lines(
    ops: Sequence[Operation], tested: Trial, base: Trial | None, finding: Finding | None, *, expected: str | None
) -> list[Line]:
    """The program with each operation's outcome, the finding, and how the base tree does.

    ``finding`` is the tested tree's, or its difference from base; ``expected`` the signature that the repro names.
    """
    lines = transcript(ops, outcomes_of(ops, tested), finding)
    lines.append((Style.PLAIN, ""))
    if finding is not None:
        lines += [(Style.TITLE, title(finding, ops)), *explain(finding)]
    else:
        lines.append((Style.MARKED, "no finding"))
    if expected is not None and (finding is None or finding.signature != expected):
        lines.append((Style.MARKED, f"the file names another: {expected}"))
    if base is not None:
        lines.append((Style.MARKED, f"base: {base.finding.signature if base.finding else 'clean'}"))
    return lines


def replay_json(
    setting: Setting, ops: Sequence[Operation], tested: Trial, base: Trial | None, finding: Finding | None
) -> dict[str, Any]:
    """The same as plain data."""
    outcomes = outcomes_of(ops, tested)
    return {
        "verdict": "findings" if finding else "clean",
        "kernel": setting.kernel,
        "patches": list(setting.named),
        "profile": setting.profile,
        "variant": setting.variant,
        "operations": [
            {"text": format_operation(op), "outcome": outcomes[index] if index < len(outcomes) else None}
            | ({"overlaps": True} if overlaps(op) else {})
            for index, op in enumerate(ops)
        ],
        "finding": finding_json(finding) if finding else None,
        "base": None if base is None else {"finding": finding_json(base.finding) if base.finding else None},
    }


def outcomes_of(ops: Sequence[Operation], trial: Trial) -> list[str]:
    """The outcome of each operation in words, as far as the run came."""
    steps = parse_trace(trial.trace, ops, snapshots=True)
    return [describe_step(op, step) for op, step in zip(ops, steps, strict=False)]
