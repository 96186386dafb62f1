"""The table of refactors that keep behaviour and of their slips: for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from faultline.campaign.rows import Row
from faultline.report.text import Line, Style
from faultline.report.thread import complaints

_HEADS: Final = ("patch", "tree", "verdict", "lines", "branches", "finding s", "verdict s", "operations", "programs")
_WIDTHS: Final = (17, 5, 22, 7, 8, 9, 9, 10, 9)


def refactors_head() -> Line:
    """The table's head."""
    return Style.DIM, _line(_HEADS)


def refactor_lines(row: Row) -> list[Line]:
    """One patch: its verdict and figures, below them what it does to which functions."""
    indent = " " * (_WIDTHS[0] + 1)
    lines = [(Style.PLAIN if row.passed else Style.MARKED, _line(_cells(row)))]
    if row.trial is None:
        return [*lines, (Style.DIM, f"{indent}{row.misfit}")]
    reach = row.trial.reach
    names = ", ".join(dict.fromkeys(function.name for function in reach.functions)) if reach else ""
    lines.append((Style.DIM, f"{indent}{row.entry.title}" + f" ({names})" * bool(names)))
    for line in reach.missed if reach and not row.trial.sightings else ():
        lines.append((Style.DIM, f"{indent}never ran: {line.file}:{line.line} {line.text.strip()}"))
    return [*lines, *((Style.MARKED, f"{indent}not as recorded: {text}") for text in complaints(row))]


def _cells(row: Row) -> tuple[str, ...]:
    trial = row.trial
    if trial is None:
        return row.name, row.version, row.verdict, *("" for _ in range(len(_HEADS) - 3))
    reach = trial.reach
    return (
        row.name,
        row.version,
        row.verdict,
        f"{reach.reached}/{reach.total}" if reach else "",
        f"{reach.branches_taken}/{reach.branches}" if reach else "",
        "" if row.first_finding is None else f"{row.first_finding:.1f}",
        f"{trial.building + trial.seconds:.1f}",
        ", ".join(str(one.operations) for one in trial.sightings),
        f"{trial.programs:,}",
    )


def _line(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
