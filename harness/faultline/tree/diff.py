"""Applies unified diffs: plain ones, git's, and mails that hold one.

Placement is that of patch(1): a hunk may have moved, and up to :data:`FUZZ` lines of context at its ends may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from unidiff.constants import LINE_TYPE_ADDED, LINE_TYPE_CONTEXT, LINE_TYPE_NO_NEWLINE, LINE_TYPE_REMOVED
from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile, PatchSet

from faultline.kinds import FaultlineError

#: Lines of context at either end of a hunk that may differ; patch(1)'s default.
FUZZ: Final = 2

_NOWHERE: Final = "/dev/null"
_SHOWN_MAX: Final = 60


@dataclass(slots=True)
class _Part:
    """One hunk as lines: what it expects, what it makes of that, and its context at either end."""

    old: list[str]
    new: list[str]
    head: int
    tail: int


class Misfit(FaultlineError):
    """A patch for another tree.  ``fits`` of its ``hunks`` do fit; ``details`` tell of each file that differs."""

    def __init__(self, message: str, fits: int = 0, hunks: int = 1, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(message, details=details)
        self.fits = fits
        self.hunks = hunks


class _FileMisfit(Exception):
    """One file that differs from what the patch expects: the first complaint, and the hunks that do not fit."""

    def __init__(self, message: str, path: str, hunks: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.hunks = hunks


def apply_diff(
    text: str, read: Callable[[str], str | None], name: str, skip: Callable[[str], bool] = lambda _: False
) -> dict[str, str | None]:
    """What the diff ``text`` makes of the files it names: path in the tree -> new content, None for a deleted file.

    ``read`` gives a file's present content, or None if there is no such file; ``name`` is the patch's for messages;
    a file that ``skip`` says yes to is left out.  Raises :class:`Misfit`: which hunks do not fit which files and where;
    :class:`FaultlineError`: no diff, or a damaged one.
    """
    try:
        patched = PatchSet(split_lines(text))
    except UnidiffParseError as error:
        raise FaultlineError(f"{name}: damaged diff: {str(error).strip()}") from error
    if not patched:
        raise FaultlineError(f"{name}: no unified diff in it")
    result: dict[str, str | None] = {}

    def current(path: str) -> str | None:
        return result[path] if path in result else read(path)

    misfits: list[tuple[PatchedFile, _FileMisfit]] = []
    for file in patched:
        try:
            _apply_file(file, current, result, skip)
        except _FileMisfit as misfit:
            misfits.append((file, misfit))
        except FaultlineError as error:
            raise FaultlineError(f"{name}: {error}") from None
    if misfits:
        raise _misfits(patched, misfits, name)
    return result


def _misfits(patched: PatchSet, misfits: Sequence[tuple[PatchedFile, _FileMisfit]], name: str) -> Misfit:
    hunks = sum(max(len(file), 1) for file in patched)
    bad = [len(misfit.hunks) or max(len(file), 1) for file, misfit in misfits]
    details = [_what_differs(file, misfit) for file, misfit in misfits] if sum(bad) > 1 else []
    return Misfit(f"{name}: {misfits[0][1]}", hunks - sum(bad), hunks, details=tuple(details))


def _what_differs(file: PatchedFile, misfit: _FileMisfit) -> str:
    if not misfit.hunks:
        return f"  {misfit}"
    numbers = ", ".join(map(str, misfit.hunks))
    do = "hunk does not fit" if len(misfit.hunks) == 1 else "hunks do not fit"
    return f"  {misfit.path}: {len(misfit.hunks)} of {len(file)} {do} ({numbers})"


def _apply_file(
    file: PatchedFile,
    current: Callable[[str], str | None],
    result: dict[str, str | None],
    skip: Callable[[str], bool],
) -> None:
    source = _source(file, current)
    target = _target(file, source)
    if skip(source or target):
        return
    if file.is_binary_file:
        raise FaultlineError(f"{file.path} is a binary diff, which cannot be applied")
    before = current(source) if source else ""
    if before is None:
        raise _FileMisfit(f"there is no file {source} in the tree", source)
    if target and target != source and current(target) is not None:
        raise _FileMisfit(f"{target} is to be created, but it is in the tree already", target)
    after = _apply_hunks(split_lines(before), file, source or target)
    if not target and after:
        raise _FileMisfit(f"{source} is to be deleted, but holds more than the diff removes", source)
    if source and source != target and not any(line.startswith("copy from ") for line in file.patch_info or ()):
        result[source] = None
    if target:
        result[target] = "".join(after)


def _source(file: PatchedFile, current: Callable[[str], str | None]) -> str:
    """The file that a diff starts from, empty if it creates one: its first folder is stripped if that names a file."""
    if file.source_file == _NOWHERE:
        return ""
    plain = _checked(file.source_file)
    stripped = plain.partition("/")[2]
    return plain if not stripped or (current(stripped) is None and current(plain) is not None) else stripped


def _target(file: PatchedFile, source: str) -> str:
    """The file that a diff leaves, empty if it deletes one."""
    if file.target_file == _NOWHERE:
        return ""
    if source and _checked(file.source_file).partition("/")[2] == _checked(file.target_file).partition("/")[2]:
        return source
    plain = _checked(file.target_file)
    whole = source == file.source_file if source else not plain.startswith("b/")
    return plain if whole else plain.partition("/")[2]


def _checked(header: str) -> str:
    path = PurePosixPath(header)
    if path.is_absolute() or ".." in path.parts:
        raise FaultlineError(f"{header}: a patch may only name files inside the tree")
    return str(path)


def _apply_hunks(lines: list[str], hunks: Sequence[Hunk], path: str) -> list[str]:
    after: list[str] = []
    bad: dict[int, str] = {}
    done = shift = 0
    for number, hunk in enumerate(hunks, 1):
        part = _part(hunk)
        expected = max(hunk.source_start - 1, 0) + shift if part.old else hunk.source_start + shift
        place = _place(lines, part, expected, done)
        if place is None:
            bad[number] = _misfit(lines, part, expected, f"hunk {number} (line {hunk.source_start})", path)
            continue
        at, head, tail = place
        shift += at - head - expected
        after += lines[done:at]
        after += part.new[head : len(part.new) - tail]
        done = at + len(part.old) - head - tail
    if bad:
        raise _FileMisfit(next(iter(bad.values())), path, tuple(bad))
    return after + lines[done:]


def _part(hunk: Hunk) -> _Part:
    lines: list[tuple[str, str]] = []
    for line in hunk:
        if line.line_type == LINE_TYPE_NO_NEWLINE and lines:
            lines[-1] = (lines[-1][0], lines[-1][1].removesuffix("\n"))
        elif line.line_type in (LINE_TYPE_CONTEXT, LINE_TYPE_ADDED, LINE_TYPE_REMOVED):
            lines.append((line.line_type, line.value))
    context = [kind == LINE_TYPE_CONTEXT for kind, _ in lines]
    return _Part(
        old=[text for kind, text in lines if kind != LINE_TYPE_ADDED],
        new=[text for kind, text in lines if kind != LINE_TYPE_REMOVED],
        head=context.index(False) if False in context else 0,
        tail=context[::-1].index(False) if False in context else 0,
    )


def _place(lines: list[str], part: _Part, expected: int, first: int) -> tuple[int, int, int] | None:
    """Where the hunk fits: (line of what is left of it, context dropped at its head, at its tail)."""
    for fuzz in range(FUZZ + 1):
        head, tail = min(fuzz, part.head), min(fuzz, part.tail)
        if fuzz and (head, tail) == (min(fuzz - 1, part.head), min(fuzz - 1, part.tail)):
            break
        wanted = part.old[head : len(part.old) - tail]
        for at in _outwards(expected + head, first, len(lines) - len(wanted)):
            if lines[at : at + len(wanted)] == wanted:
                return at, head, tail
    return None


def _outwards(start: int, lowest: int, highest: int) -> Iterator[int]:
    """The numbers from ``lowest`` to ``highest``, nearest to ``start`` first."""
    for distance in range(max(start - lowest, highest - start, 0) + 1):
        for at in {start - distance, start + distance}:
            if lowest <= at <= highest:
                yield at


def _misfit(lines: list[str], part: _Part, expected: int, what: str, path: str) -> str:
    if part.new != part.old and _place(lines, _Part(part.new, part.new, head=0, tail=0), expected, 0):
        return f"{what} does not fit {path}: it seems to be applied already"
    best = max(
        _outwards(expected, 0, max(len(lines) - 1, 0)),
        key=lambda at: sum(a == b for a, b in zip(lines[at:], part.old, strict=False)),
        default=0,
    )
    for index, wanted in enumerate(part.old):
        found = lines[best + index] if best + index < len(lines) else None
        if found != wanted:
            there = "the file ends" if found is None else f"stands {_shown(found)}"
            return f"{what} does not fit {path}: at line {best + index + 1} {there}, the patch expects {_shown(wanted)}"
    return f"{what} does not fit {path}: its lines stand before those of an earlier hunk"


def _shown(line: str) -> str:
    text = " ".join(line.split())
    return repr(text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "...")


def split_lines(text: str) -> list[str]:
    """The lines of a text with their ends; a form feed, as kernel files have, ends no line."""
    return [part for part in text.replace("\n", "\n\0").split("\0") if part]
