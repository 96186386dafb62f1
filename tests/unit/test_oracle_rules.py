"""The table of rules, its documentation, and how an expectation names them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle_dsl import parse

from faultline.oracle import DEVIATIONS, RULES, Oracle, Rule, known_deviation
from faultline.oracle.rules import OBSERVED, PATH, current
from faultline.oracle.versions import DIFFERENCES, holds

_DOCUMENTS = (
    "(2)", "(2const)", "Documentation/", "include/uapi/", "faultline/program/trace.py", OBSERVED
)


def test_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert len({deviation.id for deviation in DEVIATIONS}) == len(DEVIATIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_one_sentence_with_a_source(rule: Rule) -> None:
    assert rule.text.endswith(".")
    assert ". " not in rule.text
    assert any(document in rule.source for document in _DOCUMENTS)


def test_version_differences_are_named_once_with_a_source() -> None:
    assert len({difference.id for difference in DIFFERENCES}) == len(DIFFERENCES)
    for difference in DIFFERENCES:
        assert difference.text.endswith(".")
        assert any(document in difference.source for document in (*_DOCUMENTS, "observed: tree"))


def test_a_difference_holds_from_its_version_on() -> None:
    for index, difference in enumerate(DIFFERENCES):
        major, minor = difference.since
        assert holds((major, minor))[index]
        assert not holds((major, minor - 1, 0))[index]


def test_a_difference_holds_from_a_stable_release_on() -> None:
    (index,) = (index for index, difference in enumerate(DIFFERENCES) if difference.id == "mremap-clears")
    assert [holds(version)[index] for version in ((6, 1, 190), (6, 1, 191), (6, 1), (6, 2, 200))] == [
        False, True, True, False
    ]  # fmt: skip


def test_a_deviation_names_the_kernels_that_showed_it() -> None:
    shown = replace(DEVIATIONS[0], trees="5.10, 6.1 up to 6.1.190 (source: do_it()), 6.12 from 6.12.10 on, 6.18 (live)")
    for version in ((5, 10, 0), (6, 1, 190), (6, 12, 10), (6, 18, 5)):
        assert shown.was_seen_on(version)
    for version in ((5, 1, 0), (6, 1, 191), (6, 12, 9), (6, 17, 0)):
        assert not shown.was_seen_on(version)


def test_docs_are_current() -> None:
    assert PATH.read_text() == current(PATH.read_text()), "run python -m faultline.oracle.rules"


def test_evidence_is_a_program() -> None:
    for deviation in DEVIATIONS:
        assert parse(deviation.evidence).ops
        assert known_deviation(deviation.id) is deviation


def test_an_expectation_names_the_rules() -> None:
    text = """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0
        p0.0 write a0 =2
        m uffd-resolve u0 a0
    """
    expectation = Oracle().expect(parse(text).ops)
    names = [rule.id for i in range(7) if (rule := expectation.rule(i))]
    assert names == ["mmap", "write-fresh", "uffd-open", "register", "wp", "fault-wp", "resolve"]
    assert [rule.id for rule in expectation.rules(6)] == ["resolve", "retry", "write"]
    assert expectation.rule(7) is None
    assert expectation.rules(-1) == ()
