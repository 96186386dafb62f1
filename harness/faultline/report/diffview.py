"""A diff, line by line, with what is known of each changed line's reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from unidiff.constants import LINE_TYPE_ADDED, LINE_TYPE_REMOVED
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree.diff import split_lines
from faultline.verdict.reach import NO_CODE, NOT_REACHED, REACHED, ChangedLine, Reach

#: It ran, but not every way that its conditions can go.
PARTLY: Final = "partly"
#: What stands beside a line, by its reach.
MARKS: Final = {REACHED: "✓", PARTLY: "~", NOT_REACHED: "✗", NO_CODE: "·"}
MEANINGS: Final = {REACHED: "ran", PARTLY: "ran, but not every way", NOT_REACHED: "never ran", NO_CODE: "no code"}


@dataclass(frozen=True)
class DiffLine:
    """A line of a diff: ``kind`` is ``hunk``, ``same``, ``removed`` or ``added``; ``number`` counts from 1, 0: none."""

    kind: str
    sign: str
    text: str
    number: int = 0
    reach: str = ""
    """``reached``, ``partly``, ``not-reached`` or ``no-code``; empty: not known, or not a changed line."""
    never: tuple[str, ...] = ()
    """Ways that its conditions never went."""

    @property
    def mark(self) -> str:
        """One character that tells its reach."""
        return MARKS.get(self.reach, "")

    @property
    def meaning(self) -> str:
        """Its reach in words."""
        return MEANINGS.get(self.reach, "")


@dataclass
class DiffFile:
    """What changes in a file."""

    path: str
    lines: list[DiffLine] = field(default_factory=list)
    left: int = 0
    """Lines that are not there, as the whole would be too long."""


def diff_files(diff: str, reach: Reach | None, lines_max: int) -> list[DiffFile]:
    """The files of a unified diff, with ``lines_max`` lines at most in all.

    :raises FaultlineError: (USAGE) it is none.
    """
    states = {(line.file, line.line, line.removed): line for line in reach.lines} if reach else {}
    files = []
    room = lines_max
    try:
        whole = PatchSet(split_lines(diff))
    except UnidiffParseError as error:
        text = f"the document's diff is damaged: {' '.join(str(error).split())}; run again to get another"
        raise FaultlineError(text, ExitStatus.USAGE) from None
    for patched in whole:
        lines = list(_lines(patched, states))
        files.append(DiffFile(patched.path, lines[:room], max(len(lines) - room, 0)))
        room = max(room - len(lines), 0)
    return files


def _lines(patched: PatchedFile, states: dict[tuple[str, int, bool], ChangedLine]) -> Iterator[DiffLine]:
    for hunk in patched:
        ranges = f"@@ -{hunk.source_start},{hunk.source_length} +{hunk.target_start},{hunk.target_length} @@"
        yield DiffLine("hunk", "", f"{ranges} {hunk.section_header}".rstrip())
        for line in hunk:
            text = line.value.removesuffix("\n")
            added, removed = line.line_type == LINE_TYPE_ADDED, line.line_type == LINE_TYPE_REMOVED
            number = (line.source_line_no if removed else line.target_line_no) or 0
            state = states.get((patched.path, number, removed)) if added or removed else None
            kind = "added" if added else "removed" if removed else "same"
            yield DiffLine(kind, line.line_type, text, number, *_reach(state))


def _reach(line: ChangedLine | None) -> tuple[str, tuple[str, ...]]:
    """The reach of a line, and what of its branches was never taken."""
    if line is None:
        return "", ()
    never = tuple(branch.what for branch in line.branches if not branch.taken) if line.state == REACHED else ()
    return (PARTLY if never else line.state), never
