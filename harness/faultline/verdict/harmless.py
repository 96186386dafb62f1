"""Differences from the base tree that the patch's author means to make.

A line of the patch says so, in its description or in a comment::

    Faultline-harmless: base-difference:*:locks   the check moved below the lock

The pattern is a finding's signature, in which a star stands for anything; the words after it say why.  Only a
``base-difference`` can be harmless: what is against documentation, or the rules of locks and memory, is not for the
author to allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.tree.patch import patch_bytes

_KEY: Final = "Faultline-harmless"
_LINE: Final = re.compile(rf"[\s+#/*]*{_KEY}:\s*(\S*)[ \t]*(.*)")
_PREFIX: Final = FindingKind.BASE_DIFFERENCE.value + ":"


class Harmless(msgspec.Struct, frozen=True):
    """One such line."""

    pattern: str
    why: str
    place: str
    """``FILE:LINE``"""


def read_harmless(patches: Iterable[Path]) -> tuple[Harmless, ...]:
    """What the patches say of themselves.

    :raises FaultlineError: (USAGE) a patch cannot be read, or a line of that form says something else.
    """
    rules = []
    for path in patches:
        text = patch_bytes(path).decode(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = _LINE.match(line)
            if match:
                rules.append(_rule(match[1], match[2].strip(), f"{path}:{number}"))
    return tuple(rules)


def _rule(pattern: str, why: str, place: str) -> Harmless:
    if not pattern.startswith(_PREFIX) or pattern.count(":") != _PREFIX.count(":") + 1:
        raise FaultlineError(
            f"{place}: {_KEY} {pattern[:60]!r}: only differences from the base tree can be harmless; "
            f"write {_PREFIX}OPERATION:ASPECT, with a star for anything",
            ExitStatus.USAGE,
        )
    if not why:
        raise FaultlineError(f"{place}: {_KEY} {pattern}: say why, on the same line", ExitStatus.USAGE)
    return Harmless(pattern, why, place)


def harmless_by(signature: str, rules: Iterable[Harmless]) -> Harmless | None:
    """The rule by which a finding of this signature is harmless, None if there is none."""
    if not signature.startswith(_PREFIX):
        return None
    return next((rule for rule in rules if fnmatchcase(signature, rule.pattern)), None)
