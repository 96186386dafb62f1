"""What patches change in a tree, as one unified diff, whatever form they came in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Final

from faultline.tree.patch import Overlay

#: Where a function, or what else stands at a file's top level, begins; a label does not.
_TOP: Final = re.compile(r"[A-Za-z_$](?!\w*:)")
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? .*@@$")
_HEADING_MAX: Final = 60


def changes(tree: Path, patches: Sequence[Path]) -> str:
    """A unified diff from the tree to the tree with all patches, each hunk with the function that it is in.

    :raises FaultlineError: a patch does not apply.
    """
    return changes_of(Overlay(tree, patches))


def changes_of(overlay: Overlay) -> str:
    """The same for patches that are applied already."""
    before = Overlay(overlay.tree)
    return "".join(_file(path, before.read(path), overlay.changed[path]) for path in sorted(overlay.changed))


def _file(path: str, before: str | None, after: str | None) -> str:
    old, new = _lines(before), _lines(after)
    names = (f"a/{path}" if before is not None else "/dev/null", f"b/{path}" if after is not None else "/dev/null")
    text = []
    for line in unified_diff(old, new, *names, lineterm=""):
        hunk = _HUNK.match(line)
        first = int(hunk[1]) if hunk else 0
        text.append(f"{line} {_heading(old, first - 1)}".rstrip() if hunk else line)
    return "".join(f"{line}\n" for line in text)


def _lines(content: str | None) -> list[str]:
    """The lines of a file; form feeds and the like, which end no line of a patch, stay in theirs."""
    return [] if not content else content.removesuffix("\n").split("\n")


def _heading(lines: Sequence[str], before: int) -> str:
    """The nearest line at the top level above an index."""
    found = next((line for line in reversed(lines[: max(before, 0)]) if _TOP.match(line)), "")
    return found[:_HEADING_MAX]
