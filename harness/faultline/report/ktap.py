"""A run as KTAP, the kernel's test output (Documentation/dev-tools/ktap.rst)."""

from __future__ import annotations

from collections.abc import Iterator

from faultline.report.cases import Case, Test, cases
from faultline.report.cost import cost_says
from faultline.report.document import Document
from faultline.report.words import headline, subject

_VERSION = "KTAP version 1"
_INDENT = "  "


def ktap(document: Document) -> str:
    """The whole output, each line with its newline."""
    tests = cases(document)
    lines = [_VERSION, f"1..{len(tests)}"]
    about = f"{headline(document)}: {subject(document)}, {document.programs} programs in {document.seconds:.1f} s"
    lines += [f"# {about}", f"# {document.command}"]
    if document.cost is not None:
        lines.append(f"# cost: {cost_says(document.cost)}")
    for number, case in enumerate(tests, 1):
        lines += _case(number, case)
    return "".join(f"{line}\n" for line in lines)


def _case(number: int, case: Case) -> Iterator[str]:
    if case.tests:
        inner = [_VERSION, f"# Subtest: {case.name}", f"1..{len(case.tests)}"]
        for i, test in enumerate(case.tests, 1):
            inner += [f"# {line}".rstrip() for line in test.lines]
            inner.append(_result(i, test))
        yield from (_INDENT + line for line in inner)
    yield _result(number, case)


def _result(number: int, test: Case | Test) -> str:
    skipped = f" # SKIP {test.skipped}" if test.skipped else ""
    name = test.name.replace("#", "_")  # what follows a # would be a directive
    return f"{'not ok' if test.failed else 'ok'} {number} {name}{skipped}"
