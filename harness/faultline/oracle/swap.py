"""The rules of swap and reclaim.

Reclaim may take what it likes of what it is given, so the oracle looks at what the backend reports: each mapping of a
page it was given stays or becomes a swap entry.  Contents, protection and registration stay; a page in swap exists, so
it is not missing.  Who comes back from swap may share the page with others who did, or have a copy.
"""

from __future__ import annotations

import errno
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import DONE, PROCESS_MASK, Memory, Outcome
from faultline.oracle.pins import HOLDING
from faultline.oracle.state import (
    ALONE,
    ANON,
    CONTENT,
    EXCLUSIVE,
    MERGEABLE,
    PRESENT,
    REG_MISSING,
    REG_WP,
    SLOT_MASK,
    SLOT_SHIFT,
    SWAP,
    SWAP_ENTRIES,
    UFFD_WP,
    VMA_BITS,
    ZERO,
    FilePage,
    ForkWaiter,
    Process,
    SwapEntry,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, OPS, SLOTS
from faultline.program.trace import Skip, Status

_NO_PROCESS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_PROCESS), 0)
_BUSY: Final[Outcome] = (int(Status.SKIPPED), int(Skip.BUSY), 0)
_FREE, _COLD, _PAGEOUT = (ADVICE.words.index(word) for word in ("free", "cold", "pageout"))
_POPULATE: Final = BY_NAME["populate"].code
_KSM: Final = frozenset(BY_NAME[name].code for name in ("ksm-merge", "ksm-scan"))
_DONE: Final = int(Status.DONE)
_BLOCKED: Final = int(Status.BLOCKED)
_ERROR: Final = int(Status.ERROR)
#: What a call says that cannot read a page; populating says EHWPOISON of one that is lost, which errno does not know.
_UNREADABLE: Final = (errno.EFAULT, errno.EIO, 133)


class Swap(Memory):
    """The operations of reclaim, and the way into swap and back."""

    _perhaps: list[int]
    _marks: bool
    _closely: bool
    _tainted: bool
    _guessed: bool
    _unborn: bool
    """Reclaim has worked on pages of a child that was not born yet."""
    _unread: list[list[int]]
    """Pages that came back from swap, and may have been mapped although they could not be read."""
    _snapshots: bool
    """The backend's trace, if there is one, has snapshots."""

    def _shmem_reads_may_fail(self) -> None:
        """As _reads_may_fail(), of shared memory."""
        raise NotImplementedError

    # --- the operations ---

    def _op_swap_out(self, op: Operation) -> Outcome:
        _, _, _, start, pages = op
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._rule = rules.RECLAIM
        self._reclaim(process, range(start, start + pages))
        return DONE

    def _op_swapoff(self, _: Operation) -> Outcome:
        if self._blocked:
            self._rule = rules.SKIP_SWAPOFF
            return _BUSY
        self._rule = rules.SWAPOFF
        seen = self._saw(self._index)
        fails = seen is not None and seen[0] == int(Status.ERROR)
        for entry in list(self._swap):
            slots = [self._slot_of(key) for key in entry.users]
            slots.sort(key=lambda at: bool((self._seen_word(*at) or 0) & EXCLUSIVE))
            for process, slot in slots:
                if entry.bad and (self._seen_word(process, slot) or 0) & SWAP:
                    self._lose(process, slot)
                elif not fails or not (self._seen_word(process, slot) or 0) & SWAP:
                    self._may_bring_back_else(entry, self._seen_word(process, slot))
                    self._swap_in(process, slot)
                    if not self._holds[versions.SWAPOFF_KEEPS]:
                        self._brought_back(process, slot, entry)
        return DONE

    def _may_bring_back_else(self, entry: SwapEntry, seen: int | None) -> None:
        """Kernels map a page that could not be read, whatever it holds."""
        if self._holds[versions.SWAPOFF_KEEPS] or not entry.bad or seen is None or seen & CONTENT == entry.content:
            return
        entry.content = seen & CONTENT
        self._met[rules.SWAPOFF_UNREAD] = None

    def _brought_back(self, process: Process, slot: int, entry: SwapEntry) -> None:
        """Kernels lose bits of what swapoff brings back, and map what could not be read."""
        page = process.pages[slot]
        if entry.bad and page:
            assert isinstance(page, list)
            self._unread.append(page)
        key = process.number << SLOT_SHIFT | slot
        if process.row[slot] & UFFD_WP:
            self._once.append((key, UFFD_WP, rules.SWAPOFF_BITS, -1))

    def _op_drop_swap_cache(self, _: Operation) -> Outcome:
        self._rule = rules.DROP_SWAP_CACHE
        return DONE

    def _advise_pages(self, process: Process, slots: list[int], advice: int) -> bool:
        if self._huge and slots and advice in (_FREE, _COLD):
            self._may_split(process, slots)
        if advice == _FREE:
            self._rule = rules.LAZY_FREE
            for slot in slots:
                self._give_up(process, slot)
        elif advice == _PAGEOUT:
            self._rule = rules.RECLAIM
            self._reclaim(process, slots)
        elif advice == _COLD:
            self._rule = rules.COLD
        else:
            return False
        return True

    # --- out ---

    def _reclaim(self, process: Process, slots: range | list[int]) -> None:
        """Of the pages of these slots, some mappings of each may have gone to swap."""
        for other in self._living if self._guessed else ():
            self._hold_reclaimed(other)
        pages = {id(page): page for slot in slots if (page := process.pages[slot])}
        if self._tainted or self._guessed:
            pages.update(self._reclaimed_too())
            for waiter in self._blocked.values():
                if isinstance(waiter, ForkWaiter):
                    waiter.child.unseen = self._unborn = self._closely = True
        if self._huge:
            self._may_split(process, slots)
            pages.update(self._reclaimed_too())
        for page in pages.values():
            assert isinstance(page, list)
            if isinstance(page, FilePage):
                self._reclaim_file_page(page)
            else:
                self._reclaim_page(page)

    def _hold_reclaimed(self, process: Process) -> None:
        """What was taken for the zero page, when it could not be told which pages had become that, and has gone to
        swap, was a page of its process; see _adopt_kept()."""
        for slot, page in enumerate(process.pages):
            seen = self._seen_word(process, slot) if page is ZERO else None
            if seen is not None and seen & (PRESENT | SWAP) == SWAP:
                process.pages[slot] = [process.number << SLOT_SHIFT | slot]
                process.row[ANON] += 1
                process.packed = None

    def _reclaimed_too(self) -> dict[int, list[int]]:
        """Reclaim takes a folio as a whole, and a page with mappings that KSM gave it unseen: pages that it was not
        given may be gone too, wherever they are."""
        gone: dict[int, list[int]] = {}
        for process in self._living:
            for slot, page in enumerate(process.pages):
                seen = self._seen_word(process, slot) if page and not isinstance(page, FilePage) else None
                if seen is not None and not seen & PRESENT:
                    assert isinstance(page, list)
                    gone[id(page)] = page
        return gone

    def _reclaim_file_page(self, page: FilePage) -> None:
        """The page of a file may be mapped no longer; the file, or what is behind it, keeps its content."""
        for key in list(page):
            process, slot = self._slot_of(key)
            seen = self._seen_word(process, slot)
            if seen is None:
                self._perhaps.append(key)
            elif not seen & PRESENT:
                self._also(rules.MAP_AROUND)
                self._zap(process, slot)
        held = page.frame is not None and page.frame.holds
        page.perhaps_hole = not page and not page.content and not page.written and not held

    def _reclaim_page(self, page: list[int]) -> None:
        entry: SwapEntry | None = None
        words = {key: self._seen_word(*self._slot_of(key)) for key in page if self._live >> (key >> SLOT_SHIFT) & 1}
        stay = [word for word in words.values() if word is not None and word & PRESENT]
        for key in [*sorted(words), *sorted(set(page) - words.keys())]:
            process, slot = self._slot_of(key)
            if self._frames and self._pinned(process, slot):
                continue
            seen = words.get(key)
            if key not in words:
                process.unseen = self._unborn = self._closely = True
                seen = self._seen_of_parent(process, slot, words)
                if seen is not None and seen & PRESENT and len(stay) == 1 and stay[0] & EXCLUSIVE:
                    seen = SWAP
            if seen is not None and seen & PRESENT:
                continue
            if seen is not None and not seen & SWAP and process.unseen and process not in self._living:
                continue  # discarded, or kept since it was given up elsewhere alone: see _settle_child()
            if seen is not None and not seen & SWAP and self._given_up(process, slot):
                self._discard_lazy(process, slot)
                continue
            entry = entry or self._entry(page, process.row[slot] & CONTENT)
            self._swap_out(process, slot, page, entry)

    def _seen_of_parent(self, child: Process, slot: int, words: dict[int, int | None]) -> int | None:
        """The word to go by for a slot of a child that is not born yet and cannot be seen: that of its parent, or of
        the last of those that map the page."""
        fork = self._fork_of(child)
        key = (fork.task & PROCESS_MASK) << SLOT_SHIFT | slot if fork is not None else -1
        return words[key] if key in words else words[max(words)] if words else None

    def _given_up(self, process: Process, slot: int) -> bool:
        """Whether reclaim may discard the page; also because kernels do, against their documentation."""
        if process.lazy >> slot & 1:
            return True
        if slot not in process.doomed:
            return False
        self._met[process.doomed[slot]] = None
        return True

    def _settle_child(self, child: Process) -> None:
        if self._guessed:
            self._hold_reclaimed(child)
        for slot in range(SLOTS):
            seen, page = self._seen_word(child, slot), child.pages[slot]
            if seen is None:
                return
            if page and not seen & PRESENT and seen & SWAP:
                assert isinstance(page, list)
                self._swap_out(child, slot, page, self._entry(page, child.row[slot] & CONTENT))
            elif page and not seen & PRESENT and self._given_up(child, slot):
                self._discard_lazy(child, slot)
            elif slot in child.swapped and seen & PRESENT:
                self._swap_in(child, slot)

    def _entry(self, page: list[int], content: int) -> SwapEntry:
        """The place of the page in swap."""
        for entry in self._swap:
            if entry.page is page:
                return entry
        entry = SwapEntry(content, page)
        entry.bad = entry.unread = self._is_unread(page)
        self._swap.append(entry)
        return entry

    def _swap_out(self, process: Process, slot: int, page: list[int], entry: SwapEntry) -> None:
        key = process.number << SLOT_SHIFT | slot
        process.pages[slot] = None
        process.row[ANON] -= 1
        self._leave(page, key)
        process.row[slot] = process.row[slot] & ~(CONTENT | PRESENT | EXCLUSIVE) | SWAP
        process.row[SWAP_ENTRIES] += 1
        process.swapped[slot] = entry
        process.doomed.pop(slot, None)
        if process.homes.get(slot) == ALONE:
            del process.homes[slot]  # it may come back in a folio
        process.packed = None
        entry.users.append(key)

    def _give_up(self, process: Process, slot: int) -> None:
        """MADV_FREE for one slot: what is in swap is mostly discarded at once, what is in memory mostly later."""
        seen = self._seen_word(process, slot)
        if process.poisoned >> slot & 1:
            process.poisoned ^= 1 << slot
            process.row[slot] &= VMA_BITS
            process.packed = None
        elif slot in process.swapped:
            process.lazy |= 1 << slot
            if seen is None or not seen & SWAP:
                self._discard_lazy(process, slot)
        elif process.pages[slot]:
            process.lazy |= 1 << slot
            self._doom(process, slot)
            if seen is not None and not seen & PRESENT:
                self._discard_lazy(process, slot)

    def _doom(self, process: Process, slot: int) -> None:
        for key in process.pages[slot] or ():
            other, at = self._slot_of(key)
            if not other.lazy >> at & 1:
                other.doomed[at] = rules.FREE_SHARED

    def _discard_lazy(self, process: Process, slot: int) -> None:
        """The page is gone, and with it what protected it."""
        self._also(rules.LAZY_FREE)
        if process.row[slot] & UFFD_WP:
            self._also(rules.DONTNEED_WP)
        page = process.pages[slot]
        if page is not None:
            self._drop_page(process, slot, page)
        else:
            self._drop_swapped(process, slot)
        process.row[slot] &= VMA_BITS
        self._keep(process, slot)
        process.packed = None

    def _is_discarded(self, process: Process, slot: int, index: int) -> bool:
        if self._snapshots:
            return False
        seen, word = self._saw(index), process.row[slot]
        if seen is None:
            return False
        loads = OPS[self._ops[index][0]].name.endswith("read")
        zeroes = loads and seen[0] == _DONE and not seen[1] and word & CONTENT
        missing = seen[0] == _BLOCKED and word & REG_MISSING and not (word & REG_WP and word & UFFD_WP)
        if not zeroes and not missing:
            return False
        self._discard_lazy(process, slot)
        return True

    # --- back ---

    def _reads_may_fail(self) -> None:
        """A read from swap fails in the present operation: of which page, and of which beside it, is not known."""
        for entry in self._swap:
            entry.bad = True
        self._shmem_reads_may_fail()

    def _is_unreadable(self, process: Process, slot: int, index: int) -> bool:
        entry = process.swapped[slot]
        fails = entry.bad and self._shows_bad_read(process, slot, index)
        if fails and entry.unread:
            self._met[rules.SWAPOFF_UNREAD] = None
        return fails

    def _shows_bad_read(self, process: Process, slot: int, index: int) -> bool:
        word, seen = self._seen_word(process, slot), self._saw(index)
        if seen is None or seen[0] == _BLOCKED or (word is None and seen[0] == _DONE):
            return False
        op = self._ops[index]
        if seen[0] == _DONE and (op[0] not in HOLDING or seen[2] > slot - op[3]):
            return False  # it was there, whatever became of it since
        if seen[0] == _ERROR and seen[1] not in _UNREADABLE:
            return False
        if word is not None and word & PRESENT and (index == self._index or seen[0] == _DONE):
            return False  # else another task that was woken has brought the page back since
        if word is not None and word & PRESENT and op[0] == _POPULATE and slot + 1 < op[2] + op[3]:
            return bool(self._choose(2))  # or it is another page that cannot be had
        self._rule = rules.SWAP_READ_ERROR
        return True

    def _lose(self, process: Process, slot: int) -> None:
        """swapoff could not read the page: who accesses it is told."""
        self._also(rules.SWAPOFF_ERROR)
        self._drop_swapped(process, slot)
        process.row[slot] &= VMA_BITS
        process.row[slot] |= SWAP
        process.poisoned |= 1 << slot
        self._marks = self._closely = True

    def _drop_swapped(self, process: Process, slot: int) -> None:
        if self._frames:
            self._let_go(process, slot)
        process.homes.pop(slot, None)
        self._forget_entry(process, slot)

    def _forget_entry(self, process: Process, slot: int) -> None:
        entry = process.swapped.pop(slot)
        entry.users.remove(process.number << SLOT_SHIFT | slot)
        process.row[SWAP_ENTRIES] -= 1
        process.packed = None
        if not entry.users:
            self._swap.remove(entry)

    def _carry_swapped(self, process: Process, source: int, target: int) -> None:
        entry = process.swapped[target] = process.swapped.pop(source)
        base = process.number << SLOT_SHIFT
        entry.users[entry.users.index(base | source)] = base | target

    def _swap_in(self, process: Process, slot: int) -> int:
        self._also(rules.SWAP_IN)
        entry = process.swapped[slot]
        self._forget_entry(process, slot)
        if entry.merged:
            self._also(rules.KSM_SWAP)
            self._tainted = True
        if slot in process.homes:
            process.homes[slot] %= SLOTS  # the folio that it comes back in is another
        word = process.row[slot] & ~SWAP | PRESENT | entry.content
        process.row[ANON] += 1
        page = self._page_for(entry, self._seen_word(process, slot))
        process.pages[slot] = page
        page.append(process.number << SLOT_SHIFT | slot)
        if len(page) == 1:
            word |= EXCLUSIVE
        else:
            self._unmark_exclusive(page[0])
        process.row[slot] = word
        return word

    def _page_for(self, entry: SwapEntry, seen: int | None) -> list[int]:
        """The page that a slot gets for what is in swap, by the word that the backend shows for the slot."""
        page = self._cached_page(entry)
        if seen is None or not seen & PRESENT:
            return page
        if seen & EXCLUSIVE:
            return [] if page else page
        if len(page) == 1 and (self._seen_word(*self._slot_of(page[0])) or 0) & EXCLUSIVE:
            page = entry.page = []  # a copy for that one alone, as KSM's pages may need; others have another
        joined = self._merged_meanwhile(entry)
        if joined is None:
            return page
        if not page and len(joined) == 1 and not self._is_joined_by_others(joined):
            return joined  # alone in its page until now, and no longer
        if page or any(self._is_shared(*self._slot_of(key)) for key in entry.users):
            return joined if self._choose(2) else page
        return joined

    def _is_joined_by_others(self, page: list[int]) -> bool:
        """Whether slots that this very operation brings back may share the page, as it is theirs."""
        keys = [key for entry in self._swap if entry.page is page for key in entry.users]
        return any(self._is_shared(*self._slot_of(key)) for key in keys)

    def _is_shared(self, process: Process, slot: int) -> bool:
        seen = self._seen_word(process, slot)
        return seen is not None and seen & (PRESENT | EXCLUSIVE) == PRESENT

    def _merged_meanwhile(self, entry: SwapEntry) -> list[int] | None:
        """A page of the same contents that KSM may have replaced by the one that the swap cache holds."""
        found: list[list[int]] = []
        if not any(op[0] in _KSM for op in self._ops[: self._index]):
            return None
        for process in self._living:
            for slot, page in enumerate(process.pages):
                word = process.row[slot]
                same = word & MERGEABLE and word & CONTENT == entry.content
                if page and same and self._is_shared(process, slot):
                    assert isinstance(page, list)
                    found.append(page)
        return min(found, key=len, default=None)

    def _cached_page(self, entry: SwapEntry) -> list[int]:
        """The page that the swap cache may hold for the entry; KSM may have put another in its place meanwhile."""
        page = entry.page
        if page:
            process = self._processes[page[0] >> SLOT_SHIFT]
            if process is None or process.pages[page[0] & SLOT_MASK] is not page:
                page = entry.page = []
        return page

    def _unmark_exclusive(self, key: int) -> None:
        process, slot = self._slot_of(key)
        process.row[slot] &= ~EXCLUSIVE
        process.packed = None

    def _is_unread(self, page: list[int]) -> bool:
        return any(page is unread for unread in self._unread)

    def _stays_cached(self, page: list[int], own: list[int]) -> None:
        if self._is_unread(page):
            self._unread.append(own)
        for entry in self._swap:
            if entry.page is page:
                entry.page = own

    def _is_cached(self, page: list[int]) -> bool:
        return any(entry.page is page for entry in self._swap)

    def _inherit_swapped(self, parent: Process, child: Process) -> None:
        for slot, entry in parent.swapped.items():
            if not child.row[slot] & SWAP:
                continue  # not for the child
            child.swapped[slot] = entry
            entry.users.append(child.number << SLOT_SHIFT | slot)
