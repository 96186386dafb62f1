"""What the linker step has to know of an object file: the symbols it defines, and how it uses those it does not."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QQq")
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
    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        symtab = elf.get_section_by_name(".symtab")
        names = elf.get_section(symtab["sh_link"]).data()
        symbols = list(_SYMBOL.iter_unpack(symtab.data()))
        calls = {index for index, kind in _relocations(elf) if kind == _R_X86_64_PLT32}
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


def _relocations(elf: Any) -> Iterator[tuple[int, int]]:
    """Symbol index and type of each relocation."""
    for section in elf.iter_sections():
        if section["sh_type"] == "SHT_RELA":
            for _, info, _ in _RELA.iter_unpack(section.data()):
                yield info >> 32, info & 0xFFFFFFFF


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
