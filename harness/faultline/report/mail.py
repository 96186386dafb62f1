"""A run as plain text for a reply on a mailing list: at most 72 columns, so that it can be quoted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten, wrap
from typing import Final

from faultline.program.text import program_lines
from faultline.report.cost import by_operation, change_text, code_says, cost_says
from faultline.report.document import Document, Found
from faultline.report.series import mended_line, patch_says, series_doubts
from faultline.report.text import kernel_chain, place
from faultline.report.words import headline, saying, subject
from faultline.verdict.reach import ChangedLine, Reach

WIDTH: Final = 72
#: Findings in full; of more, a line each.
FULL_MAX: Final = 10
_FRAMES_MAX: Final = 10
_MISSED_MAX: Final = 20
_COSTS_MAX: Final = 6
_LABEL: Final = 10
#: Beside an operation; a mark in front of it would look like a quotation.
_HERE: Final = "# <- here"


def mail(document: Document, programs: Mapping[str, str]) -> str:
    """The text.

    :param programs: for each signature a C program of no more than 72 columns, or one line that says why there is none.
    """
    lines = [headline(document), *_wrapped(subject(document)), ""]
    lines += _wrapped(saying(document))
    lines += ["", "Run again with", "", *command_lines(document.command), ""]
    lines += [*_series(document), *_reach(document), *_cost(document), *_others(document)]
    full = document.findings[:FULL_MAX]
    for number, found in enumerate(full, 1):
        lines += [f"--- Finding {number} of {len(document.findings)} ---", "", *_finding(found), ""]
    if len(document.findings) > len(full):
        lines += ["--- Further findings ---", ""]
        lines += [line for found in document.findings[FULL_MAX:] for line in _wrapped(found.signature, "  ")]
        lines.append("")
    for number, found in enumerate(full, 1):
        lines += _program(number, found, programs.get(found.signature, "not made"))
    return "".join(f"{line}\n" for line in [*lines, *trailer(document)])


def trailer(document: Document) -> list[str]:
    """``Faultline: VERDICT (what it was found with)``, as git reads trailers: further lines are indented."""
    about = document.environment
    with_ = [f"faultline {about.faultline}", about.tree or f"Linux {about.version}", f"seed {document.seed}"]
    if document.reach is not None:
        with_.append(f"reach {document.reach.reached}/{document.reach.total}")
    count = len(document.findings)
    verdict = f"{count} finding{'s' * (count != 1)}" if count else document.verdict
    return wrap(f"Faultline: {verdict} ({', '.join(with_)})", WIDTH, subsequent_indent=" ")


def command_lines(command: str, indent: str = "  ") -> list[str]:
    """A shell command in lines that go on with a backslash; a word that is too long is cut where the shell joins it."""
    room = WIDTH - len(indent) - 2
    lines = [""]
    for word in shlex.split(command):
        quoted = shlex.quote(word)
        if len(lines[-1]) + 1 + len(quoted) <= room - 2 and (lines[-1] or len(lines) == 1):
            lines[-1] = f"{lines[-1]} {quoted}".strip()
            continue
        part = room // 2 if len(quoted) > room - 2 else len(word)  # quoting may double what is quoted
        pieces = [shlex.quote(word[i : i + part]) for i in range(0, len(word), part)]
        lines += [f"  {pieces[0]}", *(f"\0{piece}" for piece in pieces[1:])]
    joined = [line for line in lines if line]
    result = []
    for i, line in enumerate(joined):
        goes_on = i + 1 < len(joined)
        within = goes_on and joined[i + 1].startswith("\0")
        text = line.removeprefix("\0") if line.startswith("\0") else indent + line
        result.append(text + ("\\" if within else " \\" if goes_on else ""))
    return result


def operation_lines(text: str, indent: str) -> list[str]:
    """An operation in lines that go on with a backslash."""
    room = WIDTH - len(indent)
    if len(text) <= room:
        return [indent + text]
    lines: list[str] = []
    rest = text
    while len(rest) > room - 4:
        cut = max(rest.rfind(",", 0, room - 6), rest.rfind(" ", 0, room - 6)) + 1
        cut = cut or room - 6
        lines.append(rest[:cut] + "\\")
        rest = "    " + rest[cut:].lstrip()
    return [indent + line for line in [*lines, rest]]


def _wrapped(text: str, indent: str = "", hanging: str | None = None) -> list[str]:
    more = indent if hanging is None else hanging
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=more, break_on_hyphens=False) or [""]


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(text, f"{label:<{_LABEL}}", " " * _LABEL) if text else []


def _series(document: Document) -> Iterator[str]:
    series = document.series
    if series is None:
        return
    yield from _wrapped(f"Patch by patch{': ' + series.title if series.title else ''}")
    yield ""
    for patch in series.patches:
        yield from _wrapped(f"{patch.name}  {patch.state}: {patch.subject}", "  ", "      ")
        for text in patch_says(patch, series.broken):
            yield from _wrapped(text, "      ", "        ")
    for text in [*map(mended_line, series.mended), *series_doubts(series)]:
        yield from ["", *_wrapped(text)]
    yield ""


def _reach(document: Document) -> Iterator[str]:
    reach = document.reach
    if reach is None:
        if document.patches:
            yield from ["Which of the changed lines ran was not measured.", ""]
        return
    branches = f", and {reach.branches_taken} of {reach.branches} ways of their branches" if reach.branches else ""
    yield from _wrapped(f"Reach: {reach.reached} of {reach.total} changed lines ran{branches}.")
    if reach.missed:
        yield from ["", "NOT TESTED, as these lines never ran:", ""]
        for line in reach.missed[:_MISSED_MAX]:
            yield from _missed(line, reach)
        if len(reach.missed) > _MISSED_MAX:
            yield f"  ... and {len(reach.missed) - _MISSED_MAX} more"
    yield ""


def _missed(line: ChangedLine, reach: Reach) -> Iterator[str]:
    function = f" ({line.function})" if line.function else ""
    removed = ", which the patch removes; on the base tree" if line.removed else ""
    yield from _wrapped(f"{line.file}:{line.line}{function}{removed}", "  ", "    ")
    yield "      " + shorten(line.text, WIDTH - 6, placeholder=" ...")
    operations = reach.operations(line)
    if operations:
        yield from _wrapped(f"likely to reach it: {', '.join(operations)}", "    ")


def _cost(document: Document) -> Iterator[str]:
    cost = document.cost
    if cost is None:
        return
    code = code_says(cost, named=_COSTS_MAX)
    yield from _wrapped(f"Cost: {cost_says(cost)}{'; ' + code if code else ''}.")
    yield ""
    groups = by_operation(cost)
    for name, changes in groups[:_COSTS_MAX]:
        yield f"  {name}"
        for change in changes:
            yield from _wrapped(change_text(change), "    ", "      ")
        yield "    such as"
        for line in changes[0].program.splitlines():
            yield from operation_lines(line, "      ")
        yield ""
    if len(groups) > _COSTS_MAX:
        yield from [f"  ... and {len(groups) - _COSTS_MAX} more operations", ""]


def _others(document: Document) -> Iterator[str]:
    counts = (
        ("Not the patch's, the base tree shows it too:", document.base),
        ("Only the base tree shows, so the patch cures:", document.fixed),
        ("Known:", document.known),
    )
    for heading, names in counts:
        if names:
            yield heading
            for name in names:
                yield from _wrapped(name, "  ")
            yield ""


def _finding(found: Found) -> Iterator[str]:
    ops = found.ops
    yield from _wrapped(f"{found.kind.value}: {place(found, ops)}")
    yield ""
    for text, index in program_lines(ops):
        lines = operation_lines(text, "  ")
        if 0 <= index == found.op:
            room = len(lines[-1]) + len(_HERE) + 2 <= WIDTH and len(lines) == 1
            lines = [f"{lines[0]}  {_HERE}"] if room else [f"  {_HERE}", *lines]
        yield from lines
    yield ""
    yield from _labelled("expected", found.expected)
    for rule in found.because:
        source = f" [{rule.source}]" if rule.source else ""
        yield from _labelled("because" if found.expected else "expected", rule.text + source)
    yield from _labelled("happened", found.happened)
    yield from _labelled("alone", found.alone)
    for i, frame in enumerate(kernel_chain(found.frames)[:_FRAMES_MAX]):
        yield from _labelled("at" if i == 0 else "", str(frame))
    yield from _labelled("earlier", str(found.other) if found.other else "")
    for lock in found.locks:
        yield from _labelled("holding", str(lock))
    for task in found.tasks:
        inside = next((str(frame) for frame in kernel_chain(task.frames)), "its beginning")
        waits = f", waits for {task.waits}" if task.waits else ""
        yield from _labelled(task.name, f"at {inside}{waits}")
    yield from _labelled("schedule", found.schedule)
    yield from _labelled("note", found.note)
    yield from _labelled("signature", found.signature)


def _program(number: int, found: Found, program: str) -> Sequence[str]:
    if "\n" not in program:
        return [*_wrapped(f"No C program for finding {number}: {program}"), ""]
    return [f"--- C program for finding {number} ---", "", *program.rstrip("\n").split("\n"), ""]
