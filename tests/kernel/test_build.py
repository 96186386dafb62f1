"""The real tree and the real machine: cold and warm builds, patches, both variants."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faultline.build import BuiltLibrary, Symbolizer, build
from faultline.kinds import FaultlineError
from faultline.program.cheader import c_header
from faultline.tree import DEFAULT_TREE, TreeInfo, find_tree

pytestmark = pytest.mark.kernel

SOURCE = "mm/memory.c"
#: Ours that includes it.
GLUE = "csrc/kernel/mm_memory.c"
CORPUS = Path(__file__).parents[2] / "corpora/thread"


@pytest.fixture(scope="module")
def tree() -> TreeInfo:
    return find_tree(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))


class Log:
    """A build with a note of what it compiled."""

    def __init__(self, tree: TreeInfo) -> None:
        self.tree = tree
        self.compiled: list[str] = []

    def build(self, *patches: Path) -> BuiltLibrary:
        self.compiled = []

        def note(stage: str, _done: int, _total: int) -> None:
            if stage.startswith("compile "):
                self.compiled.append(stage.removeprefix("compile "))

        return build(self.tree, patches, extra_headers={"ops.h": c_header()}, progress=note)


@pytest.fixture
def log(tree: TreeInfo) -> Log:
    """The base is in the cache already."""
    made = Log(tree)
    made.build()
    return made


def insert(tree: TreeInfo, folder: Path, name: str, function: str, *lines: str) -> Path:
    """A patch that adds lines behind the opening brace of a function of mm/memory.c."""
    source = (tree.path / SOURCE).read_text().split("\n")
    start = next(number for number, line in enumerate(source) if re.match(rf"\w.*\b{function}\(", line))
    brace = next(number for number in range(start, len(source)) if source[number] == "{")
    path = folder / name
    body = "".join(f"+{line}\n" for line in lines)
    path.write_text(
        f"--- a/{SOURCE}\n+++ b/{SOURCE}\n@@ -{brace + 1},1 +{brace + 1},{len(lines) + 1} @@\n {source[brace]}\n{body}"
    )
    return path


def symbol(library: Path, name: str) -> int:
    output = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in output.splitlines() if line.split()[-1] == name)


def test_the_machine_loads_and_starts(log: Log) -> None:
    script = f"import ctypes, sys; sys.exit(ctypes.CDLL({str(log.build().path)!r}).fl_create(2))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_is_built_twice(log: Log) -> None:
    base = log.build()
    assert base.cached
    assert log.compiled == []


def test_only_what_the_machine_s_interface_names_is_exported(log: Log) -> None:
    output = subprocess.run(
        ["nm", "-D", "--defined-only", log.build().path], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1] for line in output.stdout.splitlines()}
    assert {"fl_create", "fl_run", "fl_finding", "fl_destroy"} <= names
    assert {name for name in names if not name.startswith("fl_")} == set()


def test_traps_are_kernel_functions_that_nothing_defines(log: Log) -> None:
    base = log.build()
    assert base.traps == tuple(sorted(set(base.traps)))
    assert not {"do_wp_page", "handle_mm_fault", "memcpy", "malloc"} & set(base.traps)
    assert not [name for name in base.traps if name.startswith(("fl_", "__asan", "__sanitizer"))]


def test_a_patch_to_one_file_recompiles_that_file(log: Log, tree: TreeInfo, tmp_path: Path) -> None:
    base = log.build()
    unique = f"{tmp_path.stat().st_mtime_ns}"
    patched = log.build(insert(tree, tmp_path, "p.diff", "do_wp_page", f'\tasm volatile("# {unique}");'))
    assert log.compiled == [GLUE]
    assert patched.key != base.key
    assert log.build().key == base.key


def test_a_kernel_address_has_a_name_and_a_place(log: Log) -> None:
    library = log.build().path
    start = symbol(library, "handle_mm_fault")
    with Symbolizer(library) as symbolizer:
        frame = symbolizer.lookup(start)[-1]
    assert (frame.function, frame.file) == ("handle_mm_fault", SOURCE)
    assert frame.line > 1000


def test_a_patched_line_that_does_not_compile(log: Log, tree: TreeInfo, tmp_path: Path) -> None:
    patch = insert(tree, tmp_path, "bad.diff", "do_wp_page", "\tno_such_thing = 1;")
    with pytest.raises(FaultlineError) as caught:
        log.build(patch)
    line = int(re.findall(r"@@ -(\d+)", patch.read_text())[0]) + 1
    assert str(caught.value).startswith(f"{SOURCE}:{line}: error: use of undeclared identifier 'no_such_thing'")
    assert str(caught.value).endswith(f"({SOURCE} is changed by bad.diff)")


def test_a_kernel_tree_stays_as_it_is(log: Log, tree: TreeInfo, tmp_path: Path) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tree.path / "mm").rglob("*")}

    before = state()
    log.build(CORPUS / "t5.cocci")
    assert state() == before


@pytest.mark.parametrize("patch", sorted(CORPUS.glob("*.cocci")), ids=lambda path: path.stem)
def test_each_proposal_of_the_thread_builds(log: Log, patch: Path) -> None:
    assert log.build(patch).key != log.build().key


def test_a_copy_of_the_tree_elsewhere_is_the_same_build(log: Log, tree: TreeInfo, tmp_path: Path) -> None:
    base = log.build()
    copy = tmp_path / "linux"
    shutil.copytree(tree.path, copy, symlinks=True, ignore=shutil.ignore_patterns("Documentation", "tools"))
    other = Log(find_tree(str(copy)))
    assert other.build().key == base.key
    assert other.compiled == []


@pytest.mark.slow
def test_the_sanitised_variant_builds(tree: TreeInfo) -> None:
    built = build(tree, variant="asan", extra_headers={"ops.h": c_header()})
    symbols = subprocess.run(["nm", "-D", built.path], capture_output=True, text=True, check=True).stdout
    assert "__sanitizer_cov_8bit_counters_init" in symbols
    assert "__asan_init" in symbols
