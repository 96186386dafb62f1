"""Broken rules: each must make the oracle disagree with what a live kernel did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from oracle_cases import CASES, CHOICES
from oracle_dsl import SMALL_PAGES, mismatches, parse

from faultline.oracle import Oracle, memory, rules, userfault
from faultline.oracle.state import ANON, SLOT_MASK, SLOT_SHIFT, ZERO, KsmPage
from faultline.program.trace import Bit


def _nothing(*_: Any) -> None:
    return None


def _without(bit: int) -> Callable[[Any], Any]:
    """A handler after which no row has the bit."""

    def broken(original: Any) -> Any:
        def handler(self: Any, op: Any) -> Any:
            outcome = original(self, op)
            for process in self._living:
                for slot in range(ANON):
                    process.row[slot] &= ~bit
                process.packed = None
            return outcome

        return handler

    return broken


def _done(_: Any) -> Any:
    return lambda self, op: memory.DONE


def _zero_counts(original: Any) -> Any:
    def load(self: Any, op: Any, index: int, process: Any, slot: int, *need: int) -> Any:
        outcome = original(self, op, index, process, slot, *need)
        process.row[ANON] += process.pages[slot] is ZERO
        return outcome

    return load


def _shared_write(original: Any) -> Any:
    def copy_page(self: Any, process: Any, slot: int, key: int, page: Any) -> None:
        if page:
            for other in page:
                owner = self._processes[other >> SLOT_SHIFT]
                owner.row[other & SLOT_MASK] = owner.row[other & SLOT_MASK] & ~Bit.CONTENT | 2
                owner.packed = None
        original(self, process, slot, key, page)

    return copy_page


def _never(*_: Any) -> bool:
    return False


def _always_two(_: Any) -> Any:
    return lambda self, hold, content: 2


def _keeps_waiting(_: Any) -> Any:
    return lambda self, context, start, end: None


def _child_keeps_wp(_: Any) -> Any:
    return lambda process, row, slot: None


def _first_message_only(original: Any) -> Any:
    def read(self: Any, op: Any) -> Any:
        outcome = original(self, op)
        return (outcome[0], outcome[1] & 0xFFFF, outcome[2])

    return read


def _never_ends(_: Any) -> Any:
    return lambda self, waiter: waiter.queue[0][0].events.remove(waiter)


def _wake_forgets_retry(_: Any) -> Any:
    return lambda self, waiter: memory.DONE


#: What is broken, where, how, and the script that shows it.
CANARIES = {
    "mmap keeps what was there": (Oracle, "_unmap", lambda _: _nothing, "mmap"),
    "mprotect does nothing": (Oracle, "_op_mprotect", _done, "mprotect"),
    "dontneed keeps the page": (Oracle, "_dontneed", lambda _: _nothing, "dontneed"),
    "a hole is no error": (Oracle, "_op_madvise", _done, "madvise over a hole"),
    "the zero page is counted": (Oracle, "_load", _zero_counts, "read maps the zero page"),
    "a write reaches the other mapper": (Oracle, "_copy_page", _shared_write, "fork shares, write copies"),
    "the last mapper is not exclusive": (Oracle, "_mark_exclusive", lambda _: _nothing, "fork shares, write copies"),
    "a fork shares a pinned page": (Oracle, "_pinned", lambda _: _never, "fork copies a pinned page"),
    "a page that is let go takes its content along": (
        Oracle, "_let_go", lambda _: _nothing, "a pin outlives the mapping"
    ),
    "a reference follows another process": (
        Oracle, "_shown", _always_two, "a reference by the child that lets go"
    ),
    "a pin for reading takes a shared page": (
        Oracle, "_make_exclusive", lambda _: _never, "access by another process"
    ),
    "exit kills nobody": (Oracle, "_kill", lambda _: _nothing, "exit kills a fault"),
    "exit keeps its pages": (Oracle, "_discard", lambda _: _nothing, "exit"),
    "a child keeps the protection": (Oracle, "_clear_wp", _child_keeps_wp, "fork unregisters the child"),
    "a fork event is never over": (Oracle, "_event_over", _never_ends, "fork with its event"),
    "a flushed event leaves the child registered": (
        Oracle, "_release", lambda _: _nothing, "fork event flushed by close"
    ),
    "unregister keeps the range": (Oracle, "_unregister_slot", lambda _: _nothing, "uffd-unregister"),
    "nobody is woken": (Oracle, "_wake", _keeps_waiting, "missing faults"),
    "close wakes nobody": (Oracle, "_wake", _keeps_waiting, "uffd-close"),
    "a woken task does not look again": (
        Oracle, "_retry", _wake_forgets_retry, "a task woken too early stops again"
    ),
    "a message lost its slot": (Oracle, "_op_uffd_read", _first_message_only, "missing faults"),
    "register is not seen in smaps": (Oracle, "_op_uffd_register", _without(Bit.REG_WP), "uffd-register"),
    "protection is not seen in pagemap": (Oracle, "_op_uffd_wp", _without(Bit.UFFD_WP), "write protection"),
    "resolving does nothing": (Oracle, "_op_uffd_resolve", _done, "write protection of a shared page"),
    "copy does nothing": (Oracle, "_op_uffd_copy", _done, "uffd-copy"),
    "async mode is ignored": (memory, "FEATURE_WP_ASYNC", lambda _: 0, "async write protection"),
    "the SIGBUS feature is ignored": (memory, "FEATURE_SIGBUS", lambda _: 0, "sigbus"),
    "missing pages are not protected": (
        userfault, "FEATURE_WP_UNPOPULATED", lambda _: 0, "write protection of missing pages"
    ),
    "fork events are ignored": (memory, "FEATURE_EVENT_FORK", lambda _: 0, "fork with its event"),
    "WP of a fault is not said": (memory, "MESSAGE_WP", lambda _: 0, "uffd-copy with write protection"),
}


@pytest.mark.parametrize("name", CANARIES)
def test_canary(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, attribute, broken, case = CANARIES[name]
    script = parse(CASES[case])
    sound = Oracle().expect(script.ops).trace
    assert mismatches(script, sound) == []
    replacement = broken(getattr(where, attribute))
    if attribute == "_clear_wp":
        replacement = staticmethod(replacement)
    monkeypatch.setattr(where, attribute, replacement)
    try:
        # what a kernel without huge pages does must be so to the bit
        assert Oracle(has=SMALL_PAGES).expect(script.ops, sound).trace != sound
    except (AttributeError, KeyError, ValueError, AssertionError) as error:
        pytest.fail(f"the broken oracle fell over, which shows nothing: {error!r}")


def test_a_ksm_page_is_not_written_in_place() -> None:
    """Regression: a page that KSM made and one process alone maps is copied by a write, and KSM's no longer."""
    text = """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 madvise a0+2 mergeable
        m ksm-scan
        p0.0 write a0 =2
        p0.0 write a1 =2
        p0.0 fork p1
        p0.0 madvise a0+2 unmergeable
    """
    ops = parse(text).ops
    oracle = Oracle()
    merged = oracle.expect(ops[:5]).trace
    at = len(merged) - 140
    trace = bytearray(merged)
    trace[at - 4 - 32 + 1] = 0
    for slot in (0, 1):
        word = int.from_bytes(trace[at + slot * 4 : at + slot * 4 + 4], "little") & ~Bit.EXCLUSIVE
        trace[at + slot * 4 : at + slot * 4 + 4] = word.to_bytes(4, "little")
    assert oracle.expect(ops[:5], bytes(trace)).trace == trace
    page = oracle._processes[0].pages[0]
    assert isinstance(page, KsmPage)
    script = parse(text + "\n? p0 a0   2 present\n? p1 a1   2 present")
    assert mismatches(script, oracle.expect(ops, bytes(trace)).trace) == []


def test_every_rule_decides_some_script() -> None:
    """All but those that only a backend's choice, or another kernel version, brings up."""
    used = set()
    oracle = Oracle()
    for text in (CASES | CHOICES).values():
        ops = parse(text).ops
        expectation = oracle.expect(ops)
        used |= {rule.id for index in range(len(ops)) for rule in expectation.rules(index)}
    by_choice = (
        rules.FORK_ZERO_PAGE, rules.KSM_UNBORN, rules.KSM_SWAP, rules.RETRY_ORDER, rules.MREMAP_KSM, rules.MAP_AROUND,
    )  # fmt: skip
    chosen = {rules.RULES[i].id for i in by_choice}
    chosen |= {rules.RULES[i].id for i in (rules.SOFT_DIRTY_MERGE, rules.POISON_WP, rules.GUARD_WP, rules.MOVE_SWAPPED)}
    chosen |= {rules.RULES[i].id for i in (rules.SWAP_READ_ERROR, rules.SWAPOFF_ERROR, rules.RECLAIM_UNBORN)}
    versions = {
        rules.RULES[i].id
        for i in (
            rules.UFFD_FEATURE, rules.UNREGISTER_OTHER, rules.SKIP_LACKS, rules.FAIL_NO_MEMORY, rules.MADVISE_UNKNOWN,
            rules.MREMAP_PRIVATE, rules.REGISTER_DROPS, rules.SCAN_WRITTEN,
        )
    }
    huge = {
        rules.RULES[i].id
        for i in (
            rules.HUGE_FILLS, rules.HUGE_PINNED, rules.COLLAPSE_COPIES, rules.COLLAPSE_REFUSED, rules.SPLIT_ZERO,
            rules.SOFT_DIRTY_TABLE, rules.HUGE_HELD,
        )
    }  # fmt: skip
    assert {rule.id for rule in rules.RULES} - used == chosen | versions | huge


def test_rules_of_other_versions() -> None:
    open_async = parse("p0.0 uffd-open u0 wp-async -> EINVAL")
    assert mismatches(open_async, Oracle(tree_version=(6, 6)).expect(open_async.ops).trace) == []
    other = """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        p0.0 uffd-open u1
        m uffd-register u0 a0 wp
        m uffd-unregister u1 a0         -> {}
    """
    for version, outcome in (((6, 12), "done"), ((6, 18), "EINVAL")):
        script = parse(other.format(outcome))
        assert mismatches(script, Oracle(tree_version=version).expect(script.ops).trace) == []
    shared = """
        p0.0 mmap-shared a0 rw
        p0.0 mremap a0 a1 dontunmap     -> {}
    """
    for version, outcome in (((5, 10), "EINVAL"), ((6, 1), "done")):
        script = parse(shared.format(outcome))
        assert mismatches(script, Oracle(tree_version=version).expect(script.ops).trace) == []
    again = """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        m uffd-register u0 a0+2 missing,wp
        m uffd-register u0 a0 wp            -> done
        m uffd-register u0 a0+2 missing     -> {}
    """
    for version, outcome in (((7, 2), "done"), ((7, 3), "EBUSY")):
        script = parse(again.format(outcome))
        assert mismatches(script, Oracle(tree_version=version).expect(script.ops).trace) == []


def test_what_the_kernel_lacks_is_skipped() -> None:
    script = parse("""
        p0.0 mmap a0 rw             -> done
        m ksm-merge p0 a0           -> skipped lacks
        p3.0 uffd-open u0           -> skipped no_process
        p0.0 madvise a0 mergeable   -> EINVAL
    """)
    assert mismatches(script, Oracle(has={"uffd"}).expect(script.ops).trace) == []
    beyond = """
        p0.0 file-open f0 memfd @1
        p0.0 mmap-file a0+2 rw f0 @0 shared
        p0.0 uffd-open u0
        m uffd-register u0 a1 missing
        m uffd-copy u0 a1 =1            -> {}
        m uffd-continue u0 a1           -> {}
    """
    for version, outcomes in (((6, 18), ("EFAULT -14", "EINVAL -22")), ((7, 2), ("ENOMEM -12", "EFAULT -14"))):
        script = parse(beyond.format(*outcomes))
        assert mismatches(script, Oracle(tree_version=version).expect(script.ops).trace) == []
