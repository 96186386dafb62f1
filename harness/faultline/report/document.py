"""The document of a run: all that its reports are made of, as it lies in ``result.json``.

Its JSON Schema, docs/schema.json, is derived from the types here (``python -m faultline.report.document`` writes it).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation
from faultline.program.text import parse_program
from faultline.tree.cache import store
from faultline.verdict.cost import Cost
from faultline.verdict.finding import Finding
from faultline.verdict.reach import Reach
from faultline.verdict.series import Fix, SeriesVerdict

#: The format that this module writes; it reads those before it too.
FORMAT: Final = 1
#: The document's name in the folder of a run.
FILE_NAME: Final = "result.json"
#: What is larger than this is no document of ours.
BYTES_MAX: Final = 256 << 20
SCHEMA_PATH: Final = Path(__file__).resolve().parents[3] / "docs/schema.json"

Count = Annotated[int, Meta(ge=0)]
Verdict = Literal["clean", "findings", "interrupted", "not-tested", "unfinished"]
"""``not-tested``: nothing was found, and no changed line ran; ``unfinished``: nothing was found so far, and the run
goes on or was killed."""


Mode = Literal["run", "check", "live"]
"""The command."""


class Pages(msgspec.Struct, frozen=True):
    """Neighbouring page slots of a process in the same state."""

    process: Count
    slot: Count
    count: Annotated[int, Meta(ge=1)]
    word: Count
    """As in a snapshot: bits of ``faultline.program.trace.Bit``."""
    state: str
    """The same in words."""

    @property
    def name(self) -> str:
        """``p0 a1``, ``p0 a1–a3``"""
        return slots_name(self.process, self.slot, self.count)


def slots_name(process: int, slot: int, count: int) -> str:
    """Neighbouring slots of a process: ``p0 a1``, ``p0 a1–a3``."""
    return f"p{process} a{slot}" + (f"–a{slot + count - 1}" if count > 1 else "")


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of a finding's program as it ran."""

    text: str
    actor: str
    """``p1.0``: task 0 of process 1; ``m``: the monitor."""
    overlaps: bool = False
    outcome: str = ""
    """In words; empty: the run did not come to its end."""
    expected: str = ""
    """The outcome that was expected, where it is another one."""
    blocks: bool = False
    """Its task sleeps in it."""
    ends: tuple[Count, ...] = ()
    """The earlier operations that end with it, which their tasks slept in; the first of the program is 0."""
    after: tuple[Pages, ...] | None = None
    """What each process has mapped after it; null: not known, as within a block of operations that overlap."""
    expected_after: tuple[Pages, ...] | None = None
    """What was expected instead; null: the same, or not known, as where a checker ended the run."""


class Found(Finding, frozen=True, kw_only=True):
    """A finding of a run, with its program."""

    signature: str
    """``kind:operation:aspect``"""
    repro: str | None
    """The file; null: it could not be written."""
    program: str
    index: Count
    """The program's number in the run."""
    minimised: bool
    """Whether the program was made as small as it gets."""
    steps: tuple[Ran, ...] = ()
    """The program as it ran; empty: its run leaves nothing to show."""

    @property
    def ops(self) -> list[Operation]:
        """The program's operations."""
        return parse_program(self.program, FILE_NAME)


class ReachSums(Reach, frozen=True, kw_only=True):
    """How far a run got into its patches, with the figures that follow from the lines."""

    reached: Count
    total: Count
    branches_taken: Count
    branches: Count


def with_sums(reach: Reach) -> ReachSums:
    """The same with its figures."""
    sums = {name: getattr(reach, name) for name in ("reached", "total", "branches_taken", "branches")}
    return ReachSums(lines=reach.lines, functions=reach.functions, **sums)


class Point(msgspec.Struct, frozen=True):
    """How far a run was at a moment."""

    seconds: float
    programs: Count
    findings: Count
    reached: int | None = None
    """Of the changed lines and their branches, how many ran so far; null: that was not watched."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made with."""

    faultline: str
    python: str
    system: str
    """The operating system that it ran on."""
    machine: str
    cores: Count
    compiler: str = ""
    tree: str = ""
    """The tree's state: a package's version, a commit, or a kernel's version."""
    version: str = ""
    """The kernel's version."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign: what ``faultline run``, ``faultline check`` or ``faultline live --programs`` came to."""

    format: Annotated[int, Meta(ge=1)] = FORMAT
    verdict: Verdict
    mode: Mode
    command: str
    """The command line that runs the same again, with its seed."""
    started: str
    """ISO 8601, UTC."""
    kernel: str
    patches: tuple[str, ...]
    profile: str
    variant: str
    seed: Count
    programs: Count
    seconds: float
    interrupted: bool
    ended: bool
    """Whether the run came to an end; else this is how far it was when this was written, or when it was killed."""
    worker_deaths: Count
    findings: tuple[Found, ...]
    base: dict[str, Count]
    """Programs by signature: what the base tree shows too."""
    fixed: dict[str, Count]
    """Programs by signature: what only the base tree shows."""
    known: dict[str, Count]
    """Programs by signature: what corpora/known lists."""
    harmless: dict[str, Count] = {}
    """Programs by signature: differences from the base tree that the patches say are meant."""
    deviations: dict[str, Count]
    undecided: dict[str, Count]
    lacks: dict[str, str]
    explained: dict[str, Count]
    environment: Environment
    diff: str = ""
    """What the patches change in the tree's files: a unified diff."""
    fixes: tuple[Fix, ...] = ()
    """Of a check: those of ``fixed`` with a program that shows each on the base tree."""
    series: SeriesVerdict | None = None
    """Of a check of several patches: the verdict patch by patch."""
    reach: ReachSums | None = None
    """Of a check: which changed lines ran."""
    cost: Cost | None = None
    """Of a check: what operations take more or less of than on the base tree."""
    timeline: tuple[Point, ...] = ()


class _Head(msgspec.Struct):
    format: int


def to_json(document: Document) -> bytes:
    """The document as JSON text."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def write(document: Document, path: Path) -> None:
    """Writes the document, whole or not at all.  Raises :class:`OSError`."""
    store(path, to_json(document))


def read(run: Path) -> Document:
    """The document of a run: ``run`` is its folder, or the file itself.

    :raises FaultlineError: (USAGE) there is none, it is damaged, or of a newer format.
    """
    path = run / FILE_NAME if run.is_dir() else run
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        what = f"{run}: no run: no {FILE_NAME} there" if run.is_dir() else f"{path}: {error.strerror}"
        hint = f"; name the folder that --out named, or its {FILE_NAME}"
        raise FaultlineError(what + hint, ExitStatus.USAGE) from None
    if len(data) > BYTES_MAX:
        raise FaultlineError(f"{path}: larger than {BYTES_MAX} bytes; this is no run's document", ExitStatus.USAGE)
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format > FORMAT:
            text = f"{path}: format {head.format}; this faultline reads {FORMAT} at most: take a newer one"
            raise FaultlineError(text, ExitStatus.USAGE)
        document = msgspec.json.decode(data, type=Document)
        for found in document.findings:
            _ = found.ops
    except (msgspec.DecodeError, UnicodeDecodeError, FaultlineError) as error:
        if isinstance(error, FaultlineError) and str(error).startswith(str(path)):
            raise
        text = f"{path}: damaged, or no run's document: {error}; run again to get another"
        raise FaultlineError(text, ExitStatus.USAGE) from None
    return document


def schema() -> Mapping[str, Any]:
    """The JSON Schema of the document."""
    (about,), parts = msgspec.json.schema_components([Document], ref_template="#/$defs/{name}")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The document of a Faultline run, result.json",
    }
    return {**head, **about, "$defs": parts}


def schema_text() -> str:
    """The text of docs/schema.json."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
