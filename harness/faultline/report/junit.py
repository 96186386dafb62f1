"""A run as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from faultline.kinds import FindingKind
from faultline.report.cases import Case, Test, cases
from faultline.report.document import Document
from faultline.report.words import environment, headline, subject

#: What XML 1.0 cannot hold, not even escaped.
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(document: Document) -> bytes:
    """The XML document."""
    tests = cases(document)
    inner = [test for case in tests for test in _inner(case)]
    errors = sum(test.failed and _is_error(test) for test in inner)
    counts = {
        "tests": str(len(inner)),
        "failures": str(sum(test.failed for test in inner) - errors),
        "errors": str(errors),
        "skipped": str(sum(bool(test.skipped) for test in inner)),
        "time": f"{document.seconds:.3f}",
    }
    name = f"faultline {document.mode} {_text(subject(document))}"
    root = Element("testsuites", {"name": "faultline", **counts})
    suite = SubElement(root, "testsuite", {"name": name, **counts, "timestamp": document.started.removesuffix("Z")})
    facts = SubElement(suite, "properties")
    for key, value in [("verdict", headline(document)), ("command", document.command), *environment(document)]:
        SubElement(facts, "property", {"name": _text(key), "value": _text(value)})
    for case in tests:
        for test in _inner(case):
            _test(suite, case, test)
    indent(root)
    return b"%s\n" % tostring(root, encoding="utf-8", xml_declaration=True)


def _inner(case: Case) -> Sequence[Case | Test]:
    """The tests of a case, or itself if it has none."""
    return case.tests or (case,)


def _is_error(test: Case | Test) -> bool:
    """Whether the tool failed, or had nothing to test, and the test itself says nothing."""
    return isinstance(test, Test) and test.kind in (FindingKind.TOOL_ERROR, "does-not-apply", "does-not-compile")


def _test(suite: Element, case: Case, test: Case | Test) -> None:
    group = "faultline" if test is case else f"faultline.{case.name}"
    node = SubElement(suite, "testcase", {"classname": group, "name": _text(test.name), "time": "0"})
    if test.skipped:
        SubElement(node, "skipped", {"message": _text(test.skipped)})
    elif isinstance(test, Test) and test.failed:
        kind = "error" if _is_error(test) else "failure"
        about = SubElement(node, kind, {"message": _text(test.message), "type": test.kind})
        about.text = _text("\n".join(test.lines))


def _text(text: str) -> str:
    return _NOT_XML.sub("�", text)
