"""The sequential programs that stand for operations which overlap."""

from __future__ import annotations

from faultline.oracle.orders import LATE_FOR_GOOD, coarse, orders
from faultline.program.codec import overlaps
from faultline.program.text import format_operation, parse_program

NONE: frozenset[int] = frozenset()


def texts(text: str) -> list[str]:
    return ["; ".join(map(format_operation, order.ops)) for order in orders(parse_program(text), NONE)]


def test_two_operations_of_two_tasks_come_in_either_order() -> None:
    found = texts("p0.0 mmap a0 rw\npar {\n  p0.0 munmap a0\n  p0.1 file-close f0\n}\np0.0 exit\n")
    assert found[:2] == [
        "p0.0 mmap a0 rw; p0.0 munmap a0; p0.1 file-close f0; p0.0 exit",
        "p0.0 mmap a0 rw; p0.1 file-close f0; p0.0 munmap a0; p0.0 exit",
    ]


def test_a_task_does_its_own_operations_in_their_order() -> None:
    found = texts("par {\n  p0.0 munmap a0\n  p0.1 munmap a1\n  p0.0 munmap a2\n}\n")
    assert len(set(found)) == 3
    assert all(text.index("a0") < text.index("a2") for text in found)


def test_a_range_has_a_step_for_each_page() -> None:
    found = texts("par {\n  m uffd-wp u0 a0+2\n  p0.0 munmap a4\n}\n")
    assert "m uffd-wp u0 a0; p0.0 munmap a4; m uffd-wp u0 a1" in found


def test_an_access_has_a_step_in_which_the_page_comes() -> None:
    found = texts("par {\n  p0.0 write a0 =1\n  m uffd-wp u0 a0\n}\n")
    assert "p0.0 populate a0 write; m uffd-wp u0 a0; p0.0 write a0 =1" in found


def test_what_is_best_effort_may_do_nothing() -> None:
    ops = parse_program("par {\n  m swap-out p0 a0\n  p0.0 munmap a0\n}\n")
    idle = [order for order in orders(ops, NONE) if order.idle]
    assert idle
    assert all(order.idle == {0} and 0 not in order.of for order in idle)


def test_what_was_skipped_is_in_no_order() -> None:
    ops = parse_program("par {\n  p1.0 read a0\n  p0.0 munmap a0\n}\n")
    assert all(0 not in order.of for order in orders(ops, frozenset({0})))


def test_steps_that_are_run_without_preemptions_stay_in_their_block() -> None:
    ops = parse_program("p0.0 mmap a0 rw\npar {\n  p0.0 write a0 =1\n  m uffd-unregister u0 a0\n}\np0.0 read a0\n")
    found = list(coarse(ops, NONE))
    assert all([overlaps(op) for op in order.ops] == [i in (1, 2) for i in order.of] for order in found)
    assert {order.deviation for order in found} == {"", LATE_FOR_GOOD}
    assert all(order.late == 1 for order in found if order.deviation)
