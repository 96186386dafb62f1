"""The fuzz folder: the atheris target and the pytest campaign."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

from faultline.kinds import ExitStatus
from faultline.program.text import read_repro

TARGET = ROOT / "fuzz/fuzz_program.py"
T5 = ROOT / "corpora/thread/t5.cocci"


def fuzz(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris")
    command = [sys.executable, str(TARGET), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=900)


def test_coverage_reaches_the_fuzzer_and_a_planted_fault_is_found(tmp_path):
    done = fuzz(tmp_path, "--self-test")
    assert done.returncode == ExitStatus.CLEAN, done.stderr
    assert "coverage counters of the kernel code: loaded" in done.stdout


def test_a_finding_of_the_fuzzer_leaves_the_same_repro(tmp_path):
    done = fuzz(tmp_path, "--patch", str(T5), "--out", "found", "corpus", "-runs=20000", "-seed=1")
    assert done.returncode != 0
    files = list((tmp_path / "found").glob("*.repro"))
    assert files, done.stderr
    assert len(read_repro(files[0]).ops) <= 6
    assert "faultline replay found/" in done.stderr


def test_the_fuzzer_goes_on_if_told_to(tmp_path):
    done = fuzz(tmp_path, "--patch", str(T5), "--out", "found", "--keep-going", "corpus", "-runs=3000", "-seed=1")
    assert done.returncode == 0, done.stderr
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) >= 3000, "all of the corpus it begins with counts, and that grows"
    assert list((tmp_path / "found").glob("*.repro"))


def campaign(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", str(ROOT / "fuzz"),
        "--faultline-seed", "1", "--faultline-out", str(tmp_path / "found"), *arguments,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)


def test_a_pytest_campaign_fails_with_a_report_and_a_repro(tmp_path):
    done = campaign(tmp_path, "--faultline-time", "60", "--faultline-patch", str(T5))
    assert done.returncode == 1, done.stdout
    assert "seed 1" in done.stdout
    assert "unlock-not-owner: operation" in done.stdout
    files = sorted((tmp_path / "found").glob("unlock-not-owner-*.repro"))
    assert files
    for file in files:
        assert f"faultline replay {file}" in done.stdout
        assert len(read_repro(file).ops) <= 10
    assert not list((tmp_path / "found").glob(".*"))


def test_a_pytest_campaign_on_the_unpatched_tree_passes(tmp_path):
    done = campaign(tmp_path, "--faultline-time", "2")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
