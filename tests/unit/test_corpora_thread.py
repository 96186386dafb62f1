"""The 2019 thread's proposals: the index tells the truth about them, and each edits what it is meant to."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from faultline.kinds import FindingKind
from faultline.program.text import parse_program
from faultline.tree.cache import cache_dir
from faultline.tree.smpl import apply_smpl

CORPORA = Path(__file__).parents[2] / "corpora"
THREAD = CORPORA / "thread"
SEEDS = sorted((CORPORA / "seeds").glob("thread-*.prog"))
INDEX: dict[str, dict[str, Any]] = tomllib.loads((THREAD / "index.toml").read_text())
KEYS = {"file", "title", "by_eye", "trees", "mode", "expected", "source", "note"}
KEYS_OPTIONAL = {"expected_interleaved", "also"}
KINDS = {kind.value for kind in FindingKind}

#: The functions that each proposal adds, changes or takes away.
WP_COPY = {"wp_page_copy", "do_wp_page", "change_pte_range", "page_mappings", "pgtable_split_needed"}
HELPER = {"do_wp_page", "do_userfaultfd_wp", "do_swap_page", "handle_pte_fault"}
FUNCTIONS = {
    "t1": WP_COPY,
    "t2": WP_COPY,
    "t3": {"do_wp_page", "do_wp_page_cont"},
    "t3plus": {"do_wp_page", "do_wp_page_cont", "change_pte_range", "pgtable_split_needed"},
    "t4": {"do_wp_page", "do_userfaultfd_wp_page", "do_swap_page", "handle_pte_fault"},
    "t5": HELPER,
    "t5plus": HELPER,
    "t6": {"uffd_wp_range"},
}
APPLICATIONS = [(name, tree) for name, entry in INDEX.items() for tree in entry["trees"]]


def _text(name: str) -> str:
    return (THREAD / str(INDEX[name]["file"])).read_text()


def _tree(version: str) -> Path:
    """The tree of this version: FAULTLINE_TREE if it is one, else the cached Debian tree."""
    major, minor = version.split(".")
    for place in (Path(os.environ.get("FAULTLINE_TREE", "")), cache_dir() / "trees" / f"linux-{version}"):
        makefile = place / "Makefile"
        if makefile.is_file() and f"VERSION = {major}\nPATCHLEVEL = {minor}\n" in makefile.read_text():
            return place
    pytest.skip(f"no tree of Linux {version}: `faultline tree fetch debian:{version}`, or set FAULTLINE_TREE")


def _functions(source: str) -> dict[str, str]:
    """The functions defined in ``source`` by name, in kernel style: each ends with a ``}`` in column 0."""
    found: dict[str, str] = {}
    name = ""
    body: list[str] = []
    for line in source.splitlines():
        head = re.match(r"(?:\w[^=;(]*?[\s*])?(\w+)\(", line)
        if head and not name:
            name, body = head[1], []
        body.append(line)
        if line == "}" or (line.endswith(";") and len(body) == 1):
            if line == "}" and name:
                found[name] = "\n".join(body)
            name, body = "", []
    return found


def test_index_lists_every_semantic_patch() -> None:
    assert sorted(entry["file"] for entry in INDEX.values()) == sorted(path.name for path in THREAD.glob("*.cocci"))
    assert set(FUNCTIONS) == set(INDEX)
    assert SEEDS


@pytest.mark.parametrize("name", INDEX)
def test_index_entry(name: str) -> None:
    entry = INDEX[name]
    assert set(entry) >= KEYS
    assert set(entry) <= KEYS | KEYS_OPTIONAL
    assert entry["file"] == f"{name}.cocci"
    assert entry["mode"] in ("S", "I")
    assert entry["trees"]
    for kinds in ("expected", "expected_interleaved", "also"):
        assert set(entry.get(kinds, [])) <= KINDS, kinds
    assert f"`{name}.cocci`" in (THREAD / "README.md").read_text()


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_seed_is_a_program(path: Path) -> None:
    assert parse_program(path.read_text(), path.name)
    assert f"`{path.name}`" in (THREAD / "README.md").read_text()


@pytest.mark.parametrize("name", INDEX)
def test_head_names_files_and_licence(name: str) -> None:
    files, licence, *_ = _text(name).splitlines()
    assert re.fullmatch(r"// files:( (mm|fs)/\w+\.c)+", files)
    assert licence == "// SPDX-License-Identifier: GPL-2.0-only"


def _patched(name: str, version: str) -> tuple[dict[str, str], dict[str, str]]:
    """The named files before and after; raises FaultlineError if one, or a rule, changes nothing."""
    if not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    tree = _tree(version)
    after = apply_smpl(_text(name), lambda path: (tree / path).read_text(), f"{name}.cocci")
    return {path: (tree / path).read_text() for path in after}, {path: text or "" for path, text in after.items()}


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "version"), APPLICATIONS)
def test_changes_just_the_functions_it_means(name: str, version: str) -> None:
    before, after = _patched(name, version)
    assert list(after) == _text(name).splitlines()[0].removeprefix("// files: ").split()
    changed: set[str] = set()
    for path, text in after.items():
        old, new = _functions(before[path]), _functions(text)
        changed |= {function for function in old | new if old.get(function) != new.get(function)}
    assert changed == FUNCTIONS[name]


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "version"), [(n, v) for n, v in APPLICATIONS if n in ("t4", "t5", "t5plus")])
def test_no_caller_goes_past_the_check(name: str, version: str) -> None:
    """do_wp_page() no longer checks there, so each call of it needs the check before it."""
    _, after = _patched(name, version)
    seen = 0
    for function, body in _functions(after["mm/memory.c"]).items():
        code = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        calls = len(re.findall(r"(?<!vm_fault_t )\bdo_wp_page\(", code))
        check = r"\bdo_userfaultfd_wp\(vmf, |\buserfaultfd_pte_wp\(vmf->vma, (?:pte|\*vmf->pte)\)"
        checks = len(re.findall(check, code))
        assert calls <= checks, function
        seen += calls
    assert seen > 0
