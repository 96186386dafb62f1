"""A run as tests that pass, fail or are skipped: what KTAP and JUnit have in common.

There is one test for each kind of finding, in a fixed order, so that the tests of two runs can be compared; what fails
has a test of its own for each finding in it.  Then there is one for reach, as what never ran was not tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faultline.kinds import FindingKind
from faultline.report.document import Document, Found
from faultline.report.text import Line, explain, marked, title


@dataclass(frozen=True)
class Case:
    """A test: it fails if there are findings, and is skipped if there is a reason in ``skipped``."""

    name: str
    findings: Sequence[Found] = ()
    skipped: str = ""


def cases(document: Document) -> list[Case]:
    """The tests of a run."""
    by_kind = {kind: [one for one in document.findings if one.kind is kind] for kind in FindingKind}
    whole = _not_judged(document)
    result = []
    for kind, findings in by_kind.items():
        skipped = whole
        if kind is FindingKind.DATA_RACE and document.variant != "race":
            skipped = "not looked for; --races does"
        result.append(Case(kind.value, findings, "" if findings else skipped))
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


def told(found: Found) -> list[str]:
    """A finding in full, as lines."""
    program = [f"  {line}" for _, line in marked(found, found.ops)]
    explained: list[Line] = explain(found)
    repro = [f"  {'repro':<11}{found.repro}"] if found.repro else []
    return [title(found, found.ops), "", *program, "", *(text for _, text in explained), *repro]
