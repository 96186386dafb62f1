"""Options of the campaign that `pytest -n auto fuzz/` is, and what every worker of it needs."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shared import Campaign, Shared, write

from faultline.campaign.flight import Flight
from faultline.campaign.subject import DEFAULT_PROFILE, Subject, prepare
from faultline.campaign.worker import Crash, crash_finding
from faultline.kinds import FaultlineError
from faultline.program.codec import decode
from faultline.tree import DEFAULT_TREE
from faultline.verdict.judge import open_judge


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faultline", "a campaign of faultline")

    def option(name: str, variable: str, default: str, text: str) -> None:
        group.addoption(f"--{name}", default=os.environ.get(variable, default), help=f"{text} (or {variable})")

    option("faultline-time", "FAULTLINE_TIME", "60", "seconds that every worker works")
    option("faultline-seed", "FAULTLINE_SEED", "", "seed; random unless given")
    option("faultline-tree", "FAULTLINE_TREE", DEFAULT_TREE, "kernel tree: a path, or debian:VERSION")
    option("faultline-profile", "FAULTLINE_PROFILE", DEFAULT_PROFILE, "kernel configuration")
    option("faultline-patch", "FAULTLINE_PATCH", "", f"patches, joined by {os.pathsep!r}; judged against base")
    option("faultline-out", "FAULTLINE_OUT", "findings", "where repros are written")


def pytest_configure(config: pytest.Config) -> None:
    """The controller builds once; workers are told what came of it."""
    text = getattr(config, "workerinput", {}).get("faultline")
    shared = msgspec.json.decode(text, type=Shared, dec_hook=_path) if text else _settle(config)
    config.stash[SHARED] = shared


SHARED = pytest.StashKey[Shared]()


def _path(kind: type, value: str) -> Any:
    return kind(value)


def _settle(config: pytest.Config) -> Shared:
    kernel: str = config.getoption("--faultline-tree")
    profile: str = config.getoption("--faultline-profile")
    patches = tuple(Path(part) for part in config.getoption("--faultline-patch").split(os.pathsep) if part)
    jobs = len(os.sched_getaffinity(0))
    try:
        subject = prepare(kernel, patches, profile, check=bool(patches), jobs=jobs, say=lambda _: None)
        seed, seconds = config.getoption("--faultline-seed"), config.getoption("--faultline-time")
        return _shared(config, subject, kernel, patches, int(seed or secrets.randbits(32)), float(seconds))
    except FaultlineError as error:
        raise pytest.UsageError(f"faultline: {error}") from None
    except ValueError as error:
        raise pytest.UsageError(f"faultline: time and seed are numbers: {error}") from None


def _shared(
    config: pytest.Config, subject: Subject, kernel: str, patches: tuple[Path, ...], seed: int, seconds: float
) -> Shared:
    return Shared(
        kernel=kernel,
        profile=subject.library.profile,
        patches=patches,
        library=subject.library.path,
        base=subject.base.path if subject.base else None,
        known=subject.known,
        seed=seed,
        seconds=seconds,
        out=Path(config.getoption("--faultline-out")).absolute(),
        workers=int(getattr(config.option, "numprocesses", None) or 1),
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: a worker is about to start."""
    node.workerinput["faultline"] = msgspec.json.encode(node.config.stash[SHARED], enc_hook=str).decode()


def pytest_report_header(config: pytest.Config) -> str:
    shared = config.stash[SHARED]
    subject = " + ".join([f"{shared.kernel} ({shared.profile})", *(patch.name for patch in shared.patches)])
    return f"faultline: {subject}, seed {shared.seed}, {shared.seconds:.0f} s, repros in {shared.out}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per worker."""
    if "worker" in metafunc.fixturenames:
        metafunc.parametrize("worker", range(metafunc.config.stash[SHARED].workers))


@pytest.fixture
def campaign(request: pytest.FixtureRequest, worker: int) -> Iterator[Campaign]:
    """The worker's part of the campaign, its judge open."""
    shared = request.config.stash[SHARED]
    flight = Flight(_recorder(shared, worker))
    judge = open_judge(flight.begin, subject=shared.library, base=shared.base, known=shared.known)
    yield Campaign(shared, judge, shared.seed * 1000 + worker, flight)
    flight.close()
    _recorder(shared, worker).unlink()


def _recorder(shared: Shared, worker: int) -> Path:
    shared.out.mkdir(parents=True, exist_ok=True)
    return shared.out / f".running-{shared.seed}-{worker}"


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """xdist: a worker died.  The program that it ran last becomes a finding."""
    shared: Shared = sched.config.stash[SHARED]
    path = _recorder(shared, int(crashitem.rpartition("[")[2].rstrip("]")))
    if not path.exists():
        return
    flight = Flight(path)
    wire = flight.wire
    flight.close()
    path.unlink()
    if wire:
        finding = crash_finding(Crash(0, wire, signal.SIGSEGV)).with_note("Which signal it was, xdist does not tell.")
        report.longrepr = write(shared, finding, decode(wire))
