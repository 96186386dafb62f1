"""The commands on the running kernel, and what they leave of its settings."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs_live import LIVE

from faultline import cli
from faultline.backend import live, live_knobs
from faultline.backend.live import LiveBackend
from faultline.backend.live_knobs import KSM, LOCK, ksm_lacks, swap_lacks
from faultline.kinds import ExitStatus
from faultline.program.codec import Operation
from faultline.program.text import parse_program, read_repro
from faultline.tree import DEFAULT_TREE
from faultline.verdict.live import LiveJudge, LiveMachine

pytestmark = LIVE

CORPORA = Path(__file__).parents[2] / "corpora"
SEEDS = CORPORA / "seeds"
ENDLESS = CORPORA / "known" / "guard-install-endless.repro"
KSM_AND_SWAP = """\
p0.0 mmap a0+3 rw
p0.0 madvise a0+2 mergeable
p0.0 write a0 =7
p0.0 write a1 =7
p0.0 write a2 =8
m ksm-merge p0 a0+2
p0.0 madvise a2 pageout
"""
#: Changes KSM's settings and turns swap on, says so, and never ends.
CONTROLLER = f"""
import sys, time
from faultline.backend.live import LiveBackend
from faultline.program.text import parse_program
backend = LiveBackend()
backend.run(parse_program({KSM_AND_SWAP!r}))
print(" ".join(sorted(backend.offer.has)), flush=True)
time.sleep(1000)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAULTLINE_CORPORA", str(tmp_path / "no-corpora"))
    path = tmp_path / "some.prog"
    path.write_text("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 pin k0 a0\np0.0 read a0\n")
    return path


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running kernel seems to read 1 where a page was never written."""
    run = LiveBackend.run

    def wrong(self: LiveBackend, ops: list[Operation], *, snapshots: bool = True) -> bytes:
        trace = bytearray(run(self, ops, snapshots=snapshots))
        size = len(trace) // len(ops)
        names = [live.OPS[op[0]].name for op in ops]
        if names.count("read") == 1 and names[-1] == "read":
            trace[size * (len(ops) - 1) + 4] ^= 1
        return bytes(trace)

    monkeypatch.setattr(LiveBackend, "run", wrong)


def settings() -> dict[str, str]:
    """What the live backend may change, read while no Faultline is at work."""
    with open(LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = {path.name: path.read_text() for path in sorted(KSM.iterdir()) if os.access(path, os.W_OK)}
        knobs = {name: text for name, text in found.items() if path_is_setting(name)}
        swaps = Path("/proc/swaps").read_text()
        disksize = (live_knobs.ZRAM / "disksize").read_text() if live_knobs.ZRAM.is_dir() else ""
        return {**knobs, "swaps": swaps, "disksize": disksize}


def path_is_setting(name: str) -> bool:
    return name in ("run", "sleep_millisecs", "smart_scan", "use_zero_pages", "pages_to_scan", "advisor_mode")


@pytest.fixture
def unusual() -> Iterator[None]:
    """KSM has a setting that nobody else would choose."""
    if not KSM.is_dir():
        yield
        return
    with open(LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = (KSM / "sleep_millisecs").read_text()
        (KSM / "sleep_millisecs").write_text("1237")
    yield
    with open(LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (KSM / "sleep_millisecs").write_text(before)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_the_settings_come_back_after_the_controller_died(how: signal.Signals, unusual: None) -> None:
    before = settings()
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
    )  # fmt: skip
    assert controller.stdout is not None
    has = controller.stdout.readline().split()
    assert "uffd" in has, "it has begun"
    if "ksm" in has:
        assert (KSM / "sleep_millisecs").read_text() == "0\n", "the test is about something"
    if "swap" in has:
        assert len(Path("/proc/swaps").read_text().splitlines()) == 2
    os.killpg(controller.pid, how)
    controller.wait()
    assert settings() == before


def test_the_settings_come_back_after_a_campaign(program: Path, unusual: None) -> None:
    before = settings()
    assert cli.command_line(["run", "--live", "--programs", "20", "--seed", "1", "-q"]) == ExitStatus.CLEAN
    assert settings() == before


def test_generated_programs_run(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command_line(["live", "--programs", "30", "--seed", "1", "-q"]) == ExitStatus.CLEAN
    assert "no finding: live, 30 programs in" in capsys.readouterr().out


def three_way(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from faultline.cli import main; main()", "live", "--three-way", "-q", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.kernel
def test_three_ways_over_the_seeds() -> None:
    done = three_way(str(SEEDS), "--json")  # a process of its own: another test may have the machine in this one
    assert done.returncode == ExitStatus.CLEAN, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["beside"] == os.environ.get("FAULTLINE_TREE", DEFAULT_TREE)
    assert all(one["run"] == ("par-" not in one["file"]) for one in told["programs"])
    done = three_way("--programs", "50", "--seed", "1")
    assert done.returncode == ExitStatus.CLEAN, done.stdout + done.stderr


def test_files_run_and_what_is_skipped_is_named(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command_line(["live", "some.prog"]) == ExitStatus.CLEAN
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"no finding: live kernel {os.uname().release}, 1 program, 4 operations")
    assert out[1].startswith("skipped: pin: ")
    assert cli.command_line(["live", ".", "--json"]) == ExitStatus.CLEAN
    data = json.loads(capsys.readouterr().out)
    assert (data["verdict"], data["kernel"]) == ("clean", "live")
    (told,) = data["programs"]
    assert (told["file"], told["skipped"], told["finding"]) == ("some.prog", {"pin": 1}, None)


def test_a_difference_is_a_finding(
    program: Path, altered: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.command_line(["live", "some.prog"]) == ExitStatus.FINDINGS
    out = capsys.readouterr().out
    assert "some.prog: wrong-data: operation 4 of 4, p0.0 read a0" in out
    assert "faultline replay --live some.prog" in out
    program.write_text("kernel: live\np0.0 mmap a0 rw\np0.0 mprotect a0 r\np0.0 read a0\n")
    assert cli.command_line(["replay", "some.prog"]) == ExitStatus.FINDINGS
    assert "wrong-data:read:value" in capsys.readouterr().out
    assert cli.command_line(["minimize", "some.prog"]) == ExitStatus.CLEAN
    repro = read_repro(Path("some.prog.min"))
    assert repro.header["kernel"] == "live"
    assert len(repro.ops) == 2


def test_a_difference_of_one_run_alone_is_told_apart(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program.write_text("p0.0 mmap a0 rw\np0.0 read a0\n")
    run, runs = LiveBackend.run, []

    def wrong_once(self: LiveBackend, ops: list[Operation], *, snapshots: bool = True) -> bytes:
        trace = bytearray(run(self, ops, snapshots=snapshots))
        runs.append(ops)
        trace[len(trace) // 2 + 4] ^= len(runs) == 1
        return bytes(trace)

    monkeypatch.setattr(LiveBackend, "run", wrong_once)
    assert cli.command_line(["live", "some.prog"]) == ExitStatus.FINDINGS
    assert "This program shows it in some runs only." in capsys.readouterr().out


def test_replay_names_what_is_lacking(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command_line(["replay", "--live", "some.prog"]) == ExitStatus.SKIPPED
    assert "pin (needs driver); driver: pins are taken by drivers" in capsys.readouterr().err
    program.write_text("p0.0 mmap a0 rw\npar {\np0.0 read a0\np0.1 read a0\n}\n")
    assert cli.command_line(["replay", "--live", "some.prog"]) == ExitStatus.SKIPPED
    assert "overlap" in capsys.readouterr().err
    assert cli.command_line(["live", "some.prog"]) == ExitStatus.SKIPPED
    assert "1 program not run: operations of it overlap" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["live"], ["live", "--programs", "3", "."], ["live", "--patch", "x", "."]])
def test_what_makes_no_sense_is_wrong_usage(arguments: list[str], program: Path) -> None:
    assert cli.command_line(arguments) == ExitStatus.USAGE


def test_what_would_never_end_is_not_begun(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command_line(["live", str(ENDLESS)]) == ExitStatus.CLEAN
    assert "1 program cut short: on write-protected pages of a file it never ends" in capsys.readouterr().out


def test_what_does_not_end_is_a_hang_and_the_next_program_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if os.uname().release.split(".")[:2] != ["6", "18"]:
        pytest.skip("known of 6.18")
    monkeypatch.setattr(live, "_STALL_SECONDS", 1.0)
    monkeypatch.setattr(live._Run, "_not_to_be_run", lambda *_: None)
    with LiveBackend() as backend:
        judge = LiveJudge(LiveMachine(backend))
        finding = judge.judge(read_repro(ENDLESS).ops).finding
        assert finding is not None
        assert (finding.kind.value, finding.op, finding.operation) == ("hang", 5, "guard-install")
        assert judge.judge(parse_program("p0.0 mmap a0 rw\np0.0 write a0 =1\np0.0 read a0\n")).finding is None


def test_without_ksm_and_swap_these_are_refused_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Others use both: nothing of theirs is touched, and the oracle knows."""
    before = settings()
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    ksm = tmp_path / "ksm"
    ksm.mkdir()
    (ksm / "run").write_text("1\n")
    monkeypatch.setattr(live_knobs, "KSM", ksm)
    monkeypatch.setattr(live_knobs, "_SWAPS", swaps)
    with LiveBackend() as backend:
        assert not {"ksm", "swap"} & backend.offer.has
        judge = LiveJudge(LiveMachine(backend))
        assert judge.judge(parse_program(KSM_AND_SWAP)).finding is None
        assert backend.stopped is not None
        assert backend.stopped.index == 6, "what is paged out would go to the others' swap"
        assert backend.stopped.why == backend.offer.lacks["swap"]
        assert judge.judge(parse_program("p0.0 mmap a0 rw\nm swap-out p0 a0\nm ksm-scan\n")).finding is None
    assert (ksm / "run").read_text() == "1\n"
    monkeypatch.undo()
    assert settings() == before


@pytest.fixture
def other() -> Iterator[None]:
    """Another process has mergeable memory."""
    told = Path("/proc/self/ksm_stat")
    if not told.exists() or "ksm_mergeable" not in told.read_text():
        pytest.skip("this kernel does not tell")
    script = "import mmap, time; m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m.madvise(12)"
    command = [sys.executable, "-c", script + "; print(flush=True); time.sleep(1000)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def test_a_campaign_names_what_is_lacking(other: None, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.command_line(["run", "--live", "--programs", "3", "--seed", "1", "-q"])
    assert status == ExitStatus.CLEAN
    assert "without ksm: process" in capsys.readouterr().out


def test_use_by_others_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ksm, swaps, zram = tmp_path / "ksm", tmp_path / "swaps", tmp_path / "zram0"
    monkeypatch.setattr(live_knobs, "KSM", ksm)
    monkeypatch.setattr(live_knobs, "_SWAPS", swaps)
    monkeypatch.setattr(live_knobs, "ZRAM", zram)
    assert "CONFIG_KSM" in str(ksm_lacks())
    assert "CONFIG_SWAP" in str(swap_lacks())
    ksm.mkdir()
    (ksm / "run").write_text("1\n")
    assert "KSM is in use; stop it by 'echo 0 > " in str(ksm_lacks())
    swaps.write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    assert swap_lacks() == "swap is in use (/dev/sda2); 'swapoff /dev/sda2' if this machine can spare it"
    swaps.write_text("Filename Type Size Used Priority\n")
    assert "modprobe zram" in str(swap_lacks())
    zram.mkdir()
    (zram / "disksize").write_text("4096\n")
    assert "zram0 is in use" in str(swap_lacks())
    (zram / "disksize").write_text("0\n")
    assert swap_lacks() is None


def test_memory_that_others_let_ksm_merge_is_left_alone(other: None) -> None:
    assert "has memory for KSM to merge; end it" in str(ksm_lacks())


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveBackend():
        monkeypatch.setattr(live_knobs, "LOCK_SECONDS", 0.0)
        assert cli.command_line(["live", "some.prog"]) == ExitStatus.SKIPPED
    assert f"another faultline (process {os.getpid()}) works on the live kernel" in capsys.readouterr().err


def test_without_root_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for arguments in (["live", "some.prog"], ["replay", "--live", "some.prog"], ["run", "--live", "--programs", "1"]):
        status = cli.command_line(arguments)
        (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("faultline:")]
        assert (status, "needs root" in line) == (ExitStatus.SKIPPED, True), arguments
