"""Patches laid over a tree: unified diffs and semantic patches, in order, without a write to the tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from minitree import write

from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import Overlay
from faultline.tree.smpl import _rules

SOURCE = """\
int lock(int *l);
int unlock(int *l);

int reuse(int *l)
{
	lock(l);
	*l += 1;
	unlock(l);
	return 0;
}

int copy(int *l)
{
	lock(l);
	*l += 2;
	unlock(l);
	return 1;
}
"""
OTHER = "int unlock(int *l);\nint other(int *l)\n{\n\treturn unlock(l);\n}\n"
DROP = """\
@drop@
expression E;
@@
 *E += 1;
-unlock(E);
"""
RENAME = """\
@@
expression E;
@@
-unlock(E)
+release(E)
"""


class Tree:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = write(folder / "linux", {"mm/memory.c": SOURCE, "mm/other.c": OTHER})

    def patch(self, name: str, text: str) -> Path:
        return write(self.folder, {name: text}) / name

    def refusal(self, *patches: Path, status: ExitStatus = ExitStatus.ERROR) -> str:
        with pytest.raises(FaultlineError) as caught:
            Overlay(self.path, patches)
        assert caught.value.status == status
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path / "cache"))
    return Tree(tmp_path)


def one_line(path: str, line: int, old: str, new: str) -> str:
    return f"--- a/{path}\n+++ b/{path}\n@@ -{line} +{line} @@\n-{old}\n+{new}\n"


def test_a_diff_changes_the_view_and_not_the_tree(tree: Tree) -> None:
    overlay = Overlay(tree.path, [tree.patch("a.diff", one_line("mm/memory.c", 7, "\t*l += 1;", "\t*l += 5;"))])
    assert overlay.read("mm/memory.c") == SOURCE.replace("+= 1", "+= 5")
    assert overlay.read("mm/other.c") == OTHER
    assert overlay.read("mm/none.c") is None
    assert overlay.touched == {"mm/memory.c": ["a.diff"]}
    assert (tree.path / "mm/memory.c").read_text() == SOURCE


def test_a_semantic_patch_changes_the_files_it_names(tree: Tree) -> None:
    overlay = Overlay(tree.path, [tree.patch("a.cocci", "// files: mm/memory.c mm/other.c\n" + RENAME)])
    assert set(overlay.changed) == {"mm/memory.c", "mm/other.c"}
    memory = overlay.read("mm/memory.c")
    assert memory is not None
    assert memory.count("release(l)") == 2
    assert "unlock(l)" not in memory


def test_patches_apply_each_on_the_result_of_the_one_before(tree: Tree) -> None:
    first = tree.patch("1.diff", one_line("mm/memory.c", 7, "\t*l += 1;", "\t*l += 9;"))
    second = tree.patch("2.cocci", "// files: mm/memory.c\n" + DROP.replace("+= 1", "+= 9"))
    third = tree.patch("3.diff", one_line("mm/memory.c", 7, "\t*l += 9;", "\t*l += 8;"))
    overlay = Overlay(tree.path, [first, second, third])
    assert overlay.read("mm/memory.c") == SOURCE.replace("\t*l += 1;\n\tunlock(l);\n", "\t*l += 8;\n")
    assert overlay.touched == {"mm/memory.c": ["1.diff", "2.cocci", "3.diff"]}
    assert "matches nowhere" in tree.refusal(second, first)


def test_a_patch_and_its_reverse_leave_nothing(tree: Tree) -> None:
    there = tree.patch("1.diff", one_line("mm/memory.c", 7, "\t*l += 1;", "\t*l += 9;"))
    back = tree.patch("2.diff", one_line("mm/memory.c", 7, "\t*l += 9;", "\t*l += 1;"))
    overlay = Overlay(tree.path, [there, back])
    assert overlay.changed == {}
    assert overlay.save(tree.folder / "cache") is None


def test_created_and_deleted_files(tree: Tree) -> None:
    text = (
        "--- /dev/null\n+++ b/mm/new.h\n@@ -0,0 +1 @@\n+#define NEW\n"
        + "--- a/mm/other.c\n+++ /dev/null\n@@ -1,5 +0,0 @@\n"
    )
    text += "".join(f"-{line}\n" for line in OTHER.splitlines())
    overlay = Overlay(tree.path, [tree.patch("a.diff", text)])
    assert (overlay.exists("mm/new.h"), overlay.exists("mm/other.c"), overlay.exists("mm/memory.c")) == (
        True,
        False,
        True,
    )
    assert (tree.path / "mm/other.c").exists()


def test_the_overlay_is_saved_for_the_compiler(tree: Tree) -> None:
    patch = tree.patch("a.diff", one_line("mm/memory.c", 7, "\t*l += 1;", "\t*l += 5;"))
    saved = Overlay(tree.path, [patch]).save(tree.folder / "cache")
    assert saved is not None
    (entry,) = json.loads(saved.read_text())["roots"]
    assert entry["name"] == str(tree.path / "mm/memory.c")
    assert Path(entry["external-contents"]).read_text() == SOURCE.replace("+= 1", "+= 5")
    assert Overlay(tree.path, [patch]).save(tree.folder / "cache") == saved


def test_bytes_that_are_no_utf8_stay(tree: Tree) -> None:
    (tree.path / "mm/latin.c").write_bytes(b"/* J\xf6rg */\nint x;\n")
    patch = tree.patch("a.diff", one_line("mm/latin.c", 2, "int x;", "int y;"))
    saved = Overlay(tree.path, [patch]).save(tree.folder / "cache")
    assert saved is not None
    assert (saved.parent / "files/mm/latin.c").read_bytes() == b"/* J\xf6rg */\nint y;\n"


def test_a_patch_that_is_not_there(tree: Tree) -> None:
    missing, folder = (tree.refusal(path, status=ExitStatus.USAGE) for path in (tree.folder / "none.diff", tree.folder))
    assert missing.endswith("none.diff: No such file or directory; name a patch file")
    assert folder.endswith(": Is a directory; name a patch file")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DROP, "a.cocci: a semantic patch must name its files in a line like `// files: mm/memory.c`"),
        ("// files: mm/none.c\n" + DROP, "a.cocci: there is no file mm/none.c in the tree"),
        (
            "// files: mm/memory.c\n" + DROP.replace("+= 1", "+= 7"),
            "a.cocci: changes nothing in mm/memory.c: rule drop (line 2) matches nowhere",
        ),
        (
            "// files: mm/memory.c mm/other.c\n" + DROP,
            "a.cocci: changes nothing in mm/other.c: rule drop (line 2) matches nowhere",
        ),
        (
            "// files: mm/memory.c\n" + DROP + "\n@second@\n@@\n-missing();\n",
            "a.cocci: changes only a part of what it should in mm/memory.c: rule second (line 8) matches nowhere",
        ),
        (
            "// files: mm/memory.c\n" + DROP + "\n@@\n@@\n-missing();\n",
            "a.cocci: changes only a part of what it should in mm/memory.c:"
            " the rule starting on line 8 matches nowhere",
        ),
        ("// files: mm/memory.c\n@@\n@@\n-unlock(l;\n", "a.cocci: line 4: spatch cannot parse this, near ';'"),
    ],
)
def test_a_semantic_patch_that_does_not_apply(tree: Tree, text: str, expected: str) -> None:
    patch = tree.patch("a.cocci", text)
    assert tree.refusal(patch) == expected
    assert tree.refusal(patch) == expected, "the same from the cache"


@pytest.mark.parametrize(
    "more",
    [
        "// optional: second\n@second@\n@@\n-missing();\n",
        "@second@\nexpression E;\n@@\n missing(E);\n",
        "@second@ expression E; @@\n lock(E);\n",
    ],
)
def test_rules_that_need_not_edit(tree: Tree, more: str) -> None:
    patch = tree.patch("a.cocci", "// files: mm/memory.c\n" + DROP + "\n" + more)
    assert list(Overlay(tree.path, [patch]).changed) == ["mm/memory.c"]


def test_the_rules_that_edit_are_found() -> None:
    text = (
        "// files: a.c\n@one@ expression E; @@\n-f(E)\n+g(E)\n\n@script:python two@\nE << one.E;\n@@\nx = (1\n- 1)\n"
        "@three depends on one@\nexpression E;\nposition p;\n@@\n f(E@p)\n@@\n@@\n+h();\n f();\n"
    )
    found = [(rule.name, rule.line, rule.edits) for rule in _rules(text)]
    assert found == [
        ("one", 2, True),
        ("script", 6, False),
        ("three", 11, False),
        ("rule starting on line 16", 16, True),
    ]


def test_semantic_patches_need_spatch(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt-get install coccinelle" in tree.refusal(tree.patch("a.cocci", "// files: mm/memory.c\n" + DROP))
