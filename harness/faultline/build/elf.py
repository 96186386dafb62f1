"""What the linker step has to know of an object file: the symbols it defines, and how it uses those it does not."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QQq")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
#: Where an ELF header of 64 bits has the place of the table of sections, and their number.
_E_SHOFF: Final = 0x28
_E_SHNUM: Final = 0x3C
_SHT_SYMTAB: Final = 2
_SHT_RELA: Final = 4
_STB_LOCAL: Final = 0
_STB_WEAK: Final = 2
_SHN_UNDEF: Final = 0
_R_X86_64_PLT32: Final = 4
"""The relocation of a call; the x86-64 psABI has it for functions alone."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """Symbols of one object file, without those local to it."""

    defined: tuple[str, ...]
    called: tuple[str, ...]
    """Undefined and called: functions."""
    used: tuple[str, ...]
    """Undefined and never called here: data, or functions whose address is taken."""

    def to_json(self) -> str:
        return json.dumps({"defined": self.defined, "called": self.called, "used": self.used})

    @staticmethod
    def from_json(text: str) -> Symbols:
        """Raises :class:`ValueError` or :class:`KeyError` for damaged text."""
        value = json.loads(text)
        return Symbols(tuple(value["defined"]), tuple(value["called"]), tuple(value["used"]))


def read_symbols(path: Path) -> Symbols:
    """Reads an x86-64 object file.  Weak references are left out: nothing has to define them."""
    data = memoryview(path.read_bytes())
    sections = _sections(data)
    (symtab,) = (section for section in sections if section.kind == _SHT_SYMTAB)
    names = bytes(sections[symtab.link].content)
    symbols = list(_SYMBOL.iter_unpack(symtab.content))
    calls = {
        info >> 32
        for section in sections
        if section.kind == _SHT_RELA
        for _, info, _ in _RELA.iter_unpack(section.content)
        if info & 0xFFFFFFFF == _R_X86_64_PLT32
    }
    defined: set[str] = set()
    called: set[str] = set()
    used: set[str] = set()
    for index, (offset, info, _, section, _, _) in enumerate(symbols):
        name = names[offset : names.index(b"\0", offset)].decode()
        if info >> 4 == _STB_LOCAL or not name:
            continue
        if section != _SHN_UNDEF:
            defined.add(name)
        elif info >> 4 != _STB_WEAK:
            (called if index in calls else used).add(name)
    return Symbols(tuple(sorted(defined)), tuple(sorted(called)), tuple(sorted(used)))


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    link: int
    content: memoryview


def _sections(data: memoryview) -> list[_Section]:
    """All sections.  An object with counters has ten thousand, for which pyelftools takes a second."""
    (start,) = struct.unpack_from("<Q", data, _E_SHOFF)
    (count,) = struct.unpack_from("<H", data, _E_SHNUM)
    if count == 0:  # too many for the header: the first section tells
        count = _SECTION.unpack_from(data, start)[5]
    table = data[start : start + count * _SECTION.size]
    return [
        _Section(kind, link, data[offset : offset + size])
        for _, kind, _, _, offset, size, link, _, _, _ in _SECTION.iter_unpack(table)
    ]


def function_names(path: Path) -> tuple[str, ...]:
    """Names of all functions of a linked file, local ones too, ascending."""
    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        symtab = elf.get_section_by_name(".symtab")
        if symtab is None:
            return ()
        names = elf.get_section(symtab["sh_link"]).data()
        entries = _SYMBOL.iter_unpack(symtab.data())
        found = {offset for offset, info, _, section, _, _ in entries if info & 0xF == 2 and section != _SHN_UNDEF}
    return tuple(sorted({names[offset : names.index(b"\0", offset)].decode() for offset in found}))


def symbol_offset(path: Path, name: str) -> int:
    """Where a linked file has a symbol that it exports.  Raises :class:`KeyError`: it has none of that name."""
    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        found = elf.get_section_by_name(".dynsym").get_symbol_by_name(name)
        if not found:
            raise KeyError(name)
        return int(found[0]["st_value"])
