"""A run's course as small plots: how fast it was, what it found, how much of the patch it reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from faultline.report import svg
from faultline.report.document import Point

_WIDTH, _HEIGHT = 340, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 12, 26
_SIZE: Final = 11


@dataclass(frozen=True)
class Plot:
    """A plot with its heading and, in words, what it shows."""

    heading: str
    about: str
    drawing: Markup


def plots(timeline: Sequence[Point]) -> list[Plot]:
    """The plots of a run; none of a run of a single moment."""
    points = [point for point in timeline if point.seconds > 0]
    if len(points) < 2:
        return []
    times = [point.seconds for point in points]
    rates = _rates([Point(0.0, 0, 0), *points])
    steps = _as_steps(times, [point.findings for point in points])
    found = [
        _plot("rate", "Programs per second", list(zip(times, rates, strict=True)), f"{rates[-1]:,.0f} at the end"),
        _plot("programs", "Programs", [(p.seconds, p.programs) for p in points], f"{points[-1].programs:,} in all"),
        _plot("found", "Findings", steps, f"{points[-1].findings} in all"),
    ]
    reached = [(point.seconds, float(point.reached)) for point in points if point.reached is not None]
    if len(reached) > 1:
        line = _as_steps([time for time, _ in reached], [int(count) for _, count in reached])
        found.append(_plot("reached", "Changed lines and branches that ran", line, f"{reached[-1][1]:,.0f} in all"))
    return found


def _rates(points: Sequence[Point]) -> list[float]:
    """Programs per second between each point and one that lies at least a tenth of the plot's pixels before it."""
    span = max(points[-1].seconds / 40, 1e-9)
    rates = []
    start = 0
    for i, point in enumerate(points[1:], 1):
        while start + 1 < i and point.seconds - points[start + 1].seconds >= span:
            start += 1
        seconds = point.seconds - points[start].seconds
        rates.append((point.programs - points[start].programs) / seconds if seconds > 0 else 0.0)
    return rates


def _as_steps(times: Sequence[float], counts: Sequence[int]) -> list[tuple[float, float]]:
    """A count that stays until it changes."""
    line: list[tuple[float, float]] = [(0.0, 0.0)]
    for (_, before), (time, count) in pairwise([(0.0, 0), *zip(times, counts, strict=True)]):
        if count != before:
            line += [(time, float(before)), (time, float(count))]
    return [*line, (times[-1], float(counts[-1]))]


def _plot(name: str, heading: str, line: Sequence[tuple[float, float]], outcome: str) -> Plot:
    last = max(time for time, _ in line) or 1.0
    ticks = _ticks(max(value for _, value in line))
    top = ticks[-1]
    about = f"{heading} over {_seconds(last)}: {outcome}, {max(value for _, value in line):,.0f} at most."
    drawing = svg.picture(f"plot-{name}", _WIDTH, _HEIGHT, heading, about)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(time: float, value: float) -> tuple[float, float]:
        return _LEFT + time / last * inner_width, _TOP + (1 - value / top) * inner_height

    for tick in ticks:
        y = at(0, tick)[1]
        svg.line(drawing, _LEFT, y, _WIDTH - _RIGHT, y, "grid")
        svg.words(drawing, _LEFT - 6, y + 4, _short(tick), "tick end")
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        svg.words(drawing, _LEFT + share * inner_width, _HEIGHT - 8, _seconds(last * share), f"tick {anchor}")
    svg.path(drawing, [at(*point) for point in line], "curve")
    return Plot(heading, outcome, svg.markup(drawing))


def _ticks(highest: float) -> list[float]:
    """From zero to at least the highest value in two to four equal, round steps."""
    step = 10 ** math.floor(math.log10(max(highest, 1)))
    while highest > 4 * step:
        step *= 2 if str(step)[0] in "15" else 2.5
    while highest <= 2 * step and step > 1:
        step /= 2
    step = max(step, 1)
    return [step * i for i in range(max(math.ceil(highest / step), 1) + 1)]


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e4 else f"{value:,g}"


def _seconds(value: float) -> str:
    if value >= 7200:
        return f"{value / 3600:.3g} h"
    return f"{value / 60:.3g} min" if value >= 120 else f"{value:.3g} s"
