"""The rules of transparent huge pages.

Whether memory is mapped by huge pages is the kernel's choice, and contents, protection and events must not show it.
What shows is what is resident.  So the oracle takes over what the backend's snapshot says, where that is allowed:

- a fault in a range where a huge page may be used may fill the missing pages around it, with zeroes;
- collapsing fills the holes of its range, brings its pages back from swap, and gives its process pages of its own for
  shared ones;
- reclaim takes a folio as a whole, and a fault may bring back as much of it as the swap cache holds;
- splitting may map pages of zeroes to the zero page again;
- of shared memory, a huge page may fill the holes around a page of the file, and its pages are mapped, or mapped no
  longer, as a whole;
- a huge mapping covers the whole range of one page table, all of it present and of one mapping.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from itertools import combinations, islice
from struct import Struct
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import DONE, FEATURE_WP_ASYNC, PROCESS_MASK, Memory, Outcome, failed
from faultline.oracle.state import (
    ALONE,
    ANON,
    CONTENT,
    EXCLUSIVE,
    FILE,
    HUGE,
    HUGE_PAGES,
    MAPPED,
    PRESENT,
    REG_MISSING,
    REG_WP,
    SLOT_MASK,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    VMA_BITS,
    ZERO,
    Backing,
    FilePage,
    FilledPage,
    KsmPage,
    Pin,
    Process,
    home_of,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, SLOTS
from faultline.program.trace import COUNTERS, Bit, Skip, Status

_GROUPS: Final = tuple(range(start, start + HUGE_PAGES) for start in range(0, SLOTS, HUGE_PAGES))
#: Pages of the folios that the profile allows for anonymous memory.
_FOLIO_SIZES: Final = (HUGE_PAGES, HUGE_PAGES // 2)
_ROW: Final = Struct(f"<{SLOTS}I{COUNTERS.size // 4}i")
_FORK, _PIN = (BY_NAME[name].code for name in ("fork", "pin"))
_FRESH: Final = PRESENT | EXCLUSIVE
#: Of a page that was put there unasked: it holds zeroes, and has no bits of its own but these.
_FILLED: Final = frozenset((PRESENT, _FRESH))
#: How many sets of pages are tried, if it shows later alone which pages of zeroes are gone.
_WAYS_MAX: Final = 40
_MIXED: Final = int(Bit.MIXED)
_HUGEPAGE, _NOHUGEPAGE, _COLLAPSE = (ADVICE.words.index(word) for word in ("hugepage", "nohugepage", "collapse"))
_REFUSALS: Final = {error: failed(error) for error in (errno.EINVAL, errno.EAGAIN, errno.EBUSY, errno.ENOMEM)}
_NO_PROCESS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_PROCESS), 0)


class Huge(Memory):
    """The operations on huge pages, and what the kernel may do with them at any operation."""

    _rows_before: dict[int, bytes]
    """By process: its row at the last record."""
    _collapsing: tuple[Process, int] | None
    """A process and the mask of slots in which the present operation may collapse pages."""
    _pins: list[Pin | None]
    _perhaps: list[int]
    _tainted: bool
    _guessed: bool
    """Which pages of zeroes are the zero page since a split is a guess."""
    _splitting: list[tuple[int, frozenset[int]]]
    """Masks of the slots in which the folio may have been made that the present operation splits, and when: see
    :func:`~faultline.oracle.state.home_of`."""
    _observed_rows: list[tuple[Process, tuple[int, ...]]]
    """The processes whose row in the backend's snapshot is another than the oracle's, with that."""

    # --- operations ---

    def _op_madvise(self, op: Operation) -> Outcome:
        if op[4] not in (_HUGEPAGE, _NOHUGEPAGE, _COLLAPSE) or op[4] in self._unknown_advice:
            return super()._op_madvise(op)
        _, task, start, pages, advice = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        mask = self._mask(start, start + pages)
        whole = all(process.row[start : start + pages])
        shown = [backing for backing in process.backing[start : start + pages] if backing] if process.backing else []
        self._huge_files |= advice != _NOHUGEPAGE and any(file.shmem for file, _, _ in shown)
        if advice == _COLLAPSE:
            return self._collapse(process, mask, whole)
        self._rule = rules.HUGEPAGE if advice == _HUGEPAGE else rules.NOHUGEPAGE
        self._cut(process, start, start + pages)
        mapped = sum(1 << slot for slot in range(start, start + pages) if process.row[slot])
        process.nohuge = process.nohuge | mapped if advice == _NOHUGEPAGE else process.nohuge & ~mapped
        if whole:
            return DONE
        self._also(rules.MADVISE_HOLE)
        return _REFUSALS[errno.ENOMEM]

    def _collapse(self, process: Process, mask: int, whole: bool) -> Outcome:
        self._rule = rules.COLLAPSE
        self._collapsing = process, mask
        for slot, backing in enumerate(process.backing or ()):
            if backing is not None and mask >> slot & 1:
                self._doubt(backing[0], backing[1], backing[1] + 1)
        record = self._seen_record()
        if record is not None and record[1] == Status.ERROR and record[3] in _REFUSALS:
            self._rule = rules.COLLAPSE_REFUSED
            return _REFUSALS[record[3]]
        if whole:
            return DONE
        self._also(rules.MADVISE_HOLE)
        return _REFUSALS[errno.ENOMEM]

    def _op_khugepaged(self, op: Operation) -> Outcome:
        _, _, _, start, pages = op
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._rule = rules.KHUGEPAGED
        self._collapsing = process, self._mask(start, start + pages)
        return DONE

    def _op_split(self, op: Operation) -> Outcome:
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._may_split(process, (op[3],))
        self._rule = rules.SPLIT
        return DONE

    def _may_split(self, process: Process, slots: Iterable[int]) -> None:
        held = [slot for slot in slots if process.pages[slot] or slot in process.swapped]
        homes = [home for home in (process.homes.get(slot, slot) for slot in held) if home != ALONE]
        times = frozenset(home // SLOTS for home in homes)
        self._splitting = []
        for size in _FOLIO_SIZES:
            blocks = {home % SLOTS // size * size for home in homes}
            self._splitting.append((sum(self._mask(block, block + size) for block in blocks), times))
            self._splitting += [(self._mask(block, block + size), times) for block in sorted(blocks)]

    def _may_be_large(self, process: Process, slot: int) -> bool:
        start = slot // _FOLIO_SIZES[-1] * _FOLIO_SIZES[-1]
        beside = range(start, start + _FOLIO_SIZES[-1])
        if process.nohuge >> slot & 1 or process.hugetlb >> slot & 1:
            return False
        shown = process.backing
        anonymous = shown is None or not any(shown[other] for other in beside)
        if not anonymous or not all(self._one_mapping(process, slot, other) for other in beside):
            return False
        before = self._rows_before.get(process.number)
        if before is None or self._retried:  # what was there may have been dropped by another task that was woken
            return True
        return not any(word & (PRESENT | SWAP) for word in _ROW.unpack(before)[beside.start : beside.stop])

    def _is_near(self, key: int, homes: tuple[int, frozenset[int]]) -> bool:
        """Whether the page of a slot of all processes was made in one of these slots, wherever it was moved since."""
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        home, (slots, times) = process.homes.get(key % SLOTS, key % SLOTS), homes
        if home == ALONE or not slots >> home % SLOTS & 1:
            return False
        return 0 in times or not home // SLOTS or home // SLOTS in times

    def _distance(self, key: int) -> int:
        """How far the page of a slot of all processes was moved since it was made."""
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        return key % SLOTS - process.homes.get(key % SLOTS, key % SLOTS) % SLOTS

    # --- what the kernel did ---

    def _adopt_huge(self, op: Operation, at: int, sharing: bytes) -> None:
        """Takes over what huge pages made resident or not, from the snapshot at this place of the backend's trace.

        :param sharing: the record's sharing map, empty if it has none.
        """
        self._look_at_rows(at)
        for process, seen in self._observed_rows:
            self._adopt_filled(process, seen)
            if self._huge_files and process.backing is not None:
                self._look_at_files(process, process.backing, seen)
        if self._collapsing is not None:
            self._adopt_unshared(*self._collapsing)
            if self._holds[versions.COLLAPSE_SMALLER]:
                self._may_be_collapsed(*self._collapsing)
        if op[0] == _FORK and any(self._pins):
            parent, child = self._processes[op[1] & PROCESS_MASK], self._processes[op[2]]
            if parent is not None and child is not None and child.number not in self._rows_before:
                self._adopt_copied(parent, child)
        for process, seen in self._observed_rows if self._guessed else ():
            self._adopt_kept(process, seen)
        if self._guessed and len(sharing) == len(self._living) * SLOTS:
            self._adopt_shared(sharing)
            self._look_at_rows(at)
        for key in self._emptied(sharing):
            self._empty(key)

    def _look_at_rows(self, at: int) -> None:
        self._observed_rows = []
        observed = self._observed
        for process in self._living:
            if observed is not None and at + _ROW.size <= len(observed):
                if observed[at : at + _ROW.size] != process.pack():
                    self._observed_rows.append((process, _ROW.unpack_from(observed, at)))
                at += _ROW.size

    def _adopt_kept(self, process: Process, seen: tuple[int, ...]) -> None:
        """What was taken for the zero page, when it could not be told which pages of zeroes had become that, is a page
        of the process, alone or as it has more pages than was thought; another of them then is not."""
        zeroes = [slot for slot, page in enumerate(process.pages) if page is ZERO]
        zeroes = [slot for slot in zeroes if process.row[slot] & ~VMA_BITS == PRESENT]
        for slot in sorted(zeroes, key=lambda slot: ~seen[slot] & EXCLUSIVE):
            shown = seen[slot] & ~VMA_BITS
            if shown != _FRESH and (shown != PRESENT or process.row[ANON] >= seen[ANON]):
                continue
            process.pages[slot] = [process.number << SLOT_SHIFT | slot]
            process.row[slot] |= shown & EXCLUSIVE
            process.row[ANON] += 1
            process.packed = None
            self._also(rules.SPLIT_ZERO)

    def _adopt_shared(self, sharing: bytes) -> None:
        """What was taken for the zero page, see _adopt_kept(), is a page that the sharing map says others map too."""
        at = iter(sharing)
        groups: dict[int, list[int]] = {}
        for process in self._living:
            for slot in range(SLOTS):
                groups.setdefault(next(at), []).append(process.number << SLOT_SHIFT | slot)
        for group in groups.values():
            zeroes = [key for key in group if self._slot_of(key)[0].pages[key & SLOT_MASK] is ZERO]
            pages = {id(page): page for key in group if (page := self._slot_of(key)[0].pages[key & SLOT_MASK])}
            empty = all(self._word(key) & (PRESENT | CONTENT | FILE) == PRESENT for key in group)
            if len(group) < 2 or not zeroes or len(pages) > 1 or not empty:
                continue
            page = next(iter(pages.values()), [])
            assert isinstance(page, list)
            page += zeroes
            self._also(rules.SPLIT_ZERO)
            for key in page:
                process, slot = self._slot_of(key)
                process.pages[slot] = page
                process.row[slot] &= ~EXCLUSIVE
                process.row[ANON] += key in zeroes
                process.packed = None

    @staticmethod
    def _is_async(process: Process, slot: int) -> bool:
        context = process.contexts[slot]
        return context is not None and bool(context.features & FEATURE_WP_ASYNC)

    def _look_at_files(self, process: Process, shown: list[Backing | None], seen: tuple[int, ...]) -> None:
        """Huge pages of shared memory are mapped, and mapped no longer, as a whole; its content stays."""
        before = _ROW.unpack(self._rows_before.get(process.number) or process.pack())
        for slot, backing in enumerate(shown):
            if before[slot] & HUGE and process.row[slot] & ~seen[slot] & UFFD_WP and self._is_async(process, slot):
                self._met[rules.HUGE_FILE_WP] = None
                process.row[slot] &= ~UFFD_WP
                process.packed = None
            if backing is None or not backing[0].shmem or not (seen[slot] ^ process.row[slot]) & PRESENT:
                continue
            kept = seen[slot] & UFFD_WP or not process.row[slot] & REG_WP  # a bit that was left goes with the page
            if process.row[slot] & UFFD_WP and kept and isinstance(process.pages[slot], FilePage):
                self._zap(process, slot)
            else:
                self._perhaps.append(process.number << SLOT_SHIFT | slot)

    def _adopt_filled(self, process: Process, seen: tuple[int, ...]) -> None:
        before = self._rows_before.get(process.number)
        if before is None:
            return
        old = _ROW.unpack(before)
        collapsed = self._collapsing[1] if self._collapsing and self._collapsing[0] is process else 0
        for group in _GROUPS:
            row = process.row
            touched = [slot for slot in group if (old[slot] ^ row[slot]) & ~HUGE and row[slot] & PRESENT]
            # what a woken task's access brought, another may have dropped by now, without what came with it
            touched += [slot for slot in group if process.number << SLOT_SHIFT | slot in self._retried]
            if not touched and not collapsed & self._mask(group.start, group.stop):
                continue
            for slot in group:
                if collapsed >> slot & 1 or any(self._one_mapping(process, slot, other) for other in touched):
                    self._adopt_lost_wp(process, slot, old[slot], seen[slot])
                    if slot in process.swapped and seen[slot] & PRESENT:
                        self._swap_in(process, slot)  # collapsed, or of a folio that the swap cache holds
                    self._adopt_fill(process, slot, seen[slot] & ~HUGE)

    def _adopt_lost_wp(self, process: Process, slot: int, old: int, seen: int) -> None:
        """A long-term pin for reading of the huge zero page makes a huge page of it, which kernels do not protect."""
        lost = old & ~seen & UFFD_WP and old & HUGE and not old & (EXCLUSIVE | CONTENT)
        if lost and self._ops[self._index][0] == _PIN and self._holds[versions.HUGE_ZERO_WRITE]:
            process.row[slot] &= ~UFFD_WP
            process.packed = None
            self._met[rules.PIN_HUGE_WP] = None

    @staticmethod
    def _one_mapping(process: Process, slot: int, other: int) -> bool:
        row, contexts = process.row, process.contexts
        return (row[slot] ^ row[other]) & VMA_BITS == 0 and contexts[slot] is contexts[other]

    def _adopt_fill(self, process: Process, slot: int, seen: int) -> None:
        row, page = process.row, process.pages[slot]
        key = process.number << SLOT_SHIFT | slot
        word = row[slot] & ~(HUGE | UFFD_WP if key in self._stale else HUGE)
        filled = seen & ~VMA_BITS
        if word == seen or filled not in _FILLED:
            return
        nohuge = process.nohuge >> slot & 1
        if nohuge and not (row[slot] & HUGE and not page and self._holds[versions.HUGE_ZERO_WRITE]):
            return
        missed = word & (REG_MISSING | PRESENT) == REG_MISSING  # who misses pages is asked for each
        if not word & MAPPED or missed or process.hugetlb >> slot & 1:
            return
        if process.backing is not None and process.backing[slot] is not None:
            return
        if word & ~VMA_BITS and (page or word & ~VMA_BITS != PRESENT):  # it holds something, not the zero page
            return
        self._also(rules.HUGE_FILLS)
        if nohuge:
            self._met[rules.NOHUGE_ZERO] = None
        row[slot] = word & VMA_BITS | filled
        process.packed = None
        process.touched |= 1 << slot
        process.homes[slot] = home_of(slot, self._index)
        if filled & EXCLUSIVE:
            process.pages[slot] = FilledPage([key])
            row[ANON] += 1
        else:
            process.pages[slot] = ZERO

    def _adopt_copied(self, parent: Process, child: Process) -> None:
        """A folio that is pinned in part is copied at fork as a whole."""
        for process, seen in self._observed_rows:
            for slot, page in enumerate(child.pages):
                key = child.number << SLOT_SHIFT | slot
                if process is not parent or page is not parent.pages[slot] or not seen[slot] & EXCLUSIVE:
                    continue
                if page and len(page) == 2 and not isinstance(page, FilePage):
                    assert isinstance(page, list)
                    self._also(rules.HUGE_PINNED)
                    self._leave(page, key)
                    child.pages[slot] = [key]
                    child.row[slot] |= EXCLUSIVE
                    child.packed = None

    def _adopt_unshared(self, target: Process, mask: int) -> None:
        """Collapsing copies a page that is shared, so its process has one of its own then."""
        for process, seen in self._observed_rows:
            if process is not target:
                continue
            for slot in range(SLOTS):
                page = process.pages[slot]
                key = process.number << SLOT_SHIFT | slot
                if not page or not mask >> slot & 1 or not seen[slot] & HUGE or not seen[slot] & EXCLUSIVE:
                    continue
                if isinstance(page, FilePage):
                    continue
                if len(page) > 1 or isinstance(page, KsmPage):
                    assert isinstance(page, list)
                    self._also(rules.COLLAPSE_COPIES)
                    self._leave(page, key)
                    process.pages[slot] = [key]
                    process.row[slot] |= EXCLUSIVE
                    process.packed = None

    @staticmethod
    def _may_be_collapsed(process: Process, mask: int) -> None:
        """Pages of their own may be part of a folio now that is mapped page by page."""
        size = _FOLIO_SIZES[-1]
        for start in range(0, SLOTS, size):
            block = Memory._mask(start, start + size)
            if mask & block == block and not process.row[start] & HUGE:
                for slot in range(start, start + size):
                    home = process.homes.get(slot, slot)
                    process.homes[slot] = slot if home == ALONE else home % SLOTS

    def _emptied(self, sharing: bytes) -> list[int]:
        """The slots of all processes whose page of zeroes is the zero page now."""
        own = self._own_numbers(sharing)
        missing = {process.number: process.row[ANON] - seen[ANON] for process, seen in self._observed_rows}
        keys: set[int] = set()
        for process, seen in self._observed_rows:
            if missing[process.number] > 0:
                found = self._perhaps_emptied(process, seen)
                keys |= found if own is None else found & own
        if not keys:
            return []
        pages: dict[int, list[int]] = {}
        filled: list[list[int]] = []
        stored: list[list[int]] = []
        for key in sorted(keys):
            page = self._shared_by(key)
            visible = [user for user in page if self._processes[user >> SLOT_SHIFT] in self._living]
            if keys.issuperset(visible) and id(page) not in pages:
                pages[id(page)] = visible
                if isinstance(page, FilledPage):
                    (stored if page.stored else filled).append(visible)
        alone = [users for users in pages.values() if all(self._is_exclusive(key) for key in users)]
        near = [[users for users in pages.values() if self._is_near(users[0], homes)] for homes in self._splitting]
        ways: list[list[int]] = []
        # what was stored to may have been copied then, and be no part of the folio
        filled_near = [[users for users in some if users in filled] for some in near]
        near += [[users for users in some if users not in stored] for some in near] + filled_near
        for some in (alone, list(pages.values()), filled, *near):
            chosen = self._fitting(some, missing)
            if chosen is not None and set(chosen) not in map(set, ways):
                ways.append(chosen)
        if not ways:
            return self._emptied_apart(keys, missing)
        ways += [way for way in self._emptied_anyhow(keys, missing) if set(way) not in map(set, ways)]
        self._guessed |= len(ways) > 1
        return ways[self._choose(len(ways))]

    def _emptied_anyhow(self, keys: set[int], missing: dict[int, int]) -> list[list[int]]:
        """The sets of slots that may be gone if one process misses pages; which it is may show later."""
        left = [(number, most) for number, most in missing.items() if most > 0]
        if len(left) != 1:
            return []
        mine = sorted(key for key in keys if key >> SLOT_SHIFT == left[0][0])
        near = [[key for key in mine if self._is_near(key, homes)] for homes in self._splitting]
        alike = [  # pages of one folio were moved alike
            [key for key in some if self._distance(key) == far] for some in near for far in {*map(self._distance, some)}
        ]
        ways: dict[tuple[int, ...], None] = {}
        for some in (*sorted(alike, key=len), *sorted(near, key=len), mine):
            ways.update(dict.fromkeys(islice(combinations(some, left[0][1]), _WAYS_MAX)))
        return [list(way) for way in islice(ways, _WAYS_MAX)]

    def _perhaps_emptied(self, process: Process, seen: tuple[int, ...]) -> set[int]:
        found: set[int] = set()
        for slot, page in enumerate(process.pages):
            if not page or isinstance(page, FilePage) or process.row[slot] & CONTENT or not seen[slot] & PRESENT:
                continue
            if not seen[slot] & (EXCLUSIVE | CONTENT | _MIXED) and process.homes.get(slot) != ALONE:
                found.add(process.number << SLOT_SHIFT | slot)
        return found

    def _shared_by(self, key: int) -> list[int]:
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        page = process.pages[key % SLOTS]
        assert isinstance(page, list)
        return page

    def _is_exclusive(self, key: int) -> bool:
        process = self._processes[key >> SLOT_SHIFT]
        return process is not None and bool(process.row[key % SLOTS] & EXCLUSIVE)

    @staticmethod
    def _fitting(pages: list[list[int]], missing: dict[int, int]) -> list[int] | None:
        """The slots of those pages that must be gone if each process misses so many; None if that does not tell."""
        left = {number: most for number, most in missing.items() if most > 0}
        chosen: list[int] = []
        rest = pages
        while any(left.values()):
            for number, most in left.items():
                mine = [users for users in rest if any(key >> SLOT_SHIFT == number for key in users)]
                if not mine:
                    continue
                if sum(key >> SLOT_SHIFT == number for users in mine for key in users) == most:
                    gone = [key for users in mine for key in users]
                elif most <= 0:
                    gone = []
                else:
                    continue
                rest = [users for users in rest if users not in mine]
                chosen += gone
                for key in gone:
                    left[key >> SLOT_SHIFT] -= 1
                break
            else:
                return None
        return chosen

    def _emptied_apart(self, keys: set[int], missing: dict[int, int]) -> list[int]:
        """The same without regard to who shares a page: a mapping may forbid the zero page."""
        gone: list[int] = []
        for number, most in missing.items():
            mine = sorted(key for key in keys if key >> SLOT_SHIFT == number)
            alone = [key for key in mine if self._is_exclusive(key)]
            near = [[key for key in mine if self._is_near(key, homes)] for homes in self._splitting]
            chosen = next((chosen for chosen in (alone, mine, *near) if len(chosen) == most > 0), None)
            if chosen is None and 0 < most < len(mine):
                # which of them shows later, as a child that is not born yet has them too
                ways = self._emptied_anyhow(set(mine), {number: most})
                chosen, self._tainted, self._guessed = ways[self._choose(len(ways))], True, True
            gone += chosen or []
        return gone

    def _own_numbers(self, sharing: bytes) -> set[int] | None:
        """The slots that share their page with no other, by the sharing map; None without one."""
        if len(sharing) != len(self._living) * SLOTS:
            return None
        numbers = [process.number << SLOT_SHIFT | slot for process in self._living for slot in range(SLOTS)]
        named = [first for own, first in zip(numbers, sharing, strict=True) if first != own]
        return {own for own, first in zip(numbers, sharing, strict=True) if first == own} - set(named)

    def _empty(self, key: int) -> None:
        process, slot = self._processes[key >> SLOT_SHIFT], key % SLOTS
        assert process is not None
        page = process.pages[slot]
        if not page:
            return
        assert isinstance(page, list)
        self._also(rules.SPLIT_ZERO)
        unborn = [other for other in page if self._processes[other >> SLOT_SHIFT] not in self._living]
        for each in (key, *unborn):
            mapper, at = self._processes[each >> SLOT_SHIFT], each % SLOTS
            assert mapper is not None
            page.remove(each)
            mapper.pages[at] = ZERO
            mapper.row[at] &= ~EXCLUSIVE
            mapper.row[ANON] -= 1
            mapper.packed = None
        if len(page) == 1:
            self._mark_exclusive(page[0])

    def _show_huge(self) -> None:
        """Takes over which ranges huge pages map, where that can be; ends the record's part of this."""
        for process, seen in self._observed_rows:
            before = _ROW.unpack(self._rows_before.get(process.number) or process.pack())
            for group in _GROUPS:
                huge = HUGE if self._is_huge(process, group, seen) else 0
                collapsed = huge and self._collapsing is not None and not before[group.start] & HUGE
                for slot in group:
                    process.row[slot] = process.row[slot] & ~HUGE | huge
                    if huge and (process.homes.get(slot) == ALONE or collapsed):
                        process.homes[slot] = home_of(slot, self._index)
            process.packed = None
        self._rows_before = {process.number: process.pack() for process in self._living}
        self._collapsing = None
        self._splitting = []
        self._retried = set()

    def _is_huge(self, process: Process, group: range, seen: tuple[int, ...]) -> bool:
        row, first = process.row, group.start
        if process.hugetlb >> first & 1:
            return bool(row[first] & PRESENT)
        return all(
            seen[slot] & HUGE and row[slot] & PRESENT and self._one_mapping(process, slot, first) for slot in group
        )
