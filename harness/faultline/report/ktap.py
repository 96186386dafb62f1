"""A run as KTAP, the kernel's test output (Documentation/dev-tools/ktap.rst)."""

from __future__ import annotations

from collections.abc import Iterator

from faultline.report.cases import Case, cases, told
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
    for number, case in enumerate(tests, 1):
        lines += _case(number, case)
    return "".join(f"{line}\n" for line in lines)


def _case(number: int, case: Case) -> Iterator[str]:
    if case.findings:
        inner = [_VERSION, f"# Subtest: {case.name}", f"1..{len(case.findings)}"]
        for i, found in enumerate(case.findings, 1):
            inner += [f"# {line}".rstrip() for line in told(found)]
            inner.append(f"not ok {i} {_name(found.signature)}")
        yield from (_INDENT + line for line in inner)
    result = "not ok" if case.findings else "ok"
    skipped = f" # SKIP {case.skipped}" if case.skipped else ""
    yield f"{result} {number} {_name(case.name)}{skipped}"


def _name(text: str) -> str:
    """A test's name; what follows a ``#`` would be a directive."""
    return text.replace("#", "_")
