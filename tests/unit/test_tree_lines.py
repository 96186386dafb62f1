"""Which lines a patch changes, and which of them can have code."""

from __future__ import annotations

from pathlib import Path

import pytest

from faultline.tree import Overlay
from faultline.tree.lines import changed_lines, classify

BEFORE = """int f(int a)
{
	int b;

	b = a;
	if (a)
		drop(b);
	return b;
}
"""


def lay(tmp_path: Path, before: str, after: str) -> Overlay:
    (tmp_path / "mm").mkdir(exist_ok=True)
    (tmp_path / "mm/a.c").write_text(before)
    overlay = Overlay(tmp_path)
    overlay.changed["mm/a.c"] = after
    return overlay


def test_lines_are_numbered_on_their_own_side(tmp_path: Path) -> None:
    after = BEFORE.replace("	b = a;\n", "	b = a + 1;\n	use(b);\n").replace("	if (a)\n		drop(b);\n", "")
    found = changed_lines(lay(tmp_path, BEFORE, after))
    assert [(c.removed, c.line, c.text.strip()) for c in found] == [
        (True, 5, "b = a;"),
        (True, 6, "if (a)"),
        (True, 7, "drop(b);"),
        (False, 5, "b = a + 1;"),
        (False, 6, "use(b);"),
    ]
    assert len({c.place for c in found}) == 1


def test_changes_that_do_not_touch_are_apart(tmp_path: Path) -> None:
    after = BEFORE.replace("b = a;", "b = 2;").replace("return b;", "return a;")
    added = [c for c in changed_lines(lay(tmp_path, BEFORE, after)) if not c.removed]
    assert [c.line for c in added] == [5, 8]
    assert added[0].place != added[1].place


def test_new_and_deleted_files(tmp_path: Path) -> None:
    overlay = lay(tmp_path, "int a;\n", "int a;\n")
    overlay.changed = {"mm/new.c": "f(1);\ng(2);\n", "mm/a.c": None}
    found = changed_lines(overlay)
    assert [(c.file, c.removed, c.line) for c in found] == [
        ("mm/a.c", True, 1), ("mm/new.c", False, 1), ("mm/new.c", False, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("	b = a;", True),
        ("	return b;", True),
        ("	break;", True),
        ("	goto out;", True),
        ("	call(a, b);", True),
        ("	     more, arguments);", True),
        ("	int b = 1;", True),
        ("	DEFINE_WAIT(wait);", True),
        ("	} else if (a) {", True),
        ("	} while (a);", True),
        ('	say("/* no comment");', True),
        ("	int b;", False),
        ("	struct page *page, *tmp;", False),
        ("	pte_t entries[4];", False),
        ("	/* a comment */", False),
        ("	// another", False),
        ("	}", False),
        ("	} else {", False),
        ("	else", False),
        ("out:", False),
        ("	case 4:", False),
        ("", False),
        ("#ifdef CONFIG_X", False),
    ],
)
def test_what_can_have_code(line: str, code: bool) -> None:
    assert classify(line) == [(code, False)]


def test_comments_and_macros_over_several_lines() -> None:
    text = "/* one\n * f(2);\n */ f(3);\n#define M(x) \\\n\tf(x); \\\n\tg(x)\nh(4);\n#if A && \\\n\tB\nk(5);"
    assert classify(text) == [
        (False, False), (False, False), (True, False), (True, True), (True, True), (True, True), (True, False),
        (False, False), (False, False), (True, False),
    ]  # fmt: skip
