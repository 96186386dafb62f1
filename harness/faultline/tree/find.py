"""Finds a kernel tree by its specification and says what it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError
from faultline.tree.debian import PACKAGE_NOTE, fetch

#: Versions that the machine's headers and services were checked with; others are tried, with a warning.
SUPPORTED: Final = ((5, 10), (6, 1), (6, 12), (7, 2))
#: The tree that is used if none is named.
DEFAULT_TREE: Final = "debian:6.12"

_DEBIAN: Final = "debian:"


@dataclass(frozen=True, slots=True)
class TreeInfo:
    """A kernel source tree.  It is read, never written.

    ``id`` names the tree's state for people: the Debian package version, the commit, or the version alone for a plain
    folder.  It is no cache key: the build goes by the content of every file that it reads.
    """

    path: Path
    spec: str
    id: str
    version: str
    """As the Makefile says, e.g. ``6.12.117``."""
    major: int
    minor: int
    sublevel: int = 0
    """The stable release, 117 of 6.12.117."""

    @property
    def kver(self) -> int:
        """Version and patch level as one number, e.g. 612."""
        return self.major * 100 + self.minor

    @property
    def untried(self) -> str:
        """One line that warns of a version that was not tried to the end, empty for those in :data:`SUPPORTED`."""
        if (self.major, self.minor) in SUPPORTED:
            return ""
        known = ", ".join(f"{a}.{b}" for a, b in SUPPORTED)
        return f"Linux {self.major}.{self.minor} is not supported, only {known}: findings may be faults of the machine"


def find_tree(spec: str, say: Callable[[str], None] = lambda _: None) -> TreeInfo:
    """Finds the tree that ``spec`` names: a path (a git work tree or not), or ``debian:6.12``.

    A Debian tree is downloaded and unpacked if it is not in the cache yet; ``say`` is told what takes time.
    Raises :class:`FaultlineError`: no such tree, no kernel tree.
    """
    if spec.startswith(_DEBIAN):
        release = spec.removeprefix(_DEBIAN)
        if not re.fullmatch(r"\d+\.\d+", release):
            raise FaultlineError(f"{spec}: the version must look like 6.12")
        path = fetch(release, say)
    else:
        path = Path(spec).expanduser().absolute()
        if not path.exists():
            raise FaultlineError(f"{spec}: no such kernel tree; give a path to one, or {DEFAULT_TREE}")
    return _identify(path.resolve(), spec)


def _identify(path: Path, spec: str) -> TreeInfo:
    try:
        makefile = (path / "Makefile").read_text(encoding="utf-8", errors="replace")
    except OSError:
        makefile = ""
    numbers = {name: _variable(makefile, name) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")}
    major, minor, sub = (int(value) if value.isdigit() else None for value in numbers.values())
    if major is None or minor is None or not (path / "mm/memory.c").is_file():
        raise FaultlineError(f"{spec}: not a kernel tree (no Makefile with VERSION, or no mm/memory.c)")
    version = f"{major}.{minor}.{sub or 0}{_variable(makefile, 'EXTRAVERSION')}"
    return TreeInfo(path, spec, _state(path) or version, version, major, minor, sub or 0)


def _variable(makefile: str, name: str) -> str:
    found = re.search(rf"^{name} *=[ \t]*(\S*)", makefile, re.MULTILINE)
    return found[1] if found else ""


def _state(path: Path) -> str | None:
    note = path / PACKAGE_NOTE
    if note.is_file():
        return note.read_text().strip()
    if not (path / ".git").exists():
        return None
    try:
        head = subprocess.run(
            ["git", "-C", str(path), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return f"git:{head.stdout.strip()}" if head.returncode == 0 else None
