"""How reach reads on the terminal."""

from __future__ import annotations

from faultline.report.reach import reach_lines, with_reach
from faultline.verdict.reach import Branch, ChangedLine, Reach, State, TouchedFunction


def line(number: int, state: State = "not-reached", function: str = "do_it", first: int | None = None) -> ChangedLine:
    text = f"\tcall{number}();"
    return ChangedLine(file="mm/a.c", line=number, text=text, state=state, function=function, first=first)


def reach(*lines: ChangedLine, operations: tuple[str, ...] = (), near: str = "") -> Reach:
    touched = TouchedFunction(name="do_it", file="mm/a.c", reached=0, total=1, operations=operations, near=near)
    return Reach(lines=lines, functions=(touched,))


RAN = line(1, "reached", first=7)


def test_the_first_words() -> None:
    assert with_reach("no finding", reach(RAN), found=False) == "no finding"
    assert with_reach("no finding", reach(RAN, line(2)), found=False) == (
        "no finding, but 1 of 2 changed lines never ran"
    )
    assert with_reach("1 finding", reach(RAN, line(2)), found=True) == "1 finding, 1 of 2 changed lines never ran"
    assert with_reach("no finding", reach(line(2)), found=False) == (
        "not tested: the changed line never ran; no finding"
    )
    assert with_reach("1 finding", reach(line(2)), found=True) == "1 finding, 1 of 1 changed lines never ran"


def test_lines_that_never_ran_stand_together_with_who_may_reach_them() -> None:
    seen = reach(RAN, line(2), line(3), line(5), operations=("write", "fork"))
    assert reach_lines(seen, verbose=False) == [
        "reach: 1 of 4 changed lines ran",
        "never ran: mm/a.c:2-3 in do_it(): call2(); (operations likely to reach it: write, fork)",
        "never ran: mm/a.c:5 in do_it(): call5(); (operations likely to reach it: write, fork)",
    ]
    near = reach(line(2), operations=("write",), near="caller")
    assert reach_lines(near, verbose=False)[1].endswith("(operations likely to reach caller(), which calls it: write)")


def test_many_places_are_shortened_unless_asked_for() -> None:
    seen = reach(RAN, *(line(2 * i) for i in range(2, 12)))
    short, whole = reach_lines(seen, verbose=False), reach_lines(seen, verbose=True)
    assert len(short) == 8
    assert short[-1] == "never ran: 4 more places; -v names them"
    assert sum(text.startswith("never ran: ") for text in whole) == 10
    assert "       program 7  mm/a.c:1 +\tcall1();" in whole


def test_branches_and_removed_lines() -> None:
    both = (Branch(what="a: true", first=3), Branch(what="a: false"))
    seen = reach(
        ChangedLine(file="mm/a.c", line=4, text="if (a)", state="reached", function="do_it", first=3, branches=both),
        ChangedLine(file="mm/a.c", line=9, text="b();", state="not-reached", function="do_it", removed=True),
    )
    text = reach_lines(seen, verbose=True)
    assert text[0] == "reach: 1 of 2 changed lines ran, 1 of 2 branches taken"
    assert text[1] == "never ran: mm/a.c:9 in do_it() (removed): b();"
    assert "     never taken    a: false" in text


def test_nothing_to_reach() -> None:
    seen = reach(line(1, "no-code"))
    assert reach_lines(seen, verbose=False) == ["reach: no changed line has code of its own in this build"]
    assert with_reach("no finding", seen, found=False) == "no finding"
    assert not seen.untested
