"""Measured figures as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faultline.bench import Figure
from faultline.campaign.benchmark import REPLAYS, Sighting, Trial
from faultline.report.text import Line, Style


def figure_line(figure: Figure) -> Line:
    """One row of the table."""
    if figure.value is None:
        return Style.MARKED, f"{figure.name:<38} {'-':>10} {figure.note}"
    row = f"{figure.name:<38} {_number(figure.value):>10} {figure.unit:<11}"
    if figure.base:
        return Style.PLAIN, f"{row} {'':>10}  {figure.value / figure.base:6.2f} x base"
    if figure.goal is None or figure.ratio is None:
        return Style.PLAIN, row.rstrip()
    goal = f"{'>=' if figure.more else '<='} {_number(figure.goal)}"
    return Style.PLAIN if figure.ratio >= 1 else Style.MARKED, f"{row} {goal:>10}  {figure.ratio:6.2f} x"


def figures_head() -> Line:
    """The table's head."""
    return Style.DIM, f"{'':<38} {'measured':>10} {'':<11} {'goal':>10}  {'better by':>8}"


def figures_json(figures: Sequence[Figure]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "figures": [
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "goal": figure.goal,
                "goal_is": "at least" if figure.more else "at most",
                "ratio": figure.ratio,
                "base": figure.base,
                "note": figure.note,
            }
            for figure in figures
        ]
    }


def trials_head() -> Line:
    """The head of the table of patches put to the test."""
    return Style.DIM, _trial_row("", "found", "seconds", "operations", "preemptions", f"of {REPLAYS}", "what it is")


def trial_lines(trial: Trial) -> list[Line]:
    """The rows of one patch: a row for each kind that must be found, one if none must."""
    rows = [(Style.PLAIN if one.replayed == REPLAYS else Style.MARKED, _sighting_cells(one)) for one in trial.sightings]
    took = f"{trial.seconds:.1f}"
    rows += [(Style.MARKED, (f"not {kind.value}", took, "", "", "")) for kind in trial.missed]
    rows += [(Style.MARKED, (f"also {kind.value}", "", "", "", "")) for kind in trial.stray]
    if not rows:
        rows = [(Style.PLAIN, ("clean", took, "", "", ""))]
    heads = [(trial.name, trial.entry.title), *(("", "") for _ in rows[1:])]
    return [
        (style, _trial_row(name, *cells, title)) for (name, title), (style, cells) in zip(heads, rows, strict=True)
    ]


def _sighting_cells(one: Sighting) -> tuple[str, str, str, str, str]:
    preemptions = "-" if one.preemptions is None else f"{one.preemptions}"
    return one.kind.value, f"{one.seconds:.1f}", f"{one.operations}", preemptions, f"{one.replayed}"


def _trial_row(name: str, found: str, seconds: str, operations: str, preemptions: str, again: str, title: str) -> str:
    return f"{name:<10} {found:<20} {seconds:>8} {operations:>10} {preemptions:>11} {again:>6}  {title}".rstrip()


def trials_json(trials: Sequence[Trial]) -> dict[str, Any]:
    """The same as plain data; times in seconds."""
    return {"trials": [trial_json(trial) for trial in trials]}


def trial_json(trial: Trial) -> dict[str, Any]:
    """One patch put to the test."""
    return {
        "name": trial.name,
        "title": trial.entry.title,
        "passed": trial.passed,
        "found": [
            {
                "kind": one.kind.value,
                "seconds": round(one.seconds, 3),
                "operations": one.operations,
                "preemptions": one.preemptions,
                "replayed": one.replayed,
            }
            for one in trial.sightings
        ],
        "replays": REPLAYS,
        "missed": [kind.value for kind in trial.missed],
        "stray": [kind.value for kind in trial.stray],
        "programs": trial.programs,
        "seconds": round(trial.seconds, 3),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
