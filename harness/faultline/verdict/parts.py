"""Which parts of the source text tell of a line and of its branches.

Lines and branches are those of the source: a line ran if the part of the text that it begins in ran.  A condition
inside likely() and unlikely() is taken as a whole; those inside other macros are the macro's own and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from faultline.build.covmap import Function, Kind, Region

#: Macros that hand on their condition.
_HINTS: Final = frozenset(("likely", "unlikely"))
_TEXT_MAX: Final = 72

Place = tuple[int, int]
"""Line and column, from 1."""


def conditions(function: Function, path: str, lines: Sequence[str]) -> list[tuple[Region, Place, Place]]:
    """The conditions of a function that can go either way, each with where it stands in a file."""
    own = [(r, r.start, r.end) for r in function.regions if r.kind is Kind.BRANCH and r.file == path and not r.in_macro]
    found = [*own, *_hinted(function, path, lines)]
    return [one for one in found if one[0].count or one[0].other]  # of others the compiler knows the answer


def text_between(lines: Sequence[str], start: Place, end: Place) -> str:
    """The text of a file from one place to another, in one line, shortened."""
    part = list(lines[start[0] - 1 : end[0]])
    part[-1] = part[-1][: end[1] - 1]
    part[0] = part[0][start[1] - 1 :]
    text = " ".join(" ".join(part).split())
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."


def telling(regions: Sequence[Region], place: tuple[int, int], text: str, macro: bool) -> list[Region] | None:
    """The parts of a function's text that tell whether a line ran; None: the line is none of its code."""
    covering = [r for r in regions if r.kind in (Kind.CODE, Kind.GAP, Kind.SKIPPED)]
    if macro:
        return [r for r in covering if r.start[0] <= place[0] <= r.end[0]] or None
    inside = [r for r in covering if r.start <= place < r.end]
    if not inside:
        return None
    innermost = max(inside, key=lambda r: (r.start, (-r.end[0], -r.end[1])))
    if innermost.kind is Kind.SKIPPED:
        return None
    begun = [r for r in covering if r.kind is Kind.CODE and r.start[0] == place[0] and r.start > place]
    # what follows a closing brace has little to do with what stands before it
    return begun if begun and text.lstrip().startswith("}") else [innermost]


def _hinted(
    function: Function, path: str, lines: Sequence[str]
) -> list[tuple[Region, tuple[int, int], tuple[int, int]]]:
    """The conditions inside likely() and unlikely(), each with where it stands in the file."""
    first: dict[tuple[int, int], tuple[Region, tuple[int, int], tuple[int, int]]] = {}
    for region in function.regions:
        if region.kind is not Kind.BRANCH or len(region.in_macro) != 1 or region.in_macro[0].file != path:
            continue
        use = region.in_macro[0]
        if lines[use.start[0] - 1][use.start[1] - 1 : use.end[1] - 1] in _HINTS:
            known = first.get(use.start)
            if known is None or region.start < known[0].start:  # its parts come after the whole
                first[use.start] = region, (use.end[0], use.end[1] + 1), _closing(lines, use.end)
    return list(first.values())


def _closing(lines: Sequence[str], place: tuple[int, int]) -> tuple[int, int]:
    """Where the parenthesis stands that closes the one at a place, or the end of its line."""
    depth, column = 0, place[1] - 1
    for number in range(place[0] - 1, len(lines)):
        for at in range(column, len(lines[number])):
            depth += {"(": 1, ")": -1}.get(lines[number][at], 0)
            if depth == 0:
                return number + 1, at + 1
        column = 0
    return place[0], len(lines[place[0] - 1]) + 1
