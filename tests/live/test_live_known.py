"""What is known of kernels, shown by C programs on the one that runs."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest
from needs_live import LIVE

from faultline.backend import live
from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import running_version
from faultline.program.ops import NEED_NAMES, lacking
from faultline.program.text import read_repro
from faultline.report import discovery
from faultline.report.discovery import discoveries
from faultline.verdict.live import LiveJudge, LiveMachine

pytestmark = LIVE
CORPUS = Path(__file__).parents[2] / "corpora" / "known"
KNOWN = sorted(CORPUS.glob("*.c"))
#: What each says when it has happened.
TELLS = {"scan-passes-migrating": "left unprotected", "uffd-late-sleeper": "goes on"}
SECONDS = 20
FLUSHED_LATE = CORPUS / "dontneed-flushes-late.repro"
RUNS = 100


SHOWN = {
    name: one
    for name, one in discoveries(CORPUS).items()
    if one.shown is not None and one.shown.fails and not lacking(read_repro(one.path).ops, NEED_NAMES - {"ksm", "swap"})
}
HERE = f"{'.'.join(map(str, running_version()))} ({platform.machine()})"


@pytest.mark.parametrize("name", sorted(SHOWN.keys() - {"guard-install-endless", "dontneed-flushes-late"}))
def test_what_a_report_says_of_this_kernel_is_so(name: str, tmp_path: Path) -> None:
    one = SHOWN[name]
    assert one.shown is not None
    if one.shown.kernel != HERE:
        pytest.skip(f"it speaks of {one.shown.kernel}")
    program = discovery._built(tmp_path, name, one)
    assert program is not None
    told = discovery._outcome(program)
    if told.startswith("SKIP"):
        pytest.skip(told)
    assert told == one.shown.told


@pytest.fixture(params=KNOWN, ids=lambda path: path.stem)
def source(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def compiled(source: Path, tmp_path: Path) -> Path:
    out = tmp_path / "known"
    flags = ["-Wall", "-Wextra", "-Werror", "-O2", "-pthread"]
    subprocess.run(["cc", *flags, str(source), "-o", str(out)], check=True)
    return out


def test_a_known_deviation_shows_on_the_live_kernel(source: Path, compiled: Path) -> None:
    done = subprocess.run([compiled, str(SECONDS)], capture_output=True, text=True, timeout=3 * SECONDS, check=False)
    assert done.returncode in (0, 1), done.stderr
    if done.returncode == 0:
        pytest.skip(f"this kernel did not show it in {SECONDS} s")
    assert TELLS[source.stem] in done.stdout


def test_a_page_that_may_still_be_reached_is_not_accessed() -> None:
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        if not backend.flushes_late:
            pytest.skip("this kernel flushes in time")
        ops = read_repro(FLUSHED_LATE).ops
        assert LiveJudge(LiveMachine(backend)).judge(ops).finding is None
        assert backend.stopped is not None
        assert (backend.stopped.index, backend.stopped.stuck) == (5, False)
        assert "corpora/known/dontneed-flushes-late.repro" in backend.stopped.why
        elsewhere = [(*op[:2], 2, *op[3:]) if index == 5 else op for index, op in enumerate(ops)]
        LiveJudge(LiveMachine(backend)).judge(elsewhere[:6])
        assert backend.stopped is None, "another page is none of those"


def test_a_page_that_may_still_be_reached_shows_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live._Run, "_is_unflushed", lambda *_: False)
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        if not backend.flushes_late:
            pytest.skip("this kernel flushes in time")
        judge, ops = LiveJudge(LiveMachine(backend)), read_repro(FLUSHED_LATE).ops
        found = [finding for _ in range(RUNS) if (finding := judge.judge(ops).finding) is not None]
    if not found:
        pytest.skip("this processor did not remember the page")
    assert {finding.signature for finding in found} == {"wrong-data:write:content"}
