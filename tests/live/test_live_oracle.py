"""The oracle against the running kernel."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import NEVER
from faultline.oracle import DEVIATIONS, KnownDeviation, Oracle
from faultline.program.codec import Operation
from faultline.program.generate import random_program
from faultline.program.ops import ADVICE, OPS, lacking
from faultline.program.text import format_program, parse_program, read_repro

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from needs_live import LIVE
from oracle_cases import CASES, CHOICES
from oracle_dsl import mismatches, parse
from replays import differing

pytestmark = LIVE
_PROGRAMS = 2000
_REPLAYS = 100
_SEEDS = Path(__file__).parents[2] / "corpora" / "seeds"


@pytest.fixture(scope="module")
def backend() -> Iterator[LiveBackend]:
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        yield backend


@pytest.fixture(scope="module")
def oracle(backend: LiveBackend) -> Oracle:
    return Oracle(tree_version=backend.offer.version, has=backend.offer.has)


def _lacks(backend: LiveBackend, ops: list[Operation]) -> list[str]:
    refused = {"madvise"} if "ksm" not in backend.offer.has and any(_is_advice_for_ksm(op) for op in ops) else set()
    return sorted(lacking(ops, backend.offer.has).keys() | refused)


def _is_advice_for_ksm(op: Operation) -> bool:
    return OPS[op[0]].name == "madvise" and "mergeable" in ADVICE.words[op[4]]


#: The scripts whose operations a live kernel may have.
_SCRIPTS = {
    name: text
    for name, text in (CASES | CHOICES).items()
    if not NEVER.keys() & {need for op in parse(text).ops for need in OPS[op[0]].needs}
}


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_kernel_does_what_the_script_says(name: str, backend: LiveBackend, oracle: Oracle) -> None:
    script = parse(_SCRIPTS[name])
    if _lacks(backend, script.ops):
        pytest.skip(f"this kernel lacks what it needs: {_lacks(backend, script.ops)}")
    trace = backend.run(script.ops)
    assert mismatches(script, trace) == []
    assert oracle.expect(script.ops, trace).trace == trace


@pytest.mark.parametrize("deviation", [d for d in DEVIATIONS if "live" in d.trees], ids=lambda deviation: deviation.id)
def test_the_evidence_shows_the_deviation(deviation: KnownDeviation, backend: LiveBackend, oracle: Oracle) -> None:
    ops = parse(deviation.evidence).ops
    if _lacks(backend, ops):
        pytest.skip("the live backend lacks what the evidence needs")
    trace = backend.run(ops)
    expectation = oracle.expect(ops, trace)
    assert expectation.trace == trace
    assert deviation.id in expectation.deviations


def test_random_programs(backend: LiveBackend, oracle: Oracle) -> None:
    for seed in range(_PROGRAMS):
        ops = random_program(random.Random(seed), length_max=40, has=backend.offer.has)
        trace = backend.run(ops)
        assert oracle.expect(ops, trace).trace[: len(trace)] == trace, f"seed {seed}\n{format_program(ops)}"


def test_without_snapshots(backend: LiveBackend, oracle: Oracle) -> None:
    for name in sorted(set(CASES) & set(_SCRIPTS)):
        ops = parse(CASES[name]).ops
        if _lacks(backend, ops):
            continue
        assert backend.run(ops, snapshots=False) == oracle.expect(ops, snapshots=False).trace, name


#: Who goes on first; what a disk has done by then; which pages reclaim, KSM and readahead take.
_AGAIN = (
    *("files-writeback", "swap-cow", "ksm-fork", "ksm-unmerge"),
    *("move-remove-races", "thread-retry", "dirty-uffd-move"),
)
_RUNS = 20


@pytest.mark.parametrize("name", _AGAIN)
def test_every_run_of_a_program_is_the_same(name: str, backend: LiveBackend) -> None:
    ops = read_repro(_SEEDS / f"{name}.prog").ops
    assert len({backend.run(ops) for _ in range(_RUNS)}) == 1


def test_every_run_of_a_generated_program_is_the_same(backend: LiveBackend) -> None:
    assert list(differing(backend, _REPLAYS)) == []


def test_what_differs_between_runs_is_told(backend: LiveBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    run, runs = backend.run, []

    def changing(ops: list[Operation]) -> bytes:
        trace = bytearray(run(ops))
        runs.append(ops)
        trace[-1] ^= len(runs) == 5
        return bytes(trace)

    monkeypatch.setattr(backend, "run", changing)
    (told,) = differing(backend, 3)
    assert told.startswith("# seed 1: operation")
    assert format_program(runs[1]) in told


def test_tasks_that_are_woken_together_go_on_in_their_order(backend: LiveBackend) -> None:
    ops = parse_program("""\
p0.0 mmap a0 rw
p0.0 uffd-open u0
m uffd-register u0 a0 missing
p0.1 write a0 =1
p0.2 write a0 =2
p0.3 read a0
m uffd-copy u0 a0 =4
""")
    assert len({backend.run(ops) for _ in range(5 * _RUNS)}) == 1
