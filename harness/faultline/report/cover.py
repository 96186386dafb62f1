"""What programs reached: as tables, as annotated source, as data and as an lcov tracefile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from faultline.report.text import Line, Style
from faultline.verdict.cover import (
    CoveredFile,
    CoveredFunction,
    CoveredLine,
    Share,
    branches_of,
    calls_of,
    lines_of,
)
from faultline.verdict.places import Hint
from faultline.verdict.reach import Reach

#: What stands for the count of a line that never ran.
NEVER: Final = "never"
_OPERATIONS_MAX: Final = 4
#: Lines before a body that are looked at for the function's name, and how lines begin that are of something else.
_HEAD_MAX: Final = 8
_NO_HEAD: Final = ("#", "}", "/*", " *")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of it is asked for."""

    functions: tuple[str, ...] = ()
    """Only these; none: all."""
    per_function: bool = False
    unreached: bool = False


def table_lines(files: Sequence[CoveredFile], asked: Asked) -> list[Line]:
    """A row for each file, or for each function, and one for all."""
    width = max((len(name) for file in files for name in _names(file, asked)), default=0)
    head = f"{'':<{width}} {'lines':>20} {'branches':>20} {'functions':>20}"
    lines: list[Line] = [(Style.DIM, head)]
    for file in files:
        if not file.functions:
            continue
        lines.append((Style.PLAIN, _row(file.path, file.functions, width)))
        for function in file.functions if asked.per_function else ():
            style = Style.PLAIN if function.calls else Style.MARKED
            calls = f"{function.calls:,} calls" if function.calls else NEVER
            lines.append((style, f"{_row('  ' + function.name, [function], width, calls=calls)}"))
    if len(files) > 1:
        every = [function for file in files for function in file.functions]
        lines.append((Style.MARKED, _row("together", every, width)))
    return lines


def _names(file: CoveredFile, asked: Asked) -> Iterator[str]:
    yield file.path
    if asked.per_function:
        yield from (f"  {function.name}" for function in file.functions)


def _row(name: str, functions: Sequence[CoveredFunction], width: int, calls: str | None = None) -> str:
    last = _share(calls_of(functions)) if calls is None else calls
    return f"{name:<{width}} {_share(lines_of(functions)):>20} {_share(branches_of(functions)):>20} {last:>20}"


def _share(share: Share) -> str:
    percent = f"{100 * share.reached / share.total:.0f} %" if share.total else "-"
    return f"{share.reached:,} of {share.total:,}  {percent:>5}"


def source_lines(file: CoveredFile, function: CoveredFunction, text: Sequence[str]) -> list[Line]:
    """The text of a function, each line behind how often it ran.

    :param text: the lines of the file.
    """
    found: list[Line] = [(Style.MARKED, f"{file.path}:{function.line} {function.name}(), {function.calls:,} calls")]
    counted = {line.number: line for line in function.lines}
    for number in range(_head(function.line, text), function.end + 1):
        line = counted.get(number)
        count = "" if line is None else f"{line.count:,}" if line.count else NEVER
        style = Style.MARKED if line is not None and not line.count else Style.PLAIN
        found.append((style, f"{count:>12} {number:>6}  {text[number - 1].expandtabs(8)}".rstrip()))
        found += _branch_lines(line) if line is not None and line.count else []
    return found


def _head(line: int, text: Sequence[str]) -> int:
    """Where the text begins that a function's body belongs to: its name and what it takes."""
    first = line
    while first > max(1, line - _HEAD_MAX) and text[first - 2].strip() and not text[first - 2].startswith(_NO_HEAD):
        first -= 1
    return first


def _branch_lines(line: CoveredLine) -> Iterator[Line]:
    for branch in line.branches:
        if branch.taken < 2:
            way = "true" if branch.false else "false" if branch.true else "evaluated"
            yield Style.MARKED, f"{'':>12} {'':>6}  ^ never {way}: {branch.what}"


def unreached_lines(
    files: Sequence[CoveredFile], hints: Mapping[str, Hint], texts: Mapping[str, Sequence[str]]
) -> list[Line]:
    """Functions that were never called, and what of others never ran, with operations that may get there."""
    found: list[Line] = []
    for file in files:
        for function in file.functions:
            hint = _hint(hints.get(function.name))
            if not function.calls:
                found.append((Style.MARKED, f"{file.path}:{function.line} {function.name}() was never called{hint}"))
                continue
            for first, last in function.missed:
                place = f"{first}" if first == last else f"{first}-{last}"
                text = texts[file.path][first - 1].strip()
                found.append((Style.PLAIN, f"{file.path}:{place} in {function.name}(): {text}{hint}"))
        if file.dropped:
            number = len(file.dropped)
            found.append((Style.DIM, f"{file.path}: {number} functions are not in the library, as nothing calls them"))
    return found


def _hint(hint: Hint | None) -> str:
    if hint is None or not hint.operations:
        return ""
    near = f" {hint.near}(), which calls it" if hint.near else " it"
    return f" (operations likely to reach{near}: {', '.join(hint.operations[:_OPERATIONS_MAX])})"


def cover_json(
    files: Sequence[CoveredFile], hints: Mapping[str, Hint], reach: Reach | None, about: Mapping[str, Any]
) -> dict[str, Any]:
    """The same as plain data.

    :param about: what was run on what.
    """
    every = [function for file in files for function in file.functions]
    return {
        **about,
        **_shares(every),
        "files": [
            {
                "path": file.path,
                **_shares(file.functions),
                "not_built": list(file.dropped),
                "in": [_function_json(function, hints.get(function.name)) for function in file.functions],
            }
            for file in files
        ],
        "patch": None if reach is None else _reach_json(reach),
    }


def _reach_json(reach: Reach) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(reach)
    return {"reached": reach.reached, "total": reach.total, **told}


def _function_json(function: CoveredFunction, hint: Hint | None) -> dict[str, Any]:
    return {
        "name": function.name,
        "line": function.line,
        "calls": function.calls,
        **{name: share for name, share in _shares([function]).items() if name != "functions"},
        "unreached": [list(part) for part in function.missed],
        "counts": {str(line.number): line.count for line in function.lines},
        "operations": list(hint.operations) if hint else [],
        "near": hint.near if hint else "",
    }


def _shares(functions: Sequence[CoveredFunction]) -> dict[str, Any]:
    shares = {"lines": lines_of(functions), "branches": branches_of(functions), "functions": calls_of(functions)}
    return {name: {"reached": share.reached, "total": share.total} for name, share in shares.items()}


def lcov(files: Sequence[CoveredFile], tree: Path) -> str:
    """An lcov tracefile, which genhtml and editors read; files are where the tree has them."""
    records: list[str] = []
    for file in files:
        functions, lines = file.functions, [line for function in file.functions for line in function.lines]
        records += ["TN:faultline", f"SF:{tree / file.path}"]
        records += [f"FN:{function.line},{function.name}" for function in functions]
        records += [f"FNDA:{function.calls},{function.name}" for function in functions]
        records += _sums("FN", calls_of(functions))
        for line in lines:
            for block, branch in enumerate(line.branches):
                ways = (branch.true, branch.false)
                told = ways if line.count else ("-", "-")  # not even asked
                records += [f"BRDA:{line.number},{block},{way},{taken}" for way, taken in enumerate(told)]
        records += _sums("BR", branches_of(functions))
        records += [f"DA:{line.number},{line.count}" for line in lines]
        records += [*_sums("L", lines_of(functions)), "end_of_record"]
    return "\n".join(records) + "\n"


def _sums(what: str, share: Share) -> list[str]:
    return [f"{what}F:{share.total}", f"{what}H:{share.reached}"]
