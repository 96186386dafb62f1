"""The small parts of the build: depfiles, symbols of objects, constants."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from faultline.build.elf import Symbols, read_symbols
from faultline.build.headers import bounds
from faultline.build.link import trap_source
from faultline.build.objects import parse_depends
from faultline.build.toolchain import find_toolchain


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("a.o: a.c b.h\n", ["a.c", "b.h"]),
        ("a.o: a.c \\\n  b.h \\\n  c.h\n", ["a.c", "b.h", "c.h"]),
        ("a.o: with\\ a\\ space.c $$dollar.h hash\\#.h\n", ["with a space.c", "$dollar.h", "hash#.h"]),
        ("a.o: a.c b.h b.h a.c\n", ["a.c", "b.h"]),
        ("a.o:\n", []),
    ],
)
def test_a_depfile_gives_its_names(rule: str, names: list[str]) -> None:
    assert parse_depends(rule) == names


def test_symbols_are_told_apart_by_how_they_are_used(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text(
        "extern int data, both(void), pointed(void); extern int weak(void) __attribute__((weak));\n"
        "static int local(void) { return data; }\n"
        "int (*shared)(void) = pointed;\n"
        "int (*mine(void))(void) { if (weak) weak(); both(); return local() ? both : 0; }\n"
    )
    target = tmp_path / "a.o"
    subprocess.run([find_toolchain().clang, "-O1", "-fPIC", "-c", source, "-o", target], check=True)
    symbols = read_symbols(target)
    assert symbols == Symbols(defined=("mine", "shared"), called=("both",), used=("data", "pointed"))
    assert Symbols.from_json(symbols.to_json()) == symbols


def test_traps_assemble_to_functions(tmp_path: Path) -> None:
    source, target = tmp_path / "t.s", tmp_path / "t.o"
    source.write_text(trap_source(["one", "two"]))
    subprocess.run([find_toolchain().clang, "-c", source, "-o", target], check=True)
    assert read_symbols(target) == Symbols(defined=("one", "two"), called=("fl_trap",), used=())


def test_constants_are_read_from_assembly() -> None:
    assembly = '\t.ascii\t"->NR_PAGEFLAGS $23 __NR_PAGEFLAGS"\n#APP\n.ascii "->OTHER 4 x"\n\tmovl $1, %eax\n'
    assert bounds(assembly) == "#define NR_PAGEFLAGS 23\n#define OTHER 4\n"
