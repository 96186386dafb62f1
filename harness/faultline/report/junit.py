"""A run as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from faultline.kinds import FindingKind
from faultline.report.cases import Case, cases, told
from faultline.report.document import Document, Found
from faultline.report.words import environment, headline, subject

#: What XML 1.0 cannot hold, not even escaped.
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(document: Document) -> bytes:
    """The XML document."""
    tests = cases(document)
    findings = [found for case in tests for found in case.findings]
    errors = sum(found.kind is FindingKind.TOOL_ERROR for found in findings)
    counts = {
        "tests": str(sum(max(len(case.findings), 1) for case in tests)),
        "failures": str(len(findings) - errors),
        "errors": str(errors),
        "skipped": str(sum(bool(case.skipped) for case in tests)),
        "time": f"{document.seconds:.3f}",
    }
    name = f"faultline {document.mode} {_text(subject(document))}"
    root = Element("testsuites", {"name": "faultline", **counts})
    suite = SubElement(root, "testsuite", {"name": name, **counts, "timestamp": document.started.removesuffix("Z")})
    facts = SubElement(suite, "properties")
    for key, value in [("verdict", headline(document)), ("command", document.command), *environment(document)]:
        SubElement(facts, "property", {"name": _text(key), "value": _text(value)})
    for case in tests:
        _case(suite, case)
    indent(root)
    return b"%s\n" % tostring(root, encoding="utf-8", xml_declaration=True)


def _case(suite: Element, case: Case) -> None:
    if not case.findings:
        test = SubElement(suite, "testcase", {"classname": "faultline", "name": case.name, "time": "0"})
        if case.skipped:
            SubElement(test, "skipped", {"message": case.skipped})
    for found in case.findings:
        _finding(suite, found)


def _finding(suite: Element, found: Found) -> None:
    name = {"classname": f"faultline.{found.kind.value}", "name": _text(found.signature), "time": "0"}
    test = SubElement(suite, "testcase", name)
    kind = "error" if found.kind is FindingKind.TOOL_ERROR else "failure"
    about = SubElement(test, kind, {"message": _text(found.happened), "type": found.kind.value})
    about.text = _text("\n".join(told(found)))


def _text(text: str) -> str:
    return _NOT_XML.sub("�", text)
