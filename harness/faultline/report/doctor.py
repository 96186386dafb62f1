"""What ``faultline doctor`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from faultline.doctor import Check
from faultline.report.text import Line, Style


def doctor_lines(found: Sequence[Check]) -> list[Line]:
    """One line per requirement; what is missing with its remedy below it."""
    width = max(len(check.name) for check in found)
    lines: list[Line] = []
    for check in found:
        word, style = _state(check)
        lines.append((style, f"{word:<8} {check.name:<{width}}  {check.detail}"))
        if not check.ok:
            lines.append((Style.COMMAND, f"{'':<8} {'':<{width}}  {check.remedy}"))
    return lines


def _state(check: Check) -> tuple[str, Style]:
    if check.ok:
        return "ok", Style.PLAIN
    return ("without", Style.DIM) if check.optional else ("missing", Style.TITLE)
