#!/usr/bin/env python3
"""An atheris target with coverage of the kernel code itself: bytes are a program in wire form, judged as in a campaign.

    fuzz/fuzz_program.py [--tree T] [--profile N] [--patch P]... [--out DIR] [--keep-going] [--self-test]
        [CORPUS...] [-flag=value...]

A corpus folder without files gets the seed programs.  A finding leaves the same repro as `faultline check`; then the
fuzzer ends as OSS-Fuzz expects, or goes on with --keep-going, each signature once.

Two processes: the first builds the library and waits; the second, with the sanitiser's runtime loaded before all else,
fuzzes.  When the second dies without a word, the first writes the repro of the program that it was running.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO

import msgspec

from faultline.backend.machine import Machine
from faultline.campaign.flight import Flight
from faultline.campaign.source import whole_corpus
from faultline.campaign.subject import DEFAULT_PROFILE, prepare
from faultline.campaign.worker import Crash, crash_finding
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, decode, encode
from faultline.program.minimize import minimize
from faultline.program.ops import OP_SIZE, OPS, OPS_MAX
from faultline.report.repro import Patch, Setting, keep_repro, replay_command
from faultline.report.text import plain, render
from faultline.tree import DEFAULT_TREE
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge, open_judge

#: Given by the first process to the second: a :class:`Job` as JSON.
JOB_VARIABLE = "FAULTLINE_FUZZ_JOB"
#: The machine makes a finding of a report and ends the program itself.  Python frees a lot: a small quarantine keeps
#: its memory in the caches, and kernel objects do not come from malloc().
ASAN_OPTIONS = (
    "halt_on_error=0:suppress_equal_pcs=0:detect_leaks=0:malloc_context_size=0:quarantine_size_mb=1"
    ":handle_abort=1:abort_on_error=1"
)
#: Operations of an input unless -max_len says otherwise.
INPUT_OPS_MAX = 24
#: The planted fault, and the inputs within which --self-test must have found it.
SELF_TEST_CANARY = "wrong-byte"
SELF_TEST_RUNS = 20_000


class Job(msgspec.Struct):
    """What the second process works with."""

    kernel: str
    profile: str
    patches: list[str]
    library: str
    base: str | None
    known: list[str]
    out: str
    recorder: str
    keep_going: bool
    canary: str | None

    @property
    def setting(self) -> Setting:
        return Setting(self.kernel, self.profile, tuple(Patch.of(Path(path)) for path in self.patches))


# --- the first process ---


def main() -> int:
    """Builds, starts the fuzzer and looks after what it leaves."""
    options, flags = _options()
    try:
        runtime = _runtime()
        with tempfile.TemporaryDirectory(prefix="faultline-") as folder:
            job = _job(options, Path(folder))
            if options.self_test:
                return _self_test(job, runtime, Path(folder))
            for corpus in flags:
                if not corpus.startswith("-"):
                    _plant_seeds(Path(corpus))
            return _supervise(job, runtime, flags)
    except FaultlineError as error:
        print(f"faultline: {error}", file=sys.stderr)
        return error.status


def _options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Fuzzes kernel code with atheris; other arguments go to libFuzzer.")
    parser.add_argument("--tree", default=os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))
    parser.add_argument("--profile", default=os.environ.get("FAULTLINE_PROFILE", DEFAULT_PROFILE))
    parser.add_argument("--patch", action="append", default=[], type=Path)
    parser.add_argument("--out", default="findings", type=Path)
    parser.add_argument("--keep-going", action="store_true", help="do not end at a finding")
    parser.add_argument("--self-test", action="store_true", help="plant a fault and see that it is found")
    return parser.parse_known_args()


def _runtime() -> Path:
    """The sanitiser's runtime with libFuzzer in it, which atheris brings."""
    try:
        path = Path(str(metadata.distribution("atheris").locate_file("asan_with_fuzzer.so")))
    except metadata.PackageNotFoundError:
        raise FaultlineError("atheris is not here: pip install 'atheris>=3.0'", ExitStatus.SKIPPED) from None
    if not path.is_file():
        raise FaultlineError(f"{path}: not here; install atheris from a wheel", ExitStatus.SKIPPED)
    return path


def _job(options: argparse.Namespace, folder: Path) -> Job:
    subject = prepare(
        options.tree, options.patch, options.profile, check=bool(options.patch), jobs=len(os.sched_getaffinity(0)),
        say=lambda _: None, variant="asan",
    )  # fmt: skip
    return Job(
        kernel=options.tree,
        profile=options.profile,
        patches=[str(path) for path in options.patch],
        library=str(subject.library.path),
        base=str(subject.base.path) if subject.base else None,
        known=sorted(subject.known),
        out=str(options.out.absolute()),
        recorder=str(folder / "recorder"),
        keep_going=options.keep_going,
        canary=None,
    )


def _plant_seeds(corpus: Path) -> None:
    """Gives an empty corpus folder the seed programs in wire form."""
    try:
        corpus.mkdir(parents=True, exist_ok=True)
        if any(corpus.iterdir()):
            return
        for number, ops in enumerate(whole_corpus()):
            (corpus / f"seed-{number:03}").write_bytes(encode(ops))
    except OSError as error:
        raise FaultlineError(f"{corpus}: {error.strerror}; name a writable corpus folder") from None


def _supervise(job: Job, runtime: Path, flags: Sequence[str], output: IO[str] | None = None) -> int:
    """Runs the second process, its words going to ``output``; the exit status is libFuzzer's if it ends by itself."""
    flight = Flight(Path(job.recorder))
    environment = {
        **os.environ,
        JOB_VARIABLE: msgspec.json.encode(job).decode(),
        "LD_PRELOAD": str(runtime),
        "ASAN_OPTIONS": f"{ASAN_OPTIONS}:{os.environ.get('ASAN_OPTIONS', '')}",
    }
    # The machine turns fault signals of kernel code into findings itself, so libFuzzer leaves them alone.  Without
    # entropy it is quicker, and comes to more of the kernel in the same number of inputs.
    ours = [f"-max_len={INPUT_OPS_MAX * OP_SIZE}", "-entropic=0"]
    ours += [f"-handle_{name}=0" for name in ("segv", "bus", "ill", "fpe")]
    command = [sys.executable, __file__, *ours, *flags]
    child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child too, whose end is ours
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    status = child.wait()
    if status < 0 and -status not in (signal.SIGINT, signal.SIGTERM) and flight.wire:
        _keep(job, crash_finding(Crash(0, flight.wire, -status)), decode(flight.wire))
        return ExitStatus.FINDINGS
    return status if status >= 0 else ExitStatus.INTERRUPTED


def _self_test(job: Job, runtime: Path, folder: Path) -> int:
    """Whether coverage of the kernel code reaches libFuzzer, and a planted fault is found."""
    job = msgspec.structs.replace(job, out=str(folder / "found"), canary=SELF_TEST_CANARY)
    corpus, log = folder / "corpus", folder / "log"
    _plant_seeds(corpus)
    with log.open("w") as file:
        _supervise(job, runtime, [f"-runs={SELF_TEST_RUNS}", "-seed=1", str(corpus)], file)
    said = log.read_text(errors="replace")
    covered = "inline 8-bit counters" in said
    found = sorted(path.name for path in (folder / "found").glob("*.repro"))
    print(f"coverage counters of the kernel code: {'loaded' if covered else 'MISSING'}")
    print(f"planted fault {SELF_TEST_CANARY}: {', '.join(found) or 'NOT FOUND'}")
    if covered and found:
        return ExitStatus.CLEAN
    print(said[-4000:], file=sys.stderr)
    return ExitStatus.ERROR


def _keep(job: Job, finding: Finding, ops: list[Operation]) -> None:
    """Writes the finding's repro, and shows it."""
    try:
        replay = replay_command(keep_repro(job.setting, finding, ops, Path(job.out)))
    except OSError as error:
        replay = f"(the repro could not be written: {error.strerror})"
    print(plain(render(finding, ops, replay)), file=sys.stderr, flush=True)


# --- the second process ---


class Target:
    """Judges inputs."""

    def __init__(self, job: Job, judge: Judge) -> None:
        self._job, self._judge = job, judge
        self._seen: set[str] = set()
        self._lacks = {op.code for op in OPS if not judge.has.issuperset(op.needs)}

    def one(self, data: bytes) -> None:
        """One input of libFuzzer; what the kernel lacks is taken out of it."""
        data = data[: OP_SIZE * OPS_MAX]
        ops = decode(data)
        if self._lacks:
            ops = [op for op in ops if op[0] not in self._lacks]
            data = encode(ops)
        finding = self._finding(ops, data)
        if finding is None or finding.signature in self._seen:
            return
        self._seen.add(finding.signature)
        _keep(self._job, finding, ops)
        ops = minimize(ops, lambda fewer: self._shows(fewer, finding.signature))
        _keep(self._job, self._finding(ops) or finding, ops)
        if not self._job.keep_going:
            raise RuntimeError(f"finding: {finding.signature}")

    def _finding(self, ops: Sequence[Operation], wire: bytes | None = None) -> Finding | None:
        verdict = self._judge.judge(ops, wire)
        return verdict.finding if verdict.blame is Blame.NEW else None

    def _shows(self, ops: Sequence[Operation], signature: str) -> bool:
        finding = self._finding(ops)
        return finding is not None and finding.signature == signature


def fuzz(job: Job) -> None:
    """Fuzzes until libFuzzer's flags or a finding end it."""
    import atheris

    for name in ("LD_PRELOAD", JOB_VARIABLE):  # not for the symboliser and other programs that are started from here
        del os.environ[name]
    flight = Flight(Path(job.recorder))
    base = Path(job.base) if job.base else None
    judge = open_judge(flight.begin, subject=Path(job.library), base=base, known=job.known)
    if job.canary:
        assert isinstance(judge.subject.machine, Machine)
        judge.subject.machine.plant(job.canary)
    atheris.Setup(sys.argv, Target(job, judge).one)
    atheris.Fuzz()


if __name__ == "__main__":
    if JOB_VARIABLE in os.environ:
        fuzz(msgspec.json.decode(os.environ[JOB_VARIABLE], type=Job))
    else:
        sys.exit(main())
