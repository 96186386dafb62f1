"""Compiles units, and keeps what was compiled by the content of everything that it was made of.

A manifest per unit and set of flags remembers, for each object made so far, the files that the compiler read and their
hashes (what ccache calls depend mode).  If the files are still the same, so is the object; nothing is compiled and the
compiler is not even started.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from faultline.build.elf import Symbols, read_symbols
from faultline.build.lacks import CompileError
from faultline.build.toolchain import Toolchain
from faultline.build.units import Role, Roots, Unit
from faultline.kinds import FaultlineError
from faultline.tree import Overlay
from faultline.tree.cache import locked, no_space, store, touch, writing

#: Objects that one manifest remembers, those used last.
_REMEMBERED: Final = 24
_MESSAGE_MAX: Final = 240


@dataclass(frozen=True, slots=True)
class Compiled:
    """An object file in the cache, with what the link needs to know of it."""

    unit: Unit
    key: str
    path: Path
    symbols: Symbols
    fresh: bool
    """Compiled now, not found."""


def digest(*parts: str | bytes) -> str:
    """A key that stands for these parts in this order."""
    contents = [part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part for part in parts]
    whole = b"".join([piece for content in contents for piece in (len(content).to_bytes(8, "little"), content)])
    return hashlib.blake2b(whole, digest_size=20).hexdigest()


@dataclass(slots=True)
class Compiler:
    """Compiles units of one tree with its patches.  Its methods may run in several threads at once."""

    toolchain: Toolchain
    roots: Roots
    overlay: Overlay
    vfs: Path | None
    root: Path
    """The cache."""
    work: Path
    """A scratch folder on the same disk."""
    layouts: Mapping[Role, str]
    """By role, what changes when a header comes or goes that the compiler might find instead of another."""
    _hashes: dict[str, str | None] = field(default_factory=dict)
    _started_ns: int = field(default_factory=time.time_ns)

    def object(self, unit: Unit, flags: Sequence[str]) -> Compiled:
        """The unit's object, compiled if it is not in the cache.

        Raises :class:`FaultlineError` with the compiler's first error.
        """
        base = self._base_key(unit, flags, "object")
        found = self._find(unit, base)
        if found:
            return found
        with locked(self.root, base):  # another build may be at it
            return self._find(unit, base) or self._compile(unit, flags, base)

    def reads(self, unit: Unit, flags: Sequence[str]) -> frozenset[str] | None:
        """The files of the tree that the unit's object was last made of; None: it was not compiled yet."""
        entries = self._manifest(self._base_key(unit, flags, "object"))
        tree = "{tree}/"
        return frozenset(n.removeprefix(tree) for n in entries[0] if n.startswith(tree)) if entries else None

    def text(self, unit: Unit, flags: Sequence[str]) -> str:
        """What the compiler writes to its standard output for the unit, e.g. assembly with ``-S``; cached likewise."""
        base = self._base_key(unit, flags, "text")
        for key in self._matching(base):
            with suppress(OSError):
                return (self.root / "objects" / f"{key}.txt").read_text()
        depends = self.work / f"{base}.d"
        output = self._run(unit, [*flags, "-MD", "-MF", str(depends), "-o", "-"])
        key = self._remember(base, depends)
        with writing(self.root):
            store(self.root / "objects" / f"{key}.txt", output.encode())
        return output

    def _base_key(self, unit: Unit, flags: Sequence[str], kind: str) -> str:
        layout = self.layouts[unit.role]
        return digest(self.toolchain.identity, kind, unit.name, unit.role.value, layout, "\0".join(flags))

    def _find(self, unit: Unit, base: str) -> Compiled | None:
        """The object in the cache, if it is there."""
        for key in self._matching(base):
            path = self.root / "objects" / f"{key}.o"
            with suppress(OSError, ValueError, KeyError):
                symbols = Symbols.from_json(path.with_suffix(".json").read_text())
                if path.is_file():
                    touch(path)
                    touch(path.with_suffix(".json"))
                    return Compiled(unit, key, path, symbols, fresh=False)
        return None

    def _compile(self, unit: Unit, flags: Sequence[str], base: str) -> Compiled:
        part, depends = self.work / f"{base}.o", self.work / f"{base}.d"
        self._run(unit, [*flags, "-c", "-MD", "-MF", str(depends), "-o", str(part)])
        if unit.role is Role.HOST:
            self._weaken(part)
        symbols = read_symbols(part)
        key = self._remember(base, depends)
        path = self.root / "objects" / f"{key}.o"
        with writing(self.root):
            store(path.with_suffix(".json"), symbols.to_json().encode())
            os.replace(part, path)
        return Compiled(unit, key, path, symbols, fresh=True)

    def _run(self, unit: Unit, flags: Sequence[str]) -> str:
        system = ["-isystem", self.toolchain.resources] if unit.role.kernel_side else []
        vfs = ["-ivfsoverlay", str(self.vfs)] if self.vfs else []
        # clang's driver looks for its input on the disk alone, so a file that a patch creates comes in by an include
        there = unit.source.is_file()
        source, text = ([str(unit.source)], "") if there else (["-xc", "-"], f'#include "{unit.source}"\n')
        command = [self.toolchain.clang, *map(self.roots.expand, flags), *system, *vfs, *source]
        done = subprocess.run(
            command, cwd=self.work, input=text, capture_output=True, encoding="utf-8", errors="surrogateescape"
        )
        if done.returncode != 0:
            raise self._error(unit, done.stderr)
        return done.stdout

    def _weaken(self, path: Path) -> None:
        done = subprocess.run([self.toolchain.objcopy, "--weaken", str(path)], capture_output=True, text=True)
        if done.returncode != 0:
            if "No space left on device" in done.stderr:
                raise no_space(self.root)
            raise FaultlineError(f"llvm-objcopy fails on {path.name}: {done.stderr.strip()}")

    def _matching(self, base: str) -> Iterable[str]:
        """Keys of the objects that the manifest has for the files as they are now."""
        for depends in self._manifest(base):
            for name in depends:
                if name not in self._hashes:
                    self._hash(name)
            if depends.items() <= self._hashes.items():
                yield _object_key(base, depends)

    def _manifest(self, base: str) -> list[dict[str, str]]:
        path = self.root / "manifests" / f"{base}.json"
        try:
            entries = _entries(path.read_bytes())
        except (OSError, ValueError):
            return []
        touch(path)
        return entries

    def _remember(self, base: str, depends: Path) -> str:
        """Notes the files that the compiler read; returns the key of what it made of them."""
        entry: dict[str, str] = {}
        for path in parse_depends(depends.read_text(encoding="utf-8", errors="surrogateescape")):
            name = self.roots.collapse(path)
            value = self._hash(name)
            if value is None or self._changed_meanwhile(name):
                raise FaultlineError(f"{self._shown(name)} changed while it was being compiled; build again")
            entry[name] = value
        entries = [entry] + [other for other in self._manifest(base) if other != entry]
        with writing(self.root):
            store(self.root / "manifests" / f"{base}.json", json.dumps(entries[:_REMEMBERED]).encode())
        return _object_key(base, entry)

    def _hash(self, name: str) -> str | None:
        """The hash of a file by its collapsed name, None if there is no such file."""
        if name not in self._hashes:
            patched = name.removeprefix("{tree}/")
            try:
                if patched != name and patched in self.overlay.changed:
                    content = self.overlay.read(patched)
                    self._hashes[name] = None if content is None else digest(content)
                else:
                    self._hashes[name] = digest(Path(self.roots.expand(name)).read_bytes())
            except OSError:
                self._hashes[name] = None
        return self._hashes[name]

    def _changed_meanwhile(self, name: str) -> bool:
        if not name.startswith(("{tree}", "{csrc}")):
            return False
        with suppress(OSError):  # a time in the future says nothing: clocks differ, archives hold such times
            return self._started_ns < Path(self.roots.expand(name)).stat().st_mtime_ns <= time.time_ns()
        return False

    def _shown(self, name: str) -> str:
        return name.replace("{tree}/", "").replace("{csrc}", "csrc")

    def _error(self, unit: Unit, stderr: str) -> FaultlineError:
        if "No space left on device" in stderr:
            return no_space(self.root)
        found = re.findall(r"^(\S[^\n]*?:\d+):\d+: (?:fatal )?error: (.*)$", stderr, re.MULTILINE)
        if not found:
            lines = [line for line in stderr.splitlines() if line.strip()] or ["the compiler died without a message"]
            message = f"does not compile: {lines[0][:_MESSAGE_MAX]}"
            return CompileError(f"{unit.name} {message}", unit.name, ((unit.name, message),))
        errors = tuple((self._shown(self.roots.collapse(place)), _shortened(message)) for place, message in found)
        place, message = errors[0]
        blame = self._blame(unit, place.rpartition(":")[0])
        return CompileError(f"{place}: error: {message}{blame}", unit.name, errors)

    def _blame(self, unit: Unit, path: str) -> str:
        """Which patch touched the place of an error, or what else may be behind it."""
        own = unit.replaces or unit.name
        for file in (path, own):
            if file in self.overlay.touched:
                return f" ({file} is changed by {', '.join(self.overlay.touched[file])})"
        if self.overlay.touched:
            return f" (in {own}; patched: {', '.join(sorted(self.overlay.touched))})"
        return "" if path == own else f" (while compiling {unit.name})"


def _shortened(message: str) -> str:
    return message if len(message) <= _MESSAGE_MAX else message[: _MESSAGE_MAX - 3] + "..."


def _entries(manifest: bytes) -> list[dict[str, str]]:
    """Raises :class:`ValueError` for damaged text."""
    try:
        return msgspec.json.decode(manifest, type=list[dict[str, str]])
    except msgspec.DecodeError:  # perhaps the name of a file that is no UTF-8
        entries: list[dict[str, str]] = json.loads(manifest)
        return entries


def _object_key(base: str, depends: dict[str, str]) -> str:
    return digest(base, *(f"{name} {value}" for name, value in sorted(depends.items())))


def parse_depends(text: str) -> list[str]:
    """The prerequisites of a compiler-made makefile rule, each once."""
    prerequisites = text.replace("\\\n", " ").partition(": ")[2]
    words = re.findall(r"(?:\\.|\$\$|[^\s\\])+", prerequisites)
    return list(dict.fromkeys(re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in words))
