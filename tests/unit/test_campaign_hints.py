"""Which operations are named for functions that were not reached."""

from __future__ import annotations

from types import SimpleNamespace

from faultline.campaign.hints import NOTHING, Table, hints, near
from faultline.verdict.places import Hint

TABLE = Table(
    runs={"write": 100, "fork": 10, "exit": 1},
    hits={"fault": {"write": 90, "fork": 1}, "copy": {"fork": 8, "exit": 1}},
    programs={"fault": (0, 2), "copy": (1,)},
)


def places(*functions: str, callers: dict[str, tuple[str, ...]] | None = None) -> SimpleNamespace:
    known = callers or {}
    return SimpleNamespace(functions=[(name, "mm/a.c") for name in functions], callers=lambda name: known.get(name, ()))


def test_the_likeliest_operation_stands_first() -> None:
    assert TABLE.likely("fault") == ("write", "fork")
    assert TABLE.likely("copy") == ("fork", "exit"), "one run of one is no certainty"
    assert TABLE.likely("other") == ()


def test_what_nothing_ran_is_named_by_its_nearest_caller() -> None:
    calls = {"new": ("between",), "between": ("copy", "new"), "lonely": ("lonely",)}
    assert hints(places("fault", "new", "lonely", callers=calls), TABLE) == {
        "fault": Hint(("write", "fork")),
        "new": Hint(("fork", "exit"), "copy"),
        "lonely": Hint(()),
    }


def test_programs_of_the_corpus_that_come_near() -> None:
    corpus = [[(1, 0)], [(2, 0)], [(3, 0)]]
    assert near(places("fault"), TABLE, corpus) == ([(1, 0)], [(3, 0)])
    assert near(places("new", callers={"new": ("copy",)}), TABLE, corpus) == ([(2, 0)],)
    assert near(places("lonely"), TABLE, corpus) == ()


def test_nothing_is_known() -> None:
    assert hints(places("fault"), NOTHING) == {"fault": Hint(())}
