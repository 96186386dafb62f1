"""The oracle against the running kernel."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faultline.backend.live import LIVE_HAS, LiveBackend, requirement_missing
from faultline.oracle import DEVIATIONS, KnownDeviation, Oracle
from faultline.program.codec import Operation
from faultline.program.generate import random_program
from faultline.program.ops import OPS
from faultline.program.text import format_program

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from oracle_cases import CASES, CHOICES
from oracle_dsl import mismatches, parse

_MISSING = requirement_missing()
pytestmark = [
    pytest.mark.live,
    pytest.mark.root,
    # one worker: KSM's knobs are the whole machine's
    pytest.mark.xdist_group("live"),
    pytest.mark.skipif(_MISSING is not None, reason=_MISSING or ""),
]
_PROGRAMS = 300


def _version() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


@pytest.fixture(scope="module")
def backend() -> Iterator[LiveBackend]:
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        yield backend


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(tree_version=_version(), has=LIVE_HAS)


#: The scripts whose operations the live backend has.
_SCRIPTS = {
    name: text
    for name, text in (CASES | CHOICES).items()
    if LIVE_HAS.issuperset(need for op in parse(text).ops for need in OPS[op[0]].needs)
}


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_kernel_does_what_the_script_says(name: str, backend: LiveBackend, oracle: Oracle) -> None:
    script = parse(_SCRIPTS[name])
    trace = backend.run(script.ops)
    assert mismatches(script, trace) == []
    assert oracle.expect(script.ops, trace).trace == trace


@pytest.mark.parametrize("deviation", [d for d in DEVIATIONS if "live" in d.trees], ids=lambda deviation: deviation.id)
def test_the_evidence_shows_the_deviation(deviation: KnownDeviation, backend: LiveBackend, oracle: Oracle) -> None:
    ops = parse(deviation.evidence).ops
    if not all(LIVE_HAS.issuperset(OPS[op[0]].needs) for op in ops):
        pytest.skip("the live backend lacks what the evidence needs")
    trace = backend.run(ops)
    expectation = oracle.expect(ops, trace)
    assert expectation.trace == trace
    assert deviation.id in expectation.deviations


def _may_install_for_ever(ops: list[Operation]) -> bool:
    """MADV_GUARD_INSTALL never ends on write-protected pages of a file (corpora/known/guard-install-endless.repro)."""
    names = {OPS[op[0]].name for op in ops}
    return {"guard-install", "uffd-register"} <= names and bool({"mmap-file", "mmap-shared"} & names)


def test_random_programs(backend: LiveBackend, oracle: Oracle) -> None:
    for seed in range(_PROGRAMS):
        ops = random_program(random.Random(seed), length_max=40)
        if _may_install_for_ever(ops):
            continue
        trace = backend.run(ops)
        assert oracle.expect(ops, trace).trace == trace, f"seed {seed}\n{format_program(ops)}"


def test_without_snapshots(backend: LiveBackend, oracle: Oracle) -> None:
    for name in sorted(set(CASES) & set(_SCRIPTS)):
        ops = parse(CASES[name]).ops
        assert backend.run(ops, snapshots=False) == oracle.expect(ops, snapshots=False).trace, name
