"""Where a library counts what it runs: the compiler's coverage mapping of the units that were built for it.

The compiler puts a counter where the source can go another way, and says for each part of the source text which sum of
counters tells how often it ran (https://llvm.org/docs/CoverageMappingFormat.html).  So lines and branches are those of
the source, whatever the optimiser makes of it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from elftools.elf.elffile import ELFFile

from faultline.kinds import FaultlineError

_COUNTERS: Final = "__llvm_prf_cnts"
_DATA: Final = "__llvm_prf_data"
_NAMES: Final = "__llvm_prf_names"
_FUNCTIONS: Final = "__llvm_covfun"
_FILES: Final = "__llvm_covmap"

_FUNCTION_HEAD: Final = struct.Struct("<QIQQ")
_FILES_HEAD: Final = struct.Struct("<IIII")
#: Files are relative to the first one, the compiler's folder, from this version of the format on (clang 13).
_VERSION_OLDEST: Final = 5
#: An entry of the counters' table in clang 18 and later, and before: name, hash, where its counters are from here.
_ENTRIES: Final = (struct.Struct("<QQq24xI12x"), struct.Struct("<QQq16xI4x"))
_GAP: Final = 1 << 31

Form = Mapping[int, int]
"""A sum of counters: offset of each in the library -> how often it is taken."""


class Kind(IntEnum):
    """What a region says; numbers are the format's."""

    CODE = 0
    EXPANSION = 1
    SKIPPED = 2
    GAP = 3
    BRANCH = 4


class Use(NamedTuple):
    """Where a macro is used: its name goes from ``start`` to ``end``, as a region does."""

    file: str
    start: tuple[int, int]
    end: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the source text, from its first character to the one behind its last."""

    kind: Kind
    file: str
    """Path in the tree; of our own sources from ``csrc/`` on."""
    start: tuple[int, int]
    """Line and column, from 1."""
    end: tuple[int, int]
    count: Form
    """How often it ran; of a branch, how often the condition was true."""
    other: Form
    """Of a branch: how often it was false."""
    in_macro: tuple[Use, ...] = ()
    """Of the text of a macro: where that is used, innermost first."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the source, with a counter in the library."""

    name: str
    regions: tuple[Region, ...]
    counters: tuple[int, ...]
    """Offsets of its counters in the library, the first one that of calls; empty: the linker dropped the function, as
    nothing calls it."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a library counts."""

    functions: tuple[Function, ...]
    start: int
    """Offset of the first counter in the library; each has 8 bytes."""
    size: int
    """Bytes of all counters."""


def read_coverage(library: Path, wanted: Collection[str] | None = None) -> Coverage:
    """Reads the mapping of a linked library; empty if none of its units was built to count.

    :param wanted: only functions some text of which is in one of these files, and of them the regions there and the
        branches in macros that are used there; None: all.
    :raises FaultlineError: a compiler wrote it in a form that is not known.
    """
    with library.open("rb") as file:
        elf: Any = ELFFile(file)
        sections = {name: elf.get_section_by_name(name) for name in (_COUNTERS, _DATA, _NAMES, _FUNCTIONS, _FILES)}
        if any(section is None for section in sections.values()):
            return Coverage((), 0, 0)
        data = {name: section.data() for name, section in sections.items()}
        at = {name: int(section["sh_addr"]) for name, section in sections.items()}
    counters = _counters(data[_DATA], at[_DATA], range(at[_COUNTERS], at[_COUNTERS] + len(data[_COUNTERS])))
    names = {_hash(name): name.decode() for name in _names(data[_NAMES])}
    files = {_hash(blob): _file_names(blob, library) for blob in _file_blobs(data[_FILES], library)}
    functions: list[Function] = []
    for name, key, blob, mapping in _records(data[_FUNCTIONS]):
        places = counters.get((name, key), [])
        reader = _Reader(mapping, files[blob])
        if name in names and (wanted is None or not reader.files.isdisjoint(wanted)):
            functions += reader.functions(names[name], places, wanted)
    return Coverage(tuple(functions), at[_COUNTERS], len(data[_COUNTERS]))


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.md5(name, usedforsecurity=False).digest()[:8], "little")


def _counters(data: bytes, at: int, room: range) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """Offsets of the counters of each function, by the hashes of its name and its shape; several units may have one
    of the same name and shape."""
    for entry in _ENTRIES:
        if len(data) % entry.size:
            continue
        found: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)
        total = 0
        for index, (name, key, where, number) in enumerate(entry.iter_unpack(data)):
            first = at + index * entry.size + where
            found[name, key].append(tuple(range(first, first + 8 * number, 8)))
            total += number
        if 8 * total == len(room) and all(c in room for places in found.values() for one in places for c in one):
            return found
    raise FaultlineError("the compiler's table of counters has a form that is not known; use clang 16 to 20")


def _names(data: bytes) -> Iterator[bytes]:
    reader = _Bytes(data)
    while reader.more:
        size, packed = reader.number(), reader.number()
        if not size:
            continue  # padding
        text = zlib.decompress(reader.take(packed)) if packed else reader.take(size)
        yield from text.split(b"\1")


def _file_blobs(data: bytes, library: Path) -> Iterator[bytes]:
    """The encoded lists of files, one for each unit."""
    at = 0
    while at + _FILES_HEAD.size <= len(data):
        _, size, _, version = _FILES_HEAD.unpack_from(data, at)
        if version < _VERSION_OLDEST:
            raise FaultlineError(f"{library}: coverage mapping of version {version + 1}; use clang 16 or later")
        start = at + _FILES_HEAD.size
        yield data[start : start + size]
        at = (start + size + 7) & ~7


def _file_names(blob: bytes, library: Path) -> list[str]:
    reader = _Bytes(blob)
    number, size, packed = reader.number(), reader.number(), reader.number()
    inner = _Bytes(zlib.decompress(reader.take(packed), bufsize=size) if packed else reader.take(size))
    return [inner.take(inner.number()).decode("utf-8", "surrogateescape").removeprefix("./") for _ in range(number)]


def _records(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """For each function the hashes of its name, its shape and its files, and its mapping."""
    at = 0
    while at + _FUNCTION_HEAD.size <= len(data):
        name, size, key, files = _FUNCTION_HEAD.unpack_from(data, at)
        start = at + _FUNCTION_HEAD.size
        yield name, key, files, data[start : start + size]
        at = (start + size + 7) & ~7


class _Bytes:
    """Reads numbers of the format (LEB128) one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


@dataclass(frozen=True, slots=True)
class _Raw:
    """A region whose counts are still numbers of the function's expressions."""

    kind: Kind
    start: tuple[int, int]
    end: tuple[int, int]
    count: int
    other: int
    expands: int


class _Reader:
    """Reads the mapping of one function."""

    def __init__(self, mapping: bytes, files: list[str]) -> None:
        self._expressions: list[tuple[int, int]] = []
        self._regions: list[list[_Raw]] = []
        self._bytes = _Bytes(mapping)
        number = self._bytes.number
        self._files = [files[number()] for _ in range(number())]

    @property
    def files(self) -> set[str]:
        """Where its text is."""
        return set(self._files)

    def _file_regions(self) -> Iterator[_Raw]:
        number, line = self._bytes.number, 0
        for _ in range(number()):
            head = number()
            kind, count, other, expands = Kind.CODE, head, 0, -1
            if not head & 3:
                count = 0
                if head & 4:
                    kind, expands = Kind.EXPANSION, head >> 3
                elif head >> 3 in tuple(Kind):
                    kind = Kind(head >> 3)
                else:
                    raise FaultlineError(f"coverage mapping has regions of kind {head >> 3}; use clang 16 to 20")
            if kind is Kind.BRANCH:
                count, other = number(), number()
            line += number()
            column, lines, end = number(), number(), number()
            if end & _GAP:
                kind, end = Kind.GAP, end & ~_GAP
            if not column and not end:
                column, end = 1, _GAP - 1  # whole lines
            yield _Raw(kind, (line, column), (line + lines, end), count, other, expands)

    def functions(
        self, name: str, places: list[tuple[int, ...]], wanted: Collection[str] | None
    ) -> Iterator[Function]:
        """The function, once for each unit that has its counters, or once without counters."""
        number = self._bytes.number
        self._expressions = [(number(), number()) for _ in range(number())]
        self._regions = [list(self._file_regions()) for _ in self._files]
        short = name.replace(";", ":").rpartition(":")[2]
        used = self._uses()
        kept = [
            (raw, self._files[index], used.get(index, ()))
            for index, raws in enumerate(self._regions)
            for raw in raws
            if wanted is None
            or self._files[index] in wanted
            or (raw.kind is Kind.BRANCH and index in used and used[index][0].file in wanted)
        ]
        for counters in places or [()]:
            forms = {encoded: self._form(encoded, counters) for raw, *_ in kept for encoded in (raw.count, raw.other)}
            regions = tuple(
                Region(raw.kind, file, raw.start, raw.end, forms[raw.count], forms[raw.other], uses)
                for raw, file, uses in kept
            )
            yield Function(short, regions, counters)

    def _uses(self) -> dict[int, tuple[Use, ...]]:
        """By the number of a macro's text, where it is used."""
        parents = {
            raw.expands: (index, Use(self._files[index], raw.start, raw.end))
            for index, raws in enumerate(self._regions)
            for raw in raws
            if raw.kind is Kind.EXPANSION
        }
        chains: dict[int, tuple[Use, ...]] = {}
        for inner in parents:
            chain: list[Use] = []
            index = inner
            while index in parents:
                index, use = parents[index]
                chain.append(use)
            chains[inner] = tuple(chain)
        return chains

    def _form(self, encoded: int, counters: tuple[int, ...]) -> Form:
        """The sum of counters that an encoded counter stands for."""
        total: Counter[int] = Counter()
        waiting = [(encoded, 1)]
        while waiting and counters:
            one, sign = waiting.pop()
            tag, number = one & 3, one >> 2
            if tag == 1:
                total[counters[number]] += sign
            elif tag:
                left, right = self._expressions[number]
                waiting += [(left, sign), (right, sign if tag == 3 else -sign)]
        return {offset: times for offset, times in total.items() if times}
