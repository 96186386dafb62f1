"""Names for addresses of a built library."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from minitree import Mini, write

from faultline.build import Frame, Symbolizer
from faultline.kinds import FaultlineError

SOURCE = """\
extern int helper(int value);
static inline int inner(int value)
{
	return helper(value) + 1;
}
int fl_rmap(void)
{
	return inner(3) + 1;
}
"""


def offset_of(library: Path, name: str) -> int:
    output = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in output.splitlines() if line.endswith(f" {name}"))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    mini = Mini(tmp_path)
    write(mini.tree, {"mm/rmap.c": SOURCE})
    return mini.build().path


def test_an_address_has_function_file_and_line_with_inlined_calls(library: Path) -> None:
    start = offset_of(library, "fl_rmap")
    with Symbolizer(library) as symbolizer:
        found = {tuple(symbolizer.lookup(start + byte)) for byte in range(16)}
    assert (Frame("inner", "mm/rmap.c", 4), Frame("fl_rmap", "mm/rmap.c", 8)) in found


def test_files_of_the_machine_read_from_csrc_on(library: Path) -> None:
    with Symbolizer(library) as symbolizer:
        (frame,) = symbolizer.lookup(offset_of(library, "helper"))
    assert (frame.function, frame.file) == ("helper", "csrc/host/host.c")
    assert str(frame).startswith("helper csrc/host/host.c:")


def test_merged_code_gets_the_nearest_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    mini = Mini(tmp_path)
    source = "extern void stop(void) __attribute__((noreturn));\nint fl_rmap(int a, int b)\n{\n"
    source += "\tif (a > 5)\n\t\tstop();\n\tif (b < a)\n\t\tstop();\n\treturn a * b;\n}\n"
    write(mini.tree, {"mm/rmap.c": source})
    library = mini.build().path
    start = offset_of(library, "fl_rmap")
    listing = subprocess.run(["nm", "-S", library], capture_output=True, text=True, check=True).stdout
    size = next(int(line.split()[1], 16) for line in listing.splitlines() if line.endswith(" fl_rmap"))
    with Symbolizer(library) as symbolizer:
        raw = [symbolizer._ask(start + byte)[0].line for byte in range(size)]
        lines = [symbolizer.lookup(start + byte)[0].line for byte in range(size)]
    assert 0 in raw, "the compiler merges the two calls"
    assert set(lines) <= {3, 4, 5, 6, 7, 8, 9}


def test_an_address_outside_is_unknown(library: Path) -> None:
    with Symbolizer(library) as symbolizer:
        assert symbolizer.lookup(0x7FFFFFFF) == []
        assert symbolizer.lookup(offset_of(library, "helper"))


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    with Symbolizer(tmp_path / "none.so") as symbolizer, pytest.raises(FaultlineError, match=r"llvm-symbolizer .*none"):
        symbolizer.lookup(1)


def test_no_symbolizer(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FaultlineError, match="apt-get install llvm-19"):
        Symbolizer(library).lookup(1)
