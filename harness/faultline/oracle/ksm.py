"""The rules of KSM.

KSM may merge what it likes of what it may, so the oracle takes the sharing that the backend reports, if it is allowed:
pages of one group have equal contents; a slot that changed its page lies in a mergeable mapping; the page it has now
was made by KSM, or a mergeable mapping held it; no slot leaves its page except for a page of another.
"""

from __future__ import annotations

from collections.abc import Iterator

from faultline.oracle import rules
from faultline.oracle.memory import DONE, Memory
from faultline.oracle.state import (
    CONTENT,
    EXCLUSIVE,
    FILE,
    MERGEABLE,
    SLOT_MASK,
    SLOT_SHIFT,
    UFFD_WP,
    FilePage,
    FilledPage,
    ForkWaiter,
    KsmPage,
    OpenBits,
    Outcome,
    Pin,
    Process,
    StuckPage,
)
from faultline.program.codec import Operation
from faultline.program.ops import SLOTS
from faultline.program.trace import Skip, Status

_NO_PROCESS: Outcome = (int(Status.SKIPPED), int(Skip.NO_PROCESS), 0)

Group = list[int]
"""Slots of all processes that share a page."""


class Ksm(Memory):
    """The KSM operations and the sharing map."""

    _pins: list[Pin | None]
    _unread: list[list[int]]
    _tainted: bool
    """KSM may have merged pages of a process that the sharing map cannot name."""
    _merged: bool
    """The present operation is KSM's, so its record has a sharing map."""
    _unseen: set[int]
    """The contents of pages that only the swap cache or a reference may hold, when KSM was at work last."""

    def _op_ksm_merge(self, op: Operation) -> Outcome:
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        if self._huge:
            self._may_split(process, range(op[3], op[3] + op[4]))
        return self._op_ksm_scan(op)

    def _op_ksm_scan(self, op: Operation) -> Outcome:
        self._closely = True
        unborn = [waiter for waiter in self._blocked.values() if isinstance(waiter, ForkWaiter)]
        for waiter in unborn:
            waiter.open_bits += self._protected(waiter.child)
            self._tainted |= any(self._scanned(waiter.child, slot) for slot in range(SLOTS))
        # who finds that a page is held parts with its own page too, see _may_leave()
        self._tainted |= bool(unborn and self._frames)
        if unborn and self._tainted:
            for process in self._living:
                self._once += self._protected(process)
        for process in self._living if self._may_fail else ():
            self._once += self._protected(process)  # merged, and then given its own page again
        self._unseen = set()
        if self._swap or any(self._pins):
            self._merge_with_unseen()
        self._rule = rules.KSM
        return DONE

    def _merge_with_unseen(self) -> None:
        """Merging with a page that only the swap cache or a reference holds shows nowhere else, until it is mapped."""
        swapped = {entry.content for entry in self._swap}
        contents = swapped.union(*(hold.allowed for pin in self._pins if pin is not None for hold in pin.holds))
        self._unseen = contents
        for process in self._living:
            self._once += [bits for bits in self._protected(process) if self._word(bits[0]) & CONTENT in contents]
            self._tainted |= any(
                process.row[slot] & CONTENT in swapped and self._scanned(process, slot) for slot in range(SLOTS)
            )

    @staticmethod
    def _scanned(process: Process, slot: int) -> bool:
        return bool(process.pages[slot]) and process.row[slot] & (MERGEABLE | FILE) == MERGEABLE

    def _protected(self, process: Process) -> Iterator[OpenBits]:
        """The bits that merging with a page that the sharing map cannot name may drop."""
        for slot in range(SLOTS):
            if process.row[slot] & UFFD_WP and self._scanned(process, slot):
                yield process.number << SLOT_SHIFT | slot, UFFD_WP, rules.KSM_BIT, -1

    # --- the sharing map ---

    def _sharing(self) -> bytes:
        """The sharing map of the present state."""
        live = self._live
        shares = bytearray()
        for process in self._living:
            base = process.number << SLOT_SHIFT
            for slot, page in enumerate(process.pages):
                own = base | slot
                shares.append(min(key for key in page if live >> (key >> SLOT_SHIFT) & 1) if page else own)
        return bytes(shares)

    def _adopt_sharing(self, shares: bytes) -> None:
        """Takes over the sharing that the backend reports, if KSM may have made it."""
        if len(shares) != len(self._living) * SLOTS or shares == self._sharing():
            return
        groups = self._groups(shares)
        if groups is None or (self._frames and self._merges_pinned(groups)):
            return
        kept = self._kept_pages(groups)
        if kept is not None:
            self._share(groups, kept)

    def _page(self, key: int) -> list[int]:
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        page = process.pages[key & SLOT_MASK]
        assert isinstance(page, list)
        return page

    def _groups(self, shares: bytes) -> list[Group] | None:
        """The slots by page; None if slots without a page, or with unequal ones, are said to share."""
        groups: dict[int, Group] = {}
        at = iter(shares)
        for process in self._living:
            for slot, page in enumerate(process.pages):
                key, first = process.number << SLOT_SHIFT | slot, next(at)
                if page:
                    groups.setdefault(first, []).append(key)
                elif first != key:
                    return None
        for first, group in groups.items():
            content = self._word(group[0]) & CONTENT
            if group[0] != first or any(self._word(key) & CONTENT != content for key in group):
                return None
        return list(groups.values())

    def _merges_pinned(self, groups: list[Group]) -> bool:
        """Whether a page that a device relies on is said to be shared."""
        for group in groups:
            for key in group if len(group) > 1 else ():
                process = self._processes[key >> SLOT_SHIFT]
                assert process is not None
                if self._pinned(process, key & SLOT_MASK):
                    return True
        return False

    def _kept_pages(self, groups: list[Group]) -> list[list[int]] | None:
        """For each group the page, of those that its slots had, that they share now; None if KSM may not do that."""
        if self._tainted:
            return [self._page(group[0]) for group in groups]
        if self._may_hold_back():
            # who may leave a page comes after those who keep it
            groups.sort(key=lambda group: (all(self._word(key) & MERGEABLE for key in group), -len(group)))
        kept: list[list[int]] = []
        taken: set[int] = set()
        open_groups: list[int] = []
        for group in groups:
            pages = {id(page): page for page in map(self._page, group)}
            bound = {id(self._page(key)) for key in group if self._word(key) & (MERGEABLE | FILE) != MERGEABLE}
            if len(pages) == 1:
                bound = set(pages)
            elif len(bound) > 1:
                return None
            if bound & taken:
                if not self._may_leave(group):
                    return None
                kept.append([])
                continue
            taken |= bound
            if not bound:
                open_groups.append(len(kept))
            kept.append(pages[min(bound)] if bound else [])
        for i in open_groups:
            free = [page for page in map(self._page, groups[i]) if id(page) not in taken]
            if not free and self._word(groups[i][0]) & CONTENT in self._unseen:
                kept[i] = KsmPage()  # one that no slot shows
                continue
            if not free:
                return None
            kept[i] = free[0]
            taken.add(id(kept[i]))
            if any(not self._live >> (key >> SLOT_SHIFT) & 1 for page in map(self._page, groups[i]) for key in page):
                self._tainted = True
        for group, page in zip(groups, kept, strict=True):
            mine = [key for key in group if self._page(key) is page]
            if isinstance(page, FilePage) and len(mine) < len(group):
                return None
            offered = isinstance(page, KsmPage) or any(self._word(key) & MERGEABLE for key in mine)
            if len(mine) < len(group) and not offered and page:
                return None
            if len(mine) < len(group) and isinstance(page, StuckPage):
                self._met[rules.UNMERGE_WP] = None
        return kept

    def _may_leave(self, group: Group) -> bool:
        """Whether these slots may get a page of their own: KSM does that if it finds only then that another page, which
        somebody holds, or which is gone since its folio was split, cannot be merged with theirs, or that there is no
        memory to note it."""
        return self._may_hold_back() and len(group) == 1 and bool(self._word(group[0]) & MERGEABLE)

    def _may_hold_back(self) -> bool:
        """Whether a page that no slot shows, or the lack of memory, may be in KSM's way, or be what KSM merges with."""
        return bool(self._may_fail or self._frames or self._huge or self._swap or any(self._pins))

    def _share(self, groups: list[Group], kept: list[list[int]]) -> None:
        old = {key: self._page(key) for group in groups for key in group}
        unseen = {id(page): [key for key in page if key not in old] for page in old.values()}
        unread = {id(page) for page in old.values() if self._is_unread(page)}
        # what KSM has others leave, it has made its own before
        parts = [group for group, page in zip(groups, kept, strict=True) if not page and not isinstance(page, KsmPage)]
        left = {id(old[key]) for group in parts for key in group}
        for group, page in zip(groups, kept, strict=True):
            if isinstance(page, FilePage):
                unseen.pop(id(page))
                continue
            merged = any(old[key] is not page for key in group)
            if merged:
                self._lose_protection(group)
            made = KsmPage if (merged and page) or isinstance(page, KsmPage) or id(page) in left else list
            new: list[int] = made(group + unseen.pop(id(page), []))
            if made is list and isinstance(page, FilledPage):
                filled = FilledPage(new)
                filled.stored = page.stored
                new = filled
            if any(id(old[key]) in unread for key in group):
                self._unread.append(new)
            self._install(new, page)
        for was, rest in unseen.items():
            if rest and was in unread:
                self._unread.append(rest)
            if rest:
                self._install(rest)

    def _install(self, page: list[int], instead: list[int] | None = None) -> None:
        for entry in self._swap:
            if entry.page is instead:
                entry.page = page
        for frame in self._orphans:
            frame.left = [page if left is instead else left for left in frame.left]
        if isinstance(page, KsmPage):
            self._merge_given_up(page)
        for key in page:
            process = self._processes[key >> SLOT_SHIFT]
            assert process is not None
            process.pages[key & SLOT_MASK] = page
            process.packed = None
            if len(page) == 1:
                process.row[key & SLOT_MASK] |= EXCLUSIVE
            else:
                process.row[key & SLOT_MASK] &= ~EXCLUSIVE

    def _merge_given_up(self, page: list[int]) -> None:
        """Kernels may discard a KSM page that a slot gave up, whoever is merged with it after."""
        slots = [(self._processes[key >> SLOT_SHIFT], key & SLOT_MASK) for key in page]
        if any(process and (process.lazy >> slot & 1 or slot in process.doomed) for process, slot in slots):
            for process, slot in slots:
                if process and not process.lazy >> slot & 1:
                    process.doomed[slot] = rules.FREE_MERGED

    def _lose_protection(self, group: Group) -> None:
        for key in group:
            if self._word(key) & UFFD_WP and self._word(key) & MERGEABLE:
                self._once.append((key, UFFD_WP, rules.KSM_BIT, -1))
