"""The diff of what patches change in a tree."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from faultline.tree import Overlay
from faultline.tree.changes import changes
from faultline.tree.diff import split_lines

BEFORE = """#include <linux/mm.h>

static int first(void)
{
\treturn 0;
}

int second(int a)
{
\tint b = a;

\tb++;
\tgoto out;
out:
\tb--;
\treturn b;
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "mm").mkdir(parents=True)
    (root / "mm/memory.c").write_text(BEFORE)
    return root


def patched(tree: Path, after: str, name: str = "mm/memory.c") -> Path:
    """A diff, by another hand, to what the file is to become."""
    old = (tree / name).read_text() if (tree / name).exists() else ""
    source = f"a/{name}" if old else "/dev/null"
    lines = difflib.unified_diff(split_lines(old), split_lines(after), source, f"b/{name}", n=1)
    path = tree.parent / "p.patch"
    path.write_text("".join(lines))
    return path


def test_a_hunk_names_its_function_and_not_a_label(tree: Path) -> None:
    text = changes(tree, [patched(tree, BEFORE.replace("\tb--;\n", "\tb -= 1;\n"))])
    assert "@@ -12,6 +12,6 @@ int second(int a)\n" in text
    assert "-\tb--;\n+\tb -= 1;\n" in text


@pytest.mark.parametrize("name", ["mm/memory.c", "mm/new.c"])
def test_applied_to_the_tree_it_gives_what_the_patches_give(tree: Path, name: str, tmp_path: Path) -> None:
    patch = patched(tree, BEFORE.replace("return 0", "return 1") + "\fint third;\n", name)
    again = tmp_path / "again.patch"
    again.write_text(changes(tree, [patch]))
    assert Overlay(tree, [again]).changed == Overlay(tree, [patch]).changed


def test_no_patch_changes_nothing(tree: Path) -> None:
    assert changes(tree, []) == ""
