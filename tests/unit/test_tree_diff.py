"""Unified diffs: what they make of a file, and how misfits read."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minitree import write

from faultline.campaign.subject import prepare
from faultline.kinds import ExitStatus, FaultlineError
from faultline.tree import find_tree
from faultline.tree.diff import Misfit, apply_diff
from faultline.tree.fit import with_better_tree

FILES = {
    "mm/a.c": "".join(f"line {number}\n" for number in range(1, 31)),
    "mm/small.c": "one\ntwo\n",
    "mm/open.c": "one\ntwo",
    "include/linux/h.h": "#define A 1\n",
}
HEAD = "--- a/mm/a.c\n+++ b/mm/a.c\n"
HUNK = "@@ -9,5 +9,5 @@ context\n line 9\n line 10\n-line 11\n+LINE 11\n line 12\n line 13\n"


def apply(text: str, **files: str) -> dict[str, str | None]:
    return apply_diff(text, (FILES | files).get, "p")


def misfit(text: str) -> str:
    with pytest.raises(FaultlineError) as caught:
        apply(text)
    assert caught.value.status == ExitStatus.ERROR
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(old: str, new: str) -> str:
    return FILES["mm/a.c"].replace(f"{old}\n", f"{new}\n")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + HUNK,
        "--- mm/a.c\n+++ mm/a.c\n" + HUNK,
        "--- linux.orig/mm/a.c\t2024-01-01 00:00\n+++ linux/mm/a.c\t2024-01-02 00:00\n" + HUNK,
        "diff --git a/mm/a.c b/mm/a.c\nindex 123..456 100644\n" + HEAD + HUNK,
        "diff --git a/mm/a.c b/mm/a.c\nold mode 100644\nnew mode 100755\nindex 123..456\n" + HEAD + HUNK,
        # as git format-patch mails it, and cut from a mail with its trailing blank lost
        "From 1 Mon\nFrom: A <a@b>\nSubject: [PATCH] mm: x\n\nWhy.\n---\n mm/a.c | 2 +-\n 1 file changed\n\n"
        "diff --git a/mm/a.c b/mm/a.c\n" + HEAD + HUNK + "-- \n2.39.5\n\n",
        HEAD + HUNK + "\nRegards\n",
        # moved by a few lines, up and down
        HEAD + HUNK.replace("-9,5 +9,5", "-2,5 +2,5"),
        HEAD + HUNK.replace("-9,5 +9,5", "-29,5 +29,5"),
        # one or two lines of context differ at either end
        HEAD + HUNK.replace("line 9", "line nine"),
        HEAD + HUNK.replace("line 13", "line thirteen").replace("line 12", "line twelve"),
    ],
)
def test_forms_of_one_diff(text: str) -> None:
    assert apply(text) == {"mm/a.c": changed("line 11", "LINE 11")}


def test_fuzz_keeps_the_file_s_own_context() -> None:
    after = apply(HEAD + HUNK.replace("line 9", "line nine"))["mm/a.c"]
    assert after is not None
    assert "line 9\n" in after
    assert "nine" not in after


def test_later_hunks_move_with_earlier_ones() -> None:
    first = "@@ -2,3 +2,5 @@\n line 2\n+x\n+y\n line 3\n line 4\n"
    second = "@@ -20,3 +22,2 @@\n line 20\n-line 21\n line 22\n"
    after = apply(HEAD + first + second)["mm/a.c"]
    assert after == changed("line 2", "line 2\nx\ny").replace("line 21\n", "")


def test_the_nearest_of_equal_places_is_taken() -> None:
    text = "x\nsame\ny\n" * 3
    after = apply("--- a/f\n+++ b/f\n@@ -5 +5 @@\n-same\n+changed\n", f=text)
    assert after == {"f": "x\nsame\ny\nx\nchanged\ny\nx\nsame\ny\n"}


def test_files_are_created_deleted_renamed_and_copied() -> None:
    create = (
        "diff --git a/mm/n.c b/mm/n.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/n.c\n@@ -0,0 +1,2 @@\n+a\n+b\n"
    )
    delete = "--- a/mm/small.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n"
    rename = (
        "diff --git a/include/linux/h.h b/mm/h.h\nsimilarity index 90%\n"
        "rename from include/linux/h.h\nrename to mm/h.h\n"
        "--- a/include/linux/h.h\n+++ b/mm/h.h\n@@ -1 +1 @@\n-#define A 1\n+#define A 2\n"
    )
    copy = "diff --git a/mm/open.c b/mm/c.c\nsimilarity index 100%\ncopy from mm/open.c\ncopy to mm/c.c\n"
    assert apply(create + delete + rename + copy) == {
        "mm/n.c": "a\nb\n",
        "mm/small.c": None,
        "include/linux/h.h": None,
        "mm/h.h": "#define A 2\n",
        "mm/c.c": "one\ntwo",
    }


def test_a_file_without_a_final_newline() -> None:
    add = "--- a/mm/open.c\n+++ b/mm/open.c\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+two\n"
    assert apply(add) == {"mm/open.c": "one\ntwo\n"}
    drop = "--- a/mm/small.c\n+++ b/mm/small.c\n@@ -1,2 +1,2 @@\n one\n-two\n+two\n\\ No newline at end of file\n"
    assert apply(drop) == {"mm/small.c": "one\ntwo"}


def test_a_series_in_one_file_builds_on_itself() -> None:
    second = HEAD + "@@ -11 +11 @@\n-LINE 11\n+third\n"
    assert apply(HEAD + HUNK + "-- \n2.39\n\nFrom 2\nSubject: [PATCH 2/2]\n\n---\n" + second) == {
        "mm/a.c": changed("line 11", "third")
    }


def test_a_form_feed_ends_no_line() -> None:
    after = apply("--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\x0cb\n-c\n+d\n", f="a\x0cb\nc\n")
    assert after == {"f": "a\x0cb\nd\n"}


def test_a_misfit_tells_hunk_file_and_line() -> None:
    text = misfit(HEAD + HUNK.replace("-line 11", "-line eleven"))
    assert (
        text == "p: hunk 1 (line 9) does not fit mm/a.c: at line 11 stands 'line 11', the patch expects 'line eleven'"
    )


def test_a_misfit_of_a_later_hunk_is_numbered() -> None:
    text = misfit(HEAD + HUNK + "@@ -20 +20 @@\n-line x\n+line y\n")
    assert text.startswith("p: hunk 2 (line 20) does not fit mm/a.c: at line ")


def test_a_misfit_past_the_end() -> None:
    text = misfit("--- a/mm/small.c\n+++ b/mm/small.c\n@@ -1,4 +1,3 @@\n one\n two\n-three\n four\n")
    assert text.endswith("does not fit mm/small.c: at line 3 the file ends, the patch expects 'three'")


def test_a_patch_applied_already() -> None:
    reverse = HEAD + HUNK.replace("+LINE 11", "+").replace("-line 11", "+line 11").replace("+\n", "-LINE 11\n")
    assert misfit(reverse.replace("+line 11\n-LINE 11\n", "-LINE 11\n+line 11\n")).endswith("applied already")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no unified diff in it"),
        ("Just a mail.\n", "no unified diff in it"),
        (HEAD + HUNK[: HUNK.index("+LINE")], "damaged diff: Hunk is shorter"),
        (HEAD + "@@ -1,2 +1,2 @@\n line 1\nnonsense\n", "damaged diff: "),
        (HEAD.replace("mm/a.c", "mm/none.c") + HUNK, "there is no file mm/none.c in the tree"),
        ("--- /dev/null\n+++ b/mm/a.c\n@@ -0,0 +1 @@\n+x\n", "mm/a.c is to be created, but it is in the tree already"),
        ("--- a/mm/a.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-line 1\n", "mm/a.c is to be deleted, but holds more"),
        ("diff --git a/x b/x\nBinary files a/x and b/x differ\n", "binary diff"),
        (
            "--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-a\n+b\n",
            "may only name files inside the tree",
        ),
        ("--- /dev/null\n+++ /etc/passwd\n@@ -0,0 +1 @@\n+b\n", "may only name files inside the tree"),
    ],
)
def test_what_cannot_be_applied(text: str, expected: str) -> None:
    assert expected in misfit(text)


LINES = st.lists(st.sampled_from(["a", "b", "c", "{", "}", "", " ", "+x", "-y", "@@", "--- z", "\\"]), max_size=40)


@given(LINES, LINES, st.integers(0, 3))
def test_a_diff_of_any_two_texts_leads_from_one_to_the_other(old: list[str], new: list[str], context: int) -> None:
    before, after = ([f"{line}\n" for line in lines] for lines in (old, new))
    text = "".join(difflib.unified_diff(before, after, "a/mm/f.c", "b/mm/f.c", n=context))
    if text:
        assert apply_diff(text, {"mm/f.c": "".join(before)}.get, "p") == {"mm/f.c": "".join(after)}


def test_every_file_that_differs_is_told(tmp_path):
    files = {"mm/a.c": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "mm/b.c": "1\n2\n"}
    text = (
        "--- a/mm/a.c\n+++ b/mm/a.c\n"
        "@@ -1,2 +1,2 @@\n 1\n-x\n+y\n@@ -5,2 +5,2 @@\n 5\n-6\n+six\n@@ -8,2 +8,2 @@\n 8\n-0\n+1\n"
        "--- a/mm/none.c\n+++ b/mm/none.c\n@@ -1 +1 @@\n-1\n+2\n"
        "--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1,2 +1,2 @@\n 1\n-2\n+two\n"
    )
    with pytest.raises(Misfit) as raised:
        apply_diff(text, files.get, "x.patch")
    assert str(raised.value).startswith("x.patch: hunk 1 (line 1) does not fit mm/a.c: at line 2 stands '2'")
    assert raised.value.details == (
        "  mm/a.c: 2 of 3 hunks do not fit (1, 3)",
        "  there is no file mm/none.c in the tree",
    )
    assert (raised.value.fits, raised.value.hunks) == (2, 5)


def test_the_tree_in_the_cache_that_a_patch_fits_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FAULTLINE_CACHE", str(tmp_path))
    texts = {"6.1": "one\ntwo\n", "6.12": "one\nthree\n", "7.2": "four\n"}
    for version, text in texts.items():
        major, minor = version.split(".")
        tree = tmp_path / f"trees/linux-{version}"
        write(tree, {"Makefile": f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = 9\n", "mm/memory.c": text})
    (tmp_path / "trees/half").mkdir()
    trees = {version: find_tree(str(tmp_path / f"trees/linux-{version}")) for version in texts}
    patch = tmp_path / "x.patch"
    patch.write_text("--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n")
    misfit = Misfit("x.patch: it does not fit", details=("  more",))
    told = with_better_tree(misfit, [patch], trees["6.12"])
    assert str(told) == "x.patch: it does not fit; it is for another tree than 6.12.9: it fits 6.1.9, --tree debian:6.1"
    assert told.details == misfit.details
    for reach in (False, True):
        with pytest.raises(Misfit, match=r"does not fit mm/memory\.c: .*; it is for .*, --tree debian:6\.1"):
            prepare(str(trees["6.12"].path), [patch], "base", check=True, jobs=1, say=lambda _: None, reach=reach)
    assert with_better_tree(misfit, [patch], trees["6.1"]) is misfit
    patch.write_text("--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -1,2 +1,2 @@\n one\n-five\n+2\n")
    assert with_better_tree(misfit, [patch], trees["6.12"]) is misfit
    assert with_better_tree(misfit, [patch, tmp_path / "x.cocci"], trees["6.12"]) is misfit
