"""What the controller and the workers of a pytest campaign share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from faultline.campaign.flight import Flight
from faultline.program.codec import Operation
from faultline.report.repro import Patch, Setting, keep_repro, replay_command
from faultline.report.text import plain, render
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Judge


class Shared(msgspec.Struct):
    """What the controller has settled for all workers: built libraries, seed and limits."""

    kernel: str
    profile: str
    patches: tuple[Path, ...]
    library: Path
    base: Path | None
    known: frozenset[str]
    seed: int
    seconds: float
    out: Path
    workers: int


@dataclass(frozen=True)
class Campaign:
    """One worker's part."""

    shared: Shared
    judge: Judge
    seed: int
    flight: Flight

    def write(self, finding: Finding, ops: list[Operation]) -> str:
        """Writes the finding's repro and returns the report."""
        return write(self.shared, finding, ops)


def write(shared: Shared, finding: Finding, ops: list[Operation]) -> str:
    """Writes a finding's repro and returns the report that names it."""
    setting = Setting(shared.kernel, shared.profile, tuple(Patch.of(path) for path in shared.patches), shared.seed)
    try:
        file = keep_repro(setting, finding, ops, shared.out)
    except OSError as error:
        return plain(render(finding, ops, f"(the repro could not be written: {error.strerror})"))
    return plain(render(finding, ops, replay_command(file)))
