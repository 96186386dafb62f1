"""C text in narrow lines: what the compiler sees is the same."""

from __future__ import annotations

import re
import subprocess

import pytest
from test_export import _COW, _VERSION, _source

from faultline.export.files import plain_c
from faultline.export.fold import columns, fold_c
from faultline.export.parts import parts

WIDTH = 72
TRICKY = '''\
#define LONG_MACRO(a, b) do { something_long_enough(a); something_else_long_enough(b); } while (0)	/* says why */
/* A comment that is quite a bit longer than the line may be, and so is filled anew, word by word. */
// another comment that is quite a bit longer than the line may be, and so is filled anew, word by word
/*
 * A comment of several lines, of which one is much too long for the width that there is in a mail.
 * short
 */
static char *text = "a string that is longer than the line, with \\"quotes\\", a /* no comment */ and \\x41\\n in it";
static int function_with_a_long_name(struct task *first, unsigned long second, const unsigned long *third, int fourth)
{
	if (a_condition(first) && another_condition(second, ',', '"') && (third[0] | third[1]) != 0)	/* a tail */
		return call_of_a_function(another_call(first, "with %s", text), second, third[fourth], 0x1234);
}
'''


def compiled(text: str) -> list[str]:
    """The tokens that the compiler sees: no comments, macros in one line, neighbouring strings joined."""
    done = subprocess.run(
        ["gcc", "-fpreprocessed", "-dD", "-E", "-P", "-x", "c", "-"], input=text.replace("\\\n", " "),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    joined = re.sub(r'(?<!\\)"\s+"', "", done.stdout)
    return re.findall(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\w+|[^\s\w]', joined)


@pytest.mark.parametrize("text", [TRICKY, plain_c(_source(_COW), _VERSION), *(part.text for part in parts().values())])
def test_all_lines_are_narrow_and_mean_the_same(text: str) -> None:
    folded = fold_c(text, WIDTH)
    assert [line for line in folded.split("\n") if columns(line) > WIDTH] == []
    assert compiled(folded) == compiled(text)


def test_no_word_of_a_comment_is_lost() -> None:
    words = re.findall(r"\w+", fold_c(TRICKY, WIDTH))
    assert sorted(words) == sorted(re.findall(r"\w+", TRICKY))


def test_what_is_narrow_stays_as_it_is() -> None:
    text = "int main(void)\n{\n\treturn 0;\t/* why */\n}\n"
    assert fold_c(text, WIDTH) == text


def test_the_stars_of_a_comment_stay_below_each_other() -> None:
    text = f"/*\n * {'word ' * 20}\n */\n/* {'word ' * 20}\n * end */\n"
    stars = {line.index("*") for line in fold_c(text, WIDTH).splitlines()}
    assert stars == {1}
