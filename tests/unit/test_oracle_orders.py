"""The sequential programs that stand for operations which overlap."""

from __future__ import annotations

import errno
from itertools import pairwise

from faultline.oracle.orders import LATE_FOR_GOOD, coarse, may_come_to, orders
from faultline.oracle.steps import begun
from faultline.program.codec import Operation, alone, encode, overlaps
from faultline.program.ops import OPS
from faultline.program.text import format_operation, parse_program
from faultline.program.trace import Status

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
    found = texts("par {\n  m uffd-wp u0 a0+2\n  p0.0 munmap a0+2\n}\n")
    assert "m uffd-wp u0 a0; p0.0 munmap a0+2; m uffd-wp u0 a1" in found


def test_what_comes_last_first_takes_a_hole_at_the_end_along() -> None:
    found = texts("par {\n  m uffd-wp u0 a0+8\n  p0.0 munmap a4\n}\n")
    assert "m uffd-wp u0 a4+4; p0.0 munmap a4; m uffd-wp u0 a0+4" in found


def test_every_order_is_a_program() -> None:
    """Also where a mapping shows more pages than a file can have."""
    ops = parse_program(
        "p0.0 file-open f7 memfd @32\np0.0 mmap-file a0+13 r f7 @20 private\np0.0 uffd-open u0\n"
        "par {\n  m uffd-copy u0 a11 =1\n  p0.0 write a11 =1\n  p0.1 read a12\n}\n"
    )
    found = list(orders(ops, frozenset()))
    assert any("file-allocate" in map(_name, order.ops) for order in found)
    for order in found:
        encode(order.ops)


def _name(op: Operation) -> str:
    return OPS[op[0]].name


def test_pages_that_nobody_else_meets_are_one_step() -> None:
    found = texts("par {\n  m uffd-wp u0 a0+8\n  p0.0 munmap a4\n}\n")
    assert max(found, key=len).count("uffd-wp") == 3
    assert "m uffd-wp u0 a0+4; p0.0 munmap a4; m uffd-wp u0 a4; m uffd-wp u0 a5+3" in found


def test_few_changes_come_first_and_none_is_left_out() -> None:
    found = texts("par {\n  p0.0 munmap a0\n  p0.1 munmap a1\n  p0.0 munmap a2\n  p0.1 munmap a3\n}\n")
    assert len(set(found)) == 6
    starts = [[op.split()[0] for op in text.split("; ")] for text in found[:6]]
    changes = [sum(a != b for a, b in pairwise(row)) for row in starts]
    assert changes == sorted(changes)


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


def test_ksm_looks_at_each_page_twice() -> None:
    found = texts("par {\n  m ksm-merge p0 a0+2\n  p0.0 munmap a0+2\n}\n")
    steps = "m ksm-merge p0 a0; m ksm-merge p0 a1; "
    assert f"{steps}p0.0 munmap a0+2; {steps[:-2]}" in found


def test_a_scan_tells_before_it_protects() -> None:
    found = texts("par {\n  p0.0 pagemap-scan a0 written wp\n  p0.1 write a0 =1\n}\n")
    assert any(
        text.startswith("p0.0 pagemap-scan a0 written; ") and text.endswith("p0.0 pagemap-scan a0 written wp")
        for text in found
    )


def test_a_page_that_is_filled_may_be_seen_before_the_task_goes_on() -> None:
    found = texts("par {\n  m uffd-copy u0 a0 =1\n  p0.0 read a0\n}\n")
    assert "p0.0 read a0; m uffd-copy u0 a0 =1 dontwake; m uffd-wake u0 a0" in found


def test_a_copy_to_another_process_goes_by_a_pin() -> None:
    ops = parse_program("m unpin k0\npar {\n  p0.0 process-write p1 a0 =1\n  p1.0 munmap a0\n}\n")
    found = [order for order in orders(ops, NONE) if len(order.ops) == 5]
    texts = ["; ".join(map(format_operation, order.ops[1:])) for order in found]
    assert "p1.3 pin k1 a0 write; p1.0 munmap a0; m pin-write k1 a0 =1; m unpin k1 dirty" in texts
    assert all(set(order.of) == {0, 1, ~1, 2} for order in found)


def test_a_page_that_moves_may_be_reached_at_both_places() -> None:
    found = texts("par {\n  p0.0 mremap a0 a4\n  p0.1 read a0\n}\n")
    assert "p0.0 mremap a0 a4; p0.1 read a4" in found
    assert "p0.0 mremap a0 a4; p0.1 read a0" in found
    assert texts("par {\n  p0.0 mremap a1+16 a17\n  p0.1 read a16\n}\n")  # nothing is beyond the region
    assert not any("a4; p1.0 read a4" in text for text in texts("par {\n  p0.0 mremap a0 a4\n  p1.0 read a0\n}\n"))


def test_a_page_is_dropped_before_it_is_a_guard_page() -> None:
    found = texts("par {\n  p0.0 guard-install a0\n  p0.1 read a0\n}\n")
    assert "p0.0 madvise a0 dontneed; p0.1 populate a0 read; p0.1 read a0; p0.0 guard-install a0" in found


def test_what_takes_a_page_of_a_file_away_may_take_its_protection_away() -> None:
    found = texts("m uffd-read u0 u1\npar {\n  p0.0 madvise a0 remove\n  p0.1 write a0 =1\n}\n")
    ends = "m uffd-resolve u1 a0 dontwake"
    assert f"m uffd-read u0 u1; p0.0 madvise a0 remove; {ends}; p0.1 write a0 =1" in [
        text.replace("p0.1 populate a0 read; p0.1 populate a0 write; ", "") for text in found
    ]
    assert not any(ends in text for text in texts("par {\n  p0.0 madvise a0 dontneed\n  p0.1 write a0 =1\n}\n"))


def test_what_is_in_the_swap_cache_alone_may_be_taken_when_it_is_mapped_again() -> None:
    found = texts("par {\n  m drop-swap-cache\n  p0.0 write a3 =1\n}\n")
    assert "m drop-swap-cache; p0.0 write a3 =1; m swap-out p0 a3" in [
        text.replace("p0.0 populate a3 read; p0.0 populate a3 write; ", "") for text in found
    ]


def test_protection_may_come_to_the_last_page_first() -> None:
    found = texts("par {\n  m uffd-wp u0 a0+2\n  p0.0 munmap a0+2\n}\n")
    assert "m uffd-wp u0 a1; p0.0 munmap a0+2; m uffd-wp u0 a0" in found
    populated = texts("par {\n  p0.1 populate a0+2 read\n  p0.0 munmap a0+2\n}\n")
    assert not any(text.startswith("p0.1 populate a1 read") for text in populated)


def test_pages_of_an_operation_that_waits_are_steps() -> None:
    """It goes on between them when it is woken."""
    found = texts("p0.0 pin k0 a0+3 write\npar {\n  m uffd-copy u0 a0 =1\n  p0.1 pagemap-scan a1+2 written\n}\n")
    assert any(text.endswith("scan a1 written; m uffd-copy u0 a0 =1; p0.1 pagemap-scan a2 written") for text in found)


def test_while_an_event_waits_protection_ends_by_registering_anew() -> None:
    block = "m uffd-register u0 a0 missing,wp\npar {\n  p0.0 madvise a0 remove\n  p0.1 read a0\n}\n"
    anew = "p0.0 madvise a0 remove; m uffd-unregister u0 a0; m uffd-register u0 a0 missing,wp; p0.1"
    assert any(anew in text for text in texts(f"p0.0 uffd-open u0 event-fork\n{block}"))
    assert not any(anew in text for text in texts(f"p0.0 uffd-open u0 wp-async\n{block}"))


def test_steps_that_are_run_without_preemptions_are_run_once() -> None:
    ops = parse_program("p0.0 mmap a0 rw\npar {\n  p0.0 munmap a0\n  p0.1 munmap a1\n}\n")
    assert len(list(coarse(ops, NONE))) == 1


def test_a_forced_pin_begins_with_another_one() -> None:
    found = texts("par {\n  p0.0 pin k0 a0 force,longterm\n  m uffd-wp u0 a0\n}\n")
    assert "p0.0 pin k1 a0 force; m unpin k1; m uffd-wp u0 a0; p0.0 pin k0 a0 longterm,force" in found
    assert not any("unpin" in text for text in texts("par {\n  p0.0 pin k0 a0 write\n  m uffd-wp u0 a0\n}\n"))


def test_what_cuts_a_file_may_take_the_protection_of_all_that_show_the_page() -> None:
    maps = "".join(f"p0.0 mmap-file a{slot}+2 rw f0 @{page} private\n" for slot, page in ((0, 4), (2, 5), (6, 0)))
    found = texts(f"p0.0 uffd-open u0\n{maps}par {{\n  p0.0 read a1\n  p0.1 file-truncate f0 @0\n}}\n")
    ends = {text.count("uffd-resolve") for text in found}
    assert ends == {0, 2}
    assert any("uffd-resolve u0 a1 dontwake" in text and "uffd-resolve u0 a2 dontwake" in text for text in found)


def test_what_ksm_is_at_may_not_be_moved() -> None:
    moves = "par {{\n  p0.0 uffd-move u0 a4 a0\n  {}\n}}\n"
    for beside, may in (("m ksm-merge p0 a0", True), ("p0.1 read a0", False)):
        ops = parse_program(moves.format(beside))
        assert any(0 in order.idle for order in orders(ops, NONE)) is may
    assert may_come_to(ops[0], Status.ERROR, errno.EBUSY)
    assert not may_come_to(ops[0], Status.ERROR, errno.EINVAL)


def test_what_an_access_has_begun_is_its_first_step() -> None:
    (write,) = parse_program("p0.1 write a3 =1\n")
    step = begun(write)
    assert step is not None
    assert format_operation(alone(step)) == "p0.1 populate a3 write"
    (pin,) = parse_program("p0.1 pin k0 a3+2\n")
    assert begun(pin) is None
