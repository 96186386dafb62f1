"""Which lines patches change, and which of these can have code at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from unidiff.patch import PatchSet

from faultline.tree.changes import changes_of
from faultline.tree.diff import split_lines
from faultline.tree.patch import Overlay

#: What can only be a declaration: a type and names, no value and no call.
_DECLARATION: Final = re.compile(r"(?!(?:return|goto|else|do|case)\b)[A-Za-z_][\w\s*]*[\s*][\w*,\s\[\]]+;")
#: Braces, labels and words that only say where other code belongs.
_NO_STATEMENT: Final = re.compile(r"[{}();\s]*|[{}\s]*else\b[{\s]*|[{}\s]*do\b[{\s]*|\w+:|(?:case\b.*|default\s*):")
_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_DIRECTIVE: Final = re.compile(r"[ \t]*#")
_DEFINE: Final = re.compile(r"[ \t]*#[ \t]*define\b")


@dataclass(frozen=True, slots=True)
class Change:
    """A line that the patches add or remove."""

    file: str
    line: int
    """Counted from 1; of a removed line in the unpatched file."""
    text: str
    """Without its newline."""
    removed: bool
    place: int
    """Number of the change of which it is a part: what stands together was changed together."""
    code: bool
    """It may have code: it is not only a comment, a brace, a label, a declaration or a directive."""
    macro: bool
    """It is part of a macro's definition."""


def changed_lines(overlay: Overlay) -> list[Change]:
    """The lines that the patches of an overlay change, as :func:`faultline.tree.changes.changes` has them: by file, of
    each place the removed ones first."""
    found: list[Change] = []
    before, place = Overlay(overlay.tree), 0
    for file in PatchSet(split_lines(changes_of(overlay))):
        path = file.path
        codes = {True: classify(before.read(path) or ""), False: classify(overlay.read(path) or "")}
        for hunk in file:
            for line in hunk:
                if line.is_context:
                    place += 1
                    continue
                number = (line.source_line_no if line.is_removed else line.target_line_no) or 0
                code, macro = codes[line.is_removed][number - 1]
                text = line.value.rstrip("\r\n")
                found.append(Change(path, number, text, line.is_removed, place, code, macro))
            place += 1
    return found


def classify(text: str) -> list[tuple[bool, bool]]:
    """For each line of a C file whether it may have code, and whether it is part of a macro's definition."""
    bare = _COMMENT.sub(_blanked, text).split("\n")
    result: list[tuple[bool, bool]] = []
    directive = define = False
    for line in bare:
        if not directive:
            directive = bool(_DIRECTIVE.match(line))
            define = bool(_DEFINE.match(line))
        says = line.rstrip("\\").strip()
        plain = not _NO_STATEMENT.fullmatch(says) and not _DECLARATION.fullmatch(says)
        result.append((plain and (define or not directive), define))
        if not line.endswith("\\"):
            directive = define = False
    return result


def _blanked(found: re.Match[str]) -> str:
    """A comment without its words, a literal as it is: lines stay what they are."""
    return found[0] if found[0][0] in "\"'" else re.sub(r"[^\n]", " ", found[0])
