"""Exported C against the headers of old and new trees, and a selftest in its place in a tree."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faultline.campaign.source import corpora_dir
from faultline.export.expected import check_exportable
from faultline.export.files import Source, plain_c, selftest
from faultline.kinds import FaultlineError
from faultline.program.ops import OPS
from faultline.program.text import parse_repro, read_repro
from faultline.tree import SUPPORTED
from faultline.tree.cache import cache_dir

_FLAGS = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-O2")
#: The headers that say what changes from version to version; they need no preparation but that __user goes.
_HEADERS = ("linux/userfaultfd.h", "linux/fs.h")


def _tree(version: tuple[int, int]) -> Path:
    path = cache_dir() / "trees" / f"linux-{version[0]}.{version[1]}"
    if not path.is_dir():
        pytest.skip(f"{path.name} was not fetched")
    return path


def _sources() -> Iterator[Source]:
    """Programs that together have every operation that can be exported, as far as the corpora have it."""
    seen: set[str] = set()
    for path in sorted((corpora_dir() / "seeds").glob("*.prog")):
        source = Source(path, read_repro(path), path.read_text())
        try:
            check_exportable(source.repro.ops, path.name)
        except FaultlineError:
            continue
        names = {OPS[op[0]].name for op in source.repro.ops}
        if not names <= seen:
            seen |= names
            yield source


@pytest.mark.parametrize("version", SUPPORTED, ids=lambda version: f"{version[0]}.{version[1]}")
def test_it_compiles_with_the_headers_of_a_tree(version: tuple[int, int], tmp_path: Path) -> None:
    uapi = _tree(version) / "include/uapi"
    for header in _HEADERS:
        target = tmp_path / "include" / header
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((uapi / header).read_text().replace("__user ", ""))
    files = []
    for source in _sources():
        files.append(tmp_path / f"{source.name}.c")
        files[-1].write_text(plain_c(source, version))
    assert len(files) > 5
    done = subprocess.run(
        ["gcc", *_FLAGS, "-I", tmp_path / "include", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


_PROGRAM = """\
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0+2 missing,wp
p0.0 fork p1
m uffd-wp u0 a0
p0.0 write a0 =2
m uffd-resolve u0 a0
p1.0 read a0
"""


@pytest.mark.parametrize("version", SUPPORTED, ids=lambda version: f"{version[0]}.{version[1]}")
def test_a_selftest_compiles_beside_the_trees_own(version: tuple[int, int], tmp_path: Path) -> None:
    """In a copy of the place where it belongs."""
    tree, suite = _tree(version), tmp_path / "selftests"
    own = tree / "tools/testing/selftests"
    if not (own / "kselftest.h").is_file():
        pytest.skip(f"{tree.name} was fetched without its selftests")
    (suite / "mm").mkdir(parents=True)
    for header in own.glob("*.h"):
        shutil.copy(header, suite)
    file = suite / "mm/protected.c"
    file.write_text(selftest(Source(Path("protected.prog"), parse_repro(_PROGRAM), _PROGRAM), version))
    command = ["gcc", "-Wall", "-Werror", "-O2", f"-I{tree}/tools/include", "-fsyntax-only", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
