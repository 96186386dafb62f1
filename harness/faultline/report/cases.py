"""A run as tests that pass, fail or are skipped: what KTAP and JUnit have in common.

There is one test for each kind of finding, in a fixed order, so that the tests of two runs can be compared; what fails
has a test of its own for each finding in it.  Then there is one for the patches of a series, and one for reach, as what
never ran was not tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faultline.kinds import FindingKind
from faultline.report.document import Document, Found
from faultline.report.series import patch_says
from faultline.report.text import Line, explain, marked, title
from faultline.verdict.series import PatchVerdict, SeriesVerdict


@dataclass(frozen=True)
class Test:
    """What a case consists of: a finding, or a patch of a series."""

    name: str
    kind: str
    """What it is about: a kind of finding, or a patch's state."""
    message: str = ""
    """Why it fails, in a line; empty: it passes."""
    skipped: str = ""
    """Why nothing is known; empty: something is."""
    lines: Sequence[str] = ()

    __test__ = False  # pytest would take it for one of its own

    @property
    def failed(self) -> bool:
        """Whether it fails."""
        return bool(self.message)


@dataclass(frozen=True)
class Case:
    """A test, with the tests in it if there are any: it fails if one of them does."""

    name: str
    tests: Sequence[Test] = ()
    skipped: str = ""
    """Why nothing is known; empty: something is."""

    @property
    def failed(self) -> bool:
        """Whether it fails."""
        return any(test.failed for test in self.tests)


def cases(document: Document) -> list[Case]:
    """The tests of a run."""
    whole = _not_judged(document)
    result = []
    for kind in FindingKind:
        tests = [_finding(found) for found in document.findings if found.kind is kind]
        skipped = whole
        if kind is FindingKind.DATA_RACE and document.variant != "race":
            skipped = "not looked for; --races does"
        result.append(Case(kind.value, tests, "" if tests else skipped))
    if document.series is not None:
        result.append(Case("series", [_patch(patch, document.series) for patch in document.series.patches]))
    if document.reach is not None:
        missed = document.reach.total - document.reach.reached
        why = f"{missed} of {document.reach.total} changed lines never ran" if missed else ""
        result.append(Case("reach", skipped=why))
    return result


def _not_judged(document: Document) -> str:
    """Why nothing can be said of what was not found; empty: it can."""
    if document.verdict == "not-tested":
        return "no changed line ran"
    if not document.ended:
        return "the run was not at its end"
    return f"interrupted after {document.programs} programs" if document.interrupted else ""


def _finding(found: Found) -> Test:
    program = [f"  {line}" for _, line in marked(found, found.ops)]
    explained: list[Line] = explain(found)
    repro = [f"  {'repro':<11}{found.repro}"] if found.repro else []
    lines = [title(found, found.ops), "", *program, "", *(text for _, text in explained), *repro]
    return Test(found.signature, found.kind.value, found.happened or found.kind.value, lines=lines)


def _patch(patch: PatchVerdict, series: SeriesVerdict) -> Test:
    name = f"{patch.name} {patch.subject}".strip()
    says = patch_says(patch, series.broken)
    if patch.state == "not-tested":
        return Test(name, patch.state, skipped=patch.why or patch.state)
    failed = patch.state in ("findings", "does-not-apply", "does-not-compile")
    message = (says[0] if says else patch.state) if failed else ""
    return Test(name, patch.state, message, lines=says)
