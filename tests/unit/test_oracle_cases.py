"""Each operation, as a script: what the oracle expects."""

from __future__ import annotations

import pytest
from oracle_cases import CASES, CHOICES
from oracle_dsl import mismatches, parse

from faultline.oracle import Oracle


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    script = parse(CASES[name])
    assert mismatches(script, Oracle().expect(script.ops).trace) == []


@pytest.mark.parametrize("name", CHOICES)
def test_preferred_choice(name: str) -> None:
    script = parse(CHOICES[name])
    assert mismatches(script, Oracle().expect(script.ops).trace) == []


def test_a_wrong_script_is_noticed() -> None:
    script = parse("p0.0 mmap a0 rw -> EINVAL\n? p0 a0   1 present\np0.0 read a0 -> 7")
    assert len(mismatches(script, Oracle().expect(script.ops).trace)) == 3


def test_an_oracle_can_be_used_again() -> None:
    oracle = Oracle()
    scripts = [parse(text) for text in CASES.values()]
    first = [oracle.expect(script.ops).trace for script in scripts]
    assert first == [Oracle().expect(script.ops).trace for script in scripts]
    assert first == [oracle.expect(script.ops).trace for script in scripts]
