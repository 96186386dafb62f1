"""The flight recorder, the numbered programs, isolation and the index of known findings."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from faultline.campaign.flight import SIZE, Flight
from faultline.campaign.isolate import death_of
from faultline.campaign.source import Source, corpora_dir, read_corpus
from faultline.campaign.worker import Crash, crash_finding
from faultline.kinds import FaultlineError, FindingKind
from faultline.program.codec import encode, has_blocks
from faultline.program.ops import NEED_NAMES, OP_SIZE, OPS_MAX, lacking
from faultline.program.text import parse_program
from faultline.verdict.known import is_known, read_known, signatures

WIRE = encode(parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\n"))


def test_the_parent_reads_what_the_worker_was_running(tmp_path: Path) -> None:
    worker, parent = Flight(tmp_path / "f"), Flight(tmp_path / "f")
    assert (parent.wire, parent.runs, parent.done) == (b"", 0, 0)
    worker.at(42, 7)
    worker.begin(WIRE)
    assert (parent.wire, parent.index, parent.done, parent.runs) == (WIRE, 42, 7, 1)
    worker.begin(WIRE[:OP_SIZE])
    assert (parent.wire, parent.runs) == (WIRE[:OP_SIZE], 2)
    worker.rest()
    assert (parent.wire, parent.index) == (b"", 42)


def test_a_recorder_survives_the_worker_that_dies(tmp_path: Path) -> None:
    parent = Flight(tmp_path / "f")

    def work() -> None:
        flight = Flight(tmp_path / "f")
        flight.at(3, 3)
        flight.begin(WIRE)
        os.kill(os.getpid(), signal.SIGBUS)

    assert death_of(work) == signal.SIGBUS
    assert (parent.wire, parent.index) == (WIRE, 3)
    successor = Flight(tmp_path / "f")
    successor.begin(WIRE)
    assert (parent.index, parent.done, parent.runs) == (3, 3, 2)


def test_the_longest_program_fits(tmp_path: Path) -> None:
    flight = Flight(tmp_path / "f")
    longest = bytes(range(256)) * (OP_SIZE * OPS_MAX // 256)
    flight.begin(longest)
    assert Flight(tmp_path / "f").wire == longest
    assert (tmp_path / "f").stat().st_size == SIZE


def test_the_parent_can_ask_for_the_end(tmp_path: Path) -> None:
    worker, parent = Flight(tmp_path / "f"), Flight(tmp_path / "f")
    assert not worker.stopping
    parent.stop()
    assert worker.stopping
    assert not worker.hurrying
    parent.stop(hurry=True)
    assert worker.stopping
    assert worker.hurrying


def test_a_call_that_survives_is_no_death() -> None:
    assert death_of(lambda: None) == 0
    assert death_of(lambda: print("dropped")) == 0


@pytest.mark.parametrize(
    ("number", "kind", "aspect"),
    [
        (signal.SIGSEGV, FindingKind.KERNEL_BUG, "process-SIGSEGV"),
        (signal.SIGABRT, FindingKind.KERNEL_BUG, "process-SIGABRT"),
        (signal.SIGALRM, FindingKind.HANG, "process-stuck"),
        (signal.SIGKILL, FindingKind.TOOL_ERROR, "process-killed"),
    ],
)
def test_what_a_dead_worker_leaves(number: int, kind: FindingKind, aspect: str) -> None:
    finding = crash_finding(Crash(0, WIRE, number))
    assert (finding.kind, finding.aspect) == (kind, aspect)


def test_a_numbered_program_is_a_function_of_seed_and_number() -> None:
    corpus = (parse_program("p0.0 mmap a0 rw\n"), parse_program("p0.0 munmap a0\n"))
    source, again, other = Source(1, corpus), Source(1, corpus), Source(2, corpus)
    assert [source.program(0), source.program(1)] == list(corpus)
    backwards = [again.program(index) for index in reversed(range(2, 60))][::-1]
    forwards = [source.program(index) for index in range(2, 60)]
    assert forwards == backwards
    assert forwards != [other.program(index) for index in range(2, 60)]
    assert len({tuple(ops) for ops in forwards}) > 50


def test_numbered_programs_keep_to_what_the_kernel_has() -> None:
    has = NEED_NAMES - {"ksm"}
    with_ksm, without = parse_program("p0.0 mmap a0 rw\nm ksm-scan\n"), parse_program("p0.0 mmap a0 rw\n")
    source = Source(1, (with_ksm, without), has)
    assert source.program(0) == without
    assert not any(lacking(source.program(index), has) for index in range(500))


def test_numbered_programs_do_not_change_the_corpus() -> None:
    corpus = (parse_program("p0.0 mmap a0+4 rw\np0.0 write a0 =1\np0.0 fork p1\n"),)
    source = Source(1, corpus)
    for index in range(200):
        source.program(index).clear()
    assert source.program(0) == corpus[0]
    assert len(corpus[0]) == 3


def test_a_corpus_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b.prog").write_text("p0.0 munmap a0\n")
    (tmp_path / "a.repro").write_text("# faultline repro v1\nseed: 1\np0.0 mmap a0 rw\n")
    (tmp_path / "README.md").write_text("no program")
    corpus = read_corpus([tmp_path, tmp_path / "missing"])
    assert corpus == [parse_program("p0.0 mmap a0 rw\n"), parse_program("p0.0 munmap a0\n")]


def test_a_damaged_corpus_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "b.prog").write_text("p0.0 munnmap a0\n")
    with pytest.raises(FaultlineError, match=r"b\.prog:1: unknown operation"):
        read_corpus([tmp_path])


ENTRY = """
[marker]
signature = "stray-bit:read:swap"
trees = ["6.12"]
why = "pagemap reports a marker as swapped"
source = "Documentation/admin-guide/mm/pagemap.rst"
repro = "marker.repro"
"""


def test_known_findings_are_read_with_their_trees(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(ENTRY)
    (tmp_path / "marker.repro").write_text("p0.0 mmap a0 rw\n")
    known = read_known(tmp_path)
    assert known["marker"].why.startswith("pagemap")
    assert signatures(known, "6.12") == {"stray-bit:read:swap"}
    assert signatures(known, "6.1") == frozenset()
    assert read_known(tmp_path / "missing") == {}
    (tmp_path / "index.toml").write_text(ENTRY + 'also = ["stray-bit:read:other"]\n')
    assert signatures(read_known(tmp_path), "6.12") == {"stray-bit:read:swap", "stray-bit:read:other"}


def test_a_star_in_a_known_signature_stands_for_any_operation() -> None:
    known = {"hang:fork:dup_mm", "kernel-bug:*:evict"}
    assert is_known("kernel-bug:munmap:evict", known, [])
    assert is_known("hang:fork:dup_mm", known, [])
    assert not is_known("kernel-bug:munmap:iput", known, [])
    assert not is_known("hang:munmap:dup_mm", known, [])


def test_what_is_known_after_an_operation_is_another_finding_without_it(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(ENTRY + 'after = "fail"\nalso = ["stray-bit:read:other"]\n')
    (tmp_path / "marker.repro").write_text("p0.0 mmap a0 rw\n")
    known = signatures(read_known(tmp_path), "6.12")
    failing = parse_program("p0.0 mmap a0 rw\nm fail page n1\np0.0 read a0\n")
    for signature in ("stray-bit:read:swap", "stray-bit:read:other"):
        assert is_known(signature, known, failing)
        assert not is_known(signature, known, failing[::2])


def test_what_is_known_of_operations_that_overlap_is_another_finding_in_a_sequence(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text(ENTRY + 'after = "par"\n')
    (tmp_path / "marker.repro").write_text("p0.0 mmap a0 rw\n")
    known = signatures(read_known(tmp_path), "6.12")
    overlapping = parse_program("p0.0 mmap a0 rw\npar {\n  p0.0 read a0\n  p0.1 read a0\n}\n")
    assert is_known("stray-bit:read:swap", known, overlapping)
    assert not is_known("stray-bit:read:swap", known, parse_program("p0.0 mmap a0 rw\np0.0 read a0\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY, "marker names marker.repro, which is not there"),
        (ENTRY.replace("why", "reason"), "index.toml: .*reason"),
        ("[marker", "index.toml: "),
        (ENTRY.replace("marker.repro", "index.toml") + 'after = "fai"\n', "no operation is called 'fai'"),
    ],
)
def test_a_damaged_index_is_a_users_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "index.toml").write_text(text)
    with pytest.raises(FaultlineError, match=message):
        read_known(tmp_path)


def test_the_projects_own_index_and_corpora_are_sound() -> None:
    read_known(corpora_dir() / "known")
    assert read_corpus([corpora_dir() / "seeds", corpora_dir() / "regressions"])


BLOCK = parse_program("p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\n")


def test_sequential_programs_of_a_check_are_those_of_a_run() -> None:
    corpus = [parse_program("p0.0 mmap a0 rw\n")]
    run, check = Source(1, corpus), Source(1, corpus, overlapping=10)
    programs = [(run.program(index), check.program(index)) for index in range(300)]
    sequential = [(one, other) for one, other in programs if not has_blocks(other)]
    assert 250 < len(sequential) < 300
    assert all(one == other for one, other in sequential)


def test_programs_that_run_what_a_patch_changes_come_first_and_more_is_made_of_them() -> None:
    near = parse_program("p0.0 mmap a0 rw\np0.0 write a0 =77\np0.0 write a0 =78\n")
    corpus = [parse_program("p0.0 read a0\n"), near]
    usual, steered = Source(1, corpus), Source(1, corpus, near=[near])

    def made_of_it(source: Source) -> int:
        values = {name for name in near if name[-1] in (77, 78)}
        return sum(any(op in values for op in source.program(index)) for index in range(2, 302))

    assert [usual.program(0), usual.program(1)] == corpus
    assert [steered.program(0), steered.program(1)] == corpus[::-1]
    assert made_of_it(steered) > 1.4 * made_of_it(usual)
    assert [steered.program(i) for i in range(2, 40)] == [
        Source(1, corpus, near=[near]).program(i) for i in range(2, 40)
    ]


def test_programs_that_overlap_fall_to_all_workers_and_some_are_of_the_corpus_again() -> None:
    sequential = parse_program("p0.0 mmap a0 rw\n")
    other = parse_program("par {\n  p0.0 write a0 =1\n  p0.1 read a0\n}\n")
    check = Source(1, [BLOCK, sequential, other], overlapping=2, again=[BLOCK, sequential])
    assert [check.program(index) for index in range(3)] == [BLOCK, sequential, other]  # mixed evenly
    programs = {index: check.program(index) for index in range(3, 1_003)}
    overlapping = {index for index, ops in programs.items() if has_blocks(ops)}
    assert 350 < len(overlapping) < 500
    assert {index % 4 for index in overlapping} == {0, 1, 2, 3}
    assert 15 < sum(ops == BLOCK for ops in programs.values()) < 40
    assert other not in programs.values()
    assert [check.times(ops) for ops in (BLOCK, other, sequential)] == [25, 1, 1]


def test_without_schedules_the_corpus_is_what_does_not_overlap() -> None:
    source = Source(1, [BLOCK])
    assert not any(has_blocks(source.program(index)) for index in range(300))


@pytest.mark.parametrize("overlapping", [1, 2])
def test_a_campaign_of_programs_that_overlap_repeats_none_unless_asked(overlapping: int) -> None:
    source = Source(1, [BLOCK], overlapping=overlapping)
    assert BLOCK not in [source.program(index) for index in range(1, 300)]
    assert source.times(BLOCK) == 1
