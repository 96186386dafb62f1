"""What a patch costs, in lines for people."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Final

from faultline.verdict.cost import REGIONS, Change, Cost, Total

#: Operations that are shown without -v, and changes of each.
_OPERATIONS_MAX: Final = 4
_CHANGES_MAX: Final = 4
#: Operations named of the code that runs, without -v.
_CODE_MAX: Final = 3


def cost_lines(cost: Cost, *, verbose: bool) -> list[str]:
    """The costs that changed, by operation, each with a program; ``verbose``: all of them."""
    lines = [cost_says(cost), *_operations(cost, verbose=verbose)]
    code = code_says(cost, named=None if verbose else _CODE_MAX)
    return [f"cost: {lines[0]}", *lines[1:], *([f"cost: {code}"] if code else [])]


def cost_says(cost: Cost) -> str:
    """The costs in a few words."""
    if not cost.programs:
        return "not measured, as no program came to the same with and without the patches"
    programs = f"{cost.programs:,} program{'s' * (cost.programs != 1)}"
    if cost.left_out:
        programs += f" ({cost.left_out:,} with a finding or another outcome left out)"
    count = len({change.operation for change in cost.told})
    if not count:
        return f"the same in {programs}"
    return f"{count} operation{'s' * (count != 1)} cost{'s' * (count == 1)} something else in {programs}"


def by_operation(cost: Cost) -> list[tuple[str, list[Change]]]:
    """The changes of each operation, but for those of the code that ran."""
    return [(name, list(changes)) for name, changes in groupby(cost.told, lambda change: change.operation)]


def _operations(cost: Cost, *, verbose: bool) -> list[str]:
    lines: list[str] = []
    groups = by_operation(cost)
    for name, changes in groups if verbose else groups[:_OPERATIONS_MAX]:
        shown = changes if verbose else changes[:_CHANGES_MAX]
        lines += [f"cost of {name}: {change_text(change)}" for change in shown]
        if len(changes) > len(shown):
            lines.append(f"cost of {name}: {len(changes) - len(shown)} more counts; -v names them")
        lines.append(f"  such as: {program_text(changes[0])}")
    if len(groups) > _OPERATIONS_MAX and not verbose:
        lines.append(f"cost: {len(groups) - _OPERATIONS_MAX} more operations; -v names them")
    return lines


def change_text(change: Change) -> str:
    """``TLB flushes 1.00 -> 2.00 (+100 %), in 412 of 412``"""
    where = f"in {change.changed:,} of {change.runs:,}"
    if change.changed != change.runs:
        where += f" (there {change.median_before} -> {change.median_after})"
    return f"{change.counter} {mean(change.before, change)} -> {mean(change.after, change)} {percent(change)}, {where}"


def mean(count: int, change: Change) -> str:
    """A sum over all runs of the operation, for one of them."""
    return f"{count / change.runs:.2f}"


def percent(change: Change | Total) -> str:
    """``(+100 %)``"""
    if not change.before:
        return "(was none)"
    rate = 100 * (change.after - change.before) / change.before
    digits = 0 if abs(rate) >= 9.5 else 1 if abs(rate) >= 0.095 else 2
    return f"({rate:+.{digits}f} %)"


def program_text(change: Change) -> str:
    """The program in a line."""
    return "; ".join(change.program.splitlines())


def code_says(cost: Cost, *, named: int | None) -> str:
    """How much more or less code of the changed files runs; empty: that was not counted.

    :param named: so many operations are named at most; None: all of them.
    """
    code = cost.code
    if code is None:
        return ""
    if code.before == code.after and all(change.counter != REGIONS for change in cost.changes):
        return "as many regions of code run in the changed files as before"
    changes = sorted(
        (change for change in cost.changes if change.counter == REGIONS),
        key=lambda change: (-abs(change.rate) if math.isfinite(change.rate) else 0.0, change.operation),
    )
    shown = changes[:named]
    names = ", ".join(f"{change.operation} {percent(change).strip('()')}" for change in shown)
    more = f" and {len(changes) - len(shown)} more" if len(changes) > len(shown) else ""
    return f"regions of code that run in the changed files: {percent(code).strip('()')}; {names}{more}"
