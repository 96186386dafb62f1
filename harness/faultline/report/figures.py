"""Measured figures as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faultline.bench import Figure
from faultline.report.text import Line, Style


def figure_line(figure: Figure) -> Line:
    """One row of the table."""
    row = f"{figure.name:<38} {_number(figure.value):>10} {figure.unit:<11}"
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
            }
            for figure in figures
        ]
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
