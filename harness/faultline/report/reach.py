"""How far a campaign got into a patch, in lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from faultline.verdict.reach import NOT_REACHED, ChangedLine, Reach

#: Parts of the patch that never ran, and operations that may reach them, that are shown without -v.
_PARTS_MAX: Final = 6
_OPERATIONS_MAX: Final = 4


def with_reach(what: str, reach: Reach, *, found: bool) -> str:
    """The result's first words, with what was not reached.

    :param what: how many findings there are; ``found``: there are some.
    """
    missed = len(reach.missed)
    if not missed:
        return what
    if reach.untested and not found:
        return f"not tested: {'the changed line' if missed == 1 else f'all {missed} changed lines'} never ran; {what}"
    return f"{what}, {'' if found else 'but '}{missed} of {reach.total} changed lines never ran"


def reach_lines(reach: Reach, *, verbose: bool) -> list[str]:
    """What ran and what did not; ``verbose``: each line and each branch."""
    if not reach.total:
        return ["reach: no changed line has code of its own in this build"]
    ways = f", {reach.branches_taken} of {reach.branches} branches taken" if reach.branches else ""
    lines = [f"reach: {reach.reached} of {reach.total} changed lines ran{ways}"]
    parts = _parts(reach)
    lines += [_part_line(reach, part) for part in (parts if verbose else parts[:_PARTS_MAX])]
    if len(parts) > _PARTS_MAX and not verbose:
        lines.append(f"never ran: {len(parts) - _PARTS_MAX} more places; -v names them")
    if verbose:
        lines += [text for line in reach.lines for text in _line_lines(line)]
    return lines


def _parts(reach: Reach) -> list[list[ChangedLine]]:
    """The lines that never ran, those that follow each other in one function together."""
    parts: list[list[ChangedLine]] = []
    for (state, *_), group in groupby(reach.lines, lambda line: (line.state, line.file, line.function, line.removed)):
        if state == NOT_REACHED:
            lines = list(group)
            for line in lines:
                if line is not lines[0] and line.line == parts[-1][-1].line + 1:
                    parts[-1].append(line)
                else:
                    parts.append([line])
    return parts


def _part_line(reach: Reach, part: Sequence[ChangedLine]) -> str:
    first, last = part[0], part[-1]
    numbers = f"{first.line}" if first is last else f"{first.line}-{last.line}"
    removed = " (removed)" if first.removed else ""
    place = f"{first.file}:{numbers} in {first.function}(){removed}"
    return f"never ran: {place}: {first.text.strip()}{_hint(reach, first)}"


def _hint(reach: Reach, line: ChangedLine) -> str:
    touched = reach.function(line)
    if touched is None or not touched.operations:
        return ""
    near = f" {touched.near}(), which calls it" if touched.near else " it"
    return f" (operations likely to reach{near}: {', '.join(touched.operations[:_OPERATIONS_MAX])})"


def _line_lines(line: ChangedLine) -> list[str]:
    """One line of the patch and its branches, with the first program that got there."""
    sign = "-" if line.removed else "+"
    where = {"no-code": "no code", NOT_REACHED: "never ran"}.get(line.state, f"program {line.first}")
    text = [f"  {where:>14}  {line.file}:{line.line} {sign}{line.text}"]
    for branch in line.branches:
        way = f"program {branch.first}" if branch.taken else "never taken"
        text.append(f"  {way:>14}    {branch.what}")
    return text
