"""The C functions that exported programs are made of, from :file:`parts.c`; a program gets those that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("parts.c")
_HEAD: Final = re.compile(r"^/\*\*\* ([\w.-]+)(?::((?: [\w.-]+)*)(?: \|((?: [\w./]+)+))?)? \*\*\*/\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """Some C at file level, the parts that it uses and the headers that it needs."""

    name: str
    uses: tuple[str, ...]
    headers: tuple[str, ...]
    text: str


@cache
def parts() -> dict[str, Part]:
    """All parts by name, in the order in which they stand in a file."""
    pieces = _HEAD.split(_FILE.read_text(encoding="utf-8"))[1:]
    found = {}
    for name, uses, headers, text in zip(*(pieces[i::4] for i in range(4)), strict=True):
        found[name] = Part(name, tuple((uses or "").split()), tuple((headers or "").split()), text.strip() + "\n")
    unknown = {use for part in found.values() for use in part.uses} - found.keys()
    assert not unknown, f"{_FILE.name}: {unknown}"
    return found


def wanted(names: Iterable[str], swapped: Mapping[str, str]) -> list[Part]:
    """The parts with these names and all that they use, in order; for some others stand in."""
    known = parts()
    open_, closed = list(names), set()
    while open_:
        name = open_.pop()
        name = swapped.get(name, name)
        if name not in closed:
            closed.add(name)
            open_ += known[name].uses
    return [part for name, part in known.items() if name in closed]
