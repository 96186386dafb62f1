"""What a kernel tree has: found by looking into it, so that a tree which nobody tried answers for itself.

Each fact becomes ``FL_HAVE_<NAME>`` in the configuration header of the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from faultline.tree.patch import Overlay


@dataclass(frozen=True, slots=True)
class Fact:
    """Holds if ``pattern``, a multi-line regular expression, is found in one of the files that the tree has; without a
    pattern, if it has one of the files."""

    name: str
    files: tuple[str, ...]
    pattern: str = ""

    @property
    def macro(self) -> str:
        """Its name in C."""
        return "FL_HAVE_" + self.name.upper().replace("-", "_")


FACTS: Final = (
    Fact("maple-tree", ("lib/maple_tree.c",)),
)  # fmt: skip


def facts_of(overlay: Overlay) -> tuple[Fact, ...]:
    """The facts that hold for a tree, with its patches."""
    return tuple(fact for fact in FACTS if _holds(fact, overlay))


def _holds(fact: Fact, overlay: Overlay) -> bool:
    for path in fact.files:
        if overlay.exists(path) and (not fact.pattern or re.search(fact.pattern, overlay.read(path) or "", re.M)):
            return True
    return False
