"""The table of the 2019 thread: for a terminal, for documentation and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from faultline.campaign.benchmark import REPLAYS, Trial
from faultline.campaign.rows import Row
from faultline.report.figures import trial_json
from faultline.report.text import Line, Style

_HEADS: Final = ("proposal", "tree", "expected", "verdict", "operations", "seconds")
_WIDTHS: Final = (9, 5, 26, 26, 10, 8)


def thread_head() -> Line:
    """The table's head."""
    return Style.DIM, _line(_HEADS)


def row_lines(row: Row) -> list[Line]:
    """One proposal: its figures, and what reviewers found below them."""
    style = Style.PLAIN if row.passed else Style.TITLE
    lines = [(style, _line(_cells(row)))]
    indent = " " * (_WIDTHS[0] + 1)
    if row.trial is None:
        return [*lines, (Style.DIM, f"{indent}{row.misfit}")]
    lines.append((Style.DIM, f"{indent}{row.entry.title}; found by eye: {row.entry.by_eye}"))
    if not row.trial.sightings:
        lines.append((Style.DIM, f"{indent}{_how(row)}"))
    lines += [(Style.TITLE, f"{indent}not as recorded: {text}") for text in complaints(row)]
    return lines


def _line(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    trial = row.trial
    if trial is None:
        recorded = row.expected if row.version in row.entry.trees else "-"
        return row.name, row.version, recorded, row.verdict, "", ""
    operations = ", ".join(str(one.operations) for one in trial.sightings)
    seconds = ", ".join(f"{one.seconds:.1f}" for one in trial.sightings) or f"{trial.seconds:.1f}"
    return row.name, row.version, row.expected, row.verdict, operations, seconds


def complaints(row: Row) -> list[str]:
    """What of a trial differs from what is recorded; empty: nothing."""
    trial = row.trial
    if trial is None or row.passed:
        return []
    return [
        *(f"{kind.value} was not found" for kind in trial.missed),
        *(f"{kind.value} was found" for kind in trial.stray),
        *(
            f"{one.kind.value}: {one.replayed} of {REPLAYS} runs of its repro show it"
            for one in trial.sightings
            if one.replayed != REPLAYS
        ),
    ] or [f"{row.verdict}, instead of {row.expected}"]


def rows_json(rows: Sequence[Row]) -> dict[str, Any]:
    """The same as plain data."""
    return {"rows": [_row_json(row) for row in rows]}


def _row_json(row: Row) -> dict[str, Any]:
    trial, reach = row.trial, row.trial.reach if row.trial else None
    return {
        "name": row.name,
        "title": row.entry.title,
        "tree": row.version,
        "by_eye": row.entry.by_eye,
        "expected": row.expected,
        "verdict": row.verdict,
        "passed": row.passed,
        "misfit": row.misfit,
        "functions": [function.name for function in reach.functions] if reach else None,
        "reached": reach.reached if reach else None,
        "lines": reach.total if reach else None,
        "branches_taken": reach.branches_taken if reach else None,
        "branches": reach.branches if reach else None,
        "seconds_first": row.first_finding,
        "seconds_verdict": trial.building + trial.seconds if trial else None,
        "trial": trial_json(trial) if trial else None,
    }


def thread_markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown, a row for each proposal and tree to which it applies."""
    lines = [
        "| proposal | found by eye | tree | must be | Faultline | how |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if row.trial is not None:
            verdict = row.verdict if row.passed else f"**{row.verdict}**"
            cells = (
                f"{row.name}: {row.entry.title}", row.entry.by_eye, row.version, row.expected, verdict, _how(row),
            )  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Does not apply, as its code is not there or is another:", ""]
    lines += [f"- {row.name} on {row.version}: {row.misfit}" for row in rows if row.trial is None]
    return "\n".join(lines) + "\n"


def _how(row: Row) -> str:
    """How soon and in how few operations a finding showed, or how much was run in vain."""
    assert row.trial is not None
    found = [
        f"{one.kind.value} in {one.operations} operations after {one.seconds:.1f} s" for one in row.trial.sightings
    ]
    return "; ".join(found) or f"{row.trial.programs:,} programs in {row.trial.seconds:.0f} s{_reached(row.trial)}"


def _reached(trial: Trial) -> str:
    return f", which ran {trial.reach.reached} of {trial.reach.total} changed lines" if trial.reach else ""
