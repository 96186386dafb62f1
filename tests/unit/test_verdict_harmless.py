"""Which differences a patch may call harmless."""

from __future__ import annotations

import pytest

from faultline.kinds import ExitStatus, FaultlineError
from faultline.verdict.harmless import harmless_by, read_harmless

MAIL = """\
Subject: [PATCH] mm: flush once more

One flush more costs nothing here.

Faultline-harmless: base-difference:*:tlb-flushes   one flush more
---
 mm/memory.c | 1 +
"""
COCCI = "// Faultline-harmless: base-difference:write:locks  the lock is taken later\n@@\n@@\n"


@pytest.fixture
def patch(tmp_path):
    def write(text, name="a.patch"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_mail_and_a_semantic_patch_say_what_is_meant(patch):
    rules = read_harmless([patch(MAIL), patch(COCCI, "b.cocci")])
    assert [(rule.pattern, rule.why) for rule in rules] == [
        ("base-difference:*:tlb-flushes", "one flush more"),
        ("base-difference:write:locks", "the lock is taken later"),
    ]
    assert rules[0].place.endswith("a.patch:5")
    assert harmless_by("base-difference:read:tlb-flushes", rules) is rules[0]
    assert harmless_by("base-difference:write:locks", rules) is rules[1]
    assert harmless_by("base-difference:read:locks", rules) is None


def test_a_pattern_never_covers_more_than_differences(patch):
    rules = read_harmless([patch("Faultline-harmless: base-difference:*:* all of it\n")])
    assert harmless_by("base-difference:write:exclusive", rules) is not None
    assert harmless_by("wrong-data:write:content", rules) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("wrong-data:write:content it is fine", "only differences from the base tree"),
        ("* all", "only differences from the base tree"),
        ("base-difference:* all", "only differences from the base tree"),
        ("base-difference:write:locks", "say why"),
        ("", "only differences from the base tree"),
    ],
)
def test_what_is_no_such_rule_is_refused(line, says, patch):
    with pytest.raises(FaultlineError, match=says) as caught:
        read_harmless([patch(f"x\nFaultline-harmless: {line}\n")])
    assert caught.value.status is ExitStatus.USAGE
    assert "a.patch:2" in str(caught.value)


def test_other_lines_are_no_rules(patch):
    assert read_harmless([patch("See Faultline-harmless: in the docs.\n+\tx = 1; /* Faultline */\n")]) == ()


def test_a_patch_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FaultlineError, match=r"none\.patch: No such file"):
        read_harmless([tmp_path / "none.patch"])
