"""The rules of userfaultfds: registration, page operations, waking, messages."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import (
    DONE,
    FEATURE_EVENT_FORK,
    FEATURE_EVENT_REMAP,
    FEATURE_EVENT_REMOVE,
    FEATURE_EVENT_UNMAP,
    FEATURE_SIGBUS,
    FEATURE_WP_ASYNC,
    FEATURE_WP_UNPOPULATED,
    PROCESS_MASK,
    Memory,
    failed,
)
from faultline.oracle.state import (
    ANON,
    EXCLUSIVE,
    GUARD,
    PRESENT,
    REG_MINOR,
    REG_MISSING,
    REG_WP,
    REGISTERED,
    SLOT_SHIFT,
    UFFD_WP,
    VMA_BITS,
    WRITE,
    ZERO,
    Context,
    EventWaiter,
    ForkWaiter,
    Outcome,
    Process,
    RemoveWaiter,
    Waiter,
    home_of,
)
from faultline.program.codec import Operation
from faultline.program.ops import COPY_MODE, REGISTER_MODE, SLOTS, WAKE_MODE
from faultline.program.trace import Event, Skip, Status

_NO_HANDLE: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_HANDLE), 0)
_HANDLE_USED: Final[Outcome] = (int(Status.SKIPPED), int(Skip.HANDLE_USED), 0)
_EAGAIN: Final = failed(errno.EAGAIN)
_EBUSY: Final = failed(errno.EBUSY)
_EINVAL: Final = failed(errno.EINVAL)
_ENOENT: Final = failed(errno.ENOENT)
_ENOMEM: Final = failed(errno.ENOMEM)
_ESRCH: Final = failed(errno.ESRCH)

_MODE_BITS: Final = {"missing": REG_MISSING, "wp": REG_WP, "minor": REG_MINOR}
_REGISTER_BITS: Final = tuple(
    sum(_MODE_BITS[word] for i, word in enumerate(REGISTER_MODE.words) if mode >> i & 1)
    for mode in range(REGISTER_MODE.lo + REGISTER_MODE.count)
)
_COPY_WP, _COPY_DONTWAKE = (1 << COPY_MODE.words.index(word) for word in ("wp", "dontwake"))
_DONTWAKE: Final = 1 << WAKE_MODE.words.index("dontwake")

_EVENT_PAGEFAULT: Final = int(Event.PAGEFAULT)
_EVENT_FORK: Final = int(Event.FORK)

#: Each feature with the difference that says which kernels offer it.
_OFFERED: Final = (
    (FEATURE_EVENT_FORK, versions.EVENT_FORK),
    (FEATURE_SIGBUS, versions.SIGBUS),
    (FEATURE_WP_UNPOPULATED, versions.WP_UNPOPULATED),
    (FEATURE_WP_ASYNC, versions.WP_ASYNC),
    (FEATURE_EVENT_REMAP, versions.EVENTS),
    (FEATURE_EVENT_REMOVE, versions.EVENTS),
    (FEATURE_EVENT_UNMAP, versions.EVENTS),
)


class Userfault(Memory):
    """The operations on userfaultfds."""

    _handles: list[Context | None]

    # --- the object ---

    def _op_uffd_open(self, op: Operation) -> Outcome:
        _, task, handle, features = op
        if self._handles[handle] is not None:
            self._rule = rules.SKIP_USED
            return _HANDLE_USED
        for feature, offered in _OFFERED if features else ():
            if features & feature and not self._holds[offered]:
                self._rule = rules.UFFD_FEATURE
                return _EINVAL
        if features & FEATURE_WP_ASYNC:
            features |= FEATURE_WP_UNPOPULATED
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        self._handles[handle] = Context(process, features)
        self._events_asked |= features
        self._rule = rules.UFFD_OPEN
        return DONE

    def _op_uffd_close(self, op: Operation) -> Outcome:
        context = self._handles[op[2]]
        if context is None:
            return self._no_handle()
        self._rule = rules.UFFD_CLOSE
        self._handles[op[2]] = None
        context.closed = True
        process = context.mm
        if process.alive:
            for slot, owner in enumerate(process.contexts):
                if owner is context:
                    self._unregister_slot(process, slot, self._holds[versions.CLOSE_CLEARS])
        self._wake(context, 0, SLOTS)
        for waiter in list(context.events):
            self._flushed(waiter)
            self._event_over(waiter)
        return DONE

    def _event_over(self, waiter: EventWaiter) -> None:
        """The event that the operation waits for was read or flushed; the next one's turn, or the operation goes on."""
        queue = waiter.queue
        context, _ = queue.pop(0)
        context.events.remove(waiter)
        self._changed(context)
        if isinstance(waiter, ForkWaiter) and waiter.may_fail:
            self._fail_fork(waiter)
        while queue:
            context, _ = queue[0]
            if self._is_left_out(waiter):
                self._changed(context)
            elif not context.closed:
                context.events.append(waiter)
                return
            else:
                self._flushed(waiter)
            queue.pop(0)
        del self._blocked[waiter.task]
        if isinstance(waiter, RemoveWaiter):
            self._woken.append(waiter)
            return
        self._ended.append((waiter.task, waiter.index, *self._outcome_after(waiter)))
        if isinstance(waiter, ForkWaiter) and waiter.outcome == DONE:
            self._born(waiter.child, waiter.open_bits)

    def _fail_fork(self, waiter: ForkWaiter) -> None:
        """Ends the fork if the backend shows that it failed, after the event."""
        if self._saw(waiter.index) != _ENOMEM:
            return
        self._met[rules.FAILED_FORK] = None
        for context, _ in waiter.queue:
            self._changed(context)
        waiter.queue.clear()
        waiter.outcome = _ENOMEM
        self._discard(waiter.child)

    def _flushed(self, waiter: EventWaiter) -> None:
        """Nobody will read the event whose turn it is."""
        unborn = waiter.queue[0][1]
        if isinstance(waiter, ForkWaiter) and isinstance(unborn, Context):
            self._release(waiter.child, unborn)

    def _release(self, child: Process, unborn: Context) -> None:
        """The child goes without this userfaultfd, as its event was flushed."""
        for slot, owner in enumerate(child.contexts):
            if owner is unborn:
                child.contexts[slot] = None
                child.row[slot] &= ~REGISTERED
                self._leave_stale(child, slot, rules.FLUSHED_BIT)
        child.packed = None

    def _no_handle(self) -> Outcome:
        self._rule = rules.SKIP_NO_HANDLE
        return _NO_HANDLE

    # --- registration ---

    def _op_uffd_register(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, mode = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        bits = _REGISTER_BITS[mode]
        if bits & REG_MINOR and not self._holds[versions.REGISTER_MINOR]:
            self._rule = rules.REGISTER_KIND
            return _EINVAL
        process = context.mm
        if not process.alive:
            self._rule = rules.UFFD_GONE_RANGE
            return _ENOMEM
        end = start + pages
        row, contexts = process.row, process.contexts
        if not any(row[start:end]):
            self._rule = rules.REGISTER_EMPTY
            return self._empty_range(process, end)
        files = process.backing is not None or bits & REG_MINOR
        for slot, owner in enumerate(contexts[start:end], start):
            if files and row[slot] and not self._can_register(process, slot, bits, context):
                self._rule = rules.REGISTER_KIND
                return _EINVAL
            if owner is not None and owner is not context:
                self._rule = rules.REGISTER_BUSY
                return _EBUSY
            if owner is not None and row[slot] & REG_WP & ~bits and self._holds[versions.REGISTER_KEEPS_WP]:
                self._rule = rules.REGISTER_DROPS
                return _EBUSY
        self._rule = rules.REGISTER
        for slot in range(start, end):
            word = row[slot]
            if not word:
                continue
            if contexts[slot] is not None:
                self._also(rules.REGISTER_AGAIN)
                if word & bits == bits:
                    continue
                if not bits & REG_WP:
                    self._leave_stale(process, slot, rules.REREGISTER_BIT)
                    word = row[slot]
            contexts[slot] = context
            row[slot] = word & ~REGISTERED | bits
        self._cut(process, start, end)
        return DONE

    def _empty_range(self, process: Process, end: int) -> Outcome:
        """The error for a range that has no mapping."""
        above = any(process.row[end:SLOTS])
        return _EINVAL if above or self._holds[versions.EMPTY_RANGE] else _ENOMEM

    def _can_register(self, process: Process, slot: int, bits: int, context: Context) -> bool:
        backing = process.backing[slot] if process.backing is not None else None
        if backing is None:
            return not bits & REG_MINOR
        if not backing[0].shmem:
            return bits == REG_WP and bool(context.features & FEATURE_WP_ASYNC)
        return not bits & REG_WP or self._holds[versions.WP_SHMEM]

    def _op_uffd_unregister(self, op: Operation) -> Outcome:
        _, _, handle, start, pages = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        process = context.mm
        if not process.alive:
            self._rule = rules.UFFD_GONE_RANGE
            return _ENOMEM
        end = start + pages
        if not any(process.row[start:end]):
            self._rule = rules.UNREGISTER_EMPTY
            return self._empty_range(process, end)
        if process.backing is not None and not self._can_unregister(process, start, end, context):
            self._rule = rules.UNREGISTER_KIND
            return _EINVAL
        self._rule = rules.UNREGISTER
        owners = {owner for owner in process.contexts[start:end] if owner is not None}
        if owners - {context}:
            self._rule = rules.UNREGISTER_OTHER
            if self._holds[versions.UNREGISTER_OWN]:
                return _EINVAL
        for slot in range(start, end):
            owner = process.contexts[slot]
            if owner is not None:
                if process.row[slot] & REG_MISSING and owner.waiters:
                    self._also(rules.UNREGISTER_WAKES)
                    self._wake(owner, slot, slot + 1)
                self._unregister_slot(process, slot, self._holds[versions.UNREGISTER_CLEARS])
        self._cut(process, start, end)
        return DONE

    @staticmethod
    def _can_unregister(process: Process, start: int, end: int, context: Context) -> bool:
        assert process.backing is not None
        stored = [slot for slot in range(start, end) if (at := process.backing[slot]) is not None and not at[0].shmem]
        asynchronous = bool(context.features & FEATURE_WP_ASYNC)
        return all(asynchronous and process.row[slot] & REGISTERED == REG_WP for slot in stored)

    def _unregister_slot(self, process: Process, slot: int, clears: bool) -> None:
        row = process.row
        if row[slot] & REG_WP:
            if clears:
                self._clear_wp(process, row, slot)
                self._stale.pop(process.number << SLOT_SHIFT | slot, None)
            else:
                self._leave_stale(process, slot, rules.UNREGISTER_BIT)
        row[slot] &= ~REGISTERED
        process.contexts[slot] = None
        process.packed = None

    # --- write protection ---

    def _op_uffd_wp(self, op: Operation) -> Outcome:
        _, _, handle, start, pages = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        return self._protect(context, start, start + pages, True)

    def _op_uffd_resolve(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, mode = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        outcome = self._protect(context, start, start + pages, False)
        if outcome is DONE and not mode & _DONTWAKE:
            self._wake(context, start, start + pages)
        return outcome

    def _protect(self, context: Context, start: int, end: int, protect: bool) -> Outcome:
        if context.changing:
            self._rule = rules.UFFD_CHANGING
            return _EAGAIN
        process = context.mm
        if not process.alive:
            self._rule = rules.UFFD_GONE_RANGE
            return _ESRCH
        row = process.row
        if not self._holds[versions.WP_MAPPINGS] and not self._is_one_mapping(process, start, end):
            self._rule = rules.WP_RANGE
            return _ENOENT
        if not all(row[start:end]) and not self._passes_hole(process, start, end):
            self._rule = rules.WP_RANGE
            return _ENOENT
        self._rule = rules.WP if protect else rules.RESOLVE
        process.packed = None
        for slot in range(start, end):
            word = row[slot]
            if not word:
                continue
            if not word & REG_WP:
                self._rule = rules.WP_RANGE
                if slot > start:
                    self._also(rules.WP_BEFORE)
                return _ENOENT
            if protect:
                self._protect_slot(process, slot, word)
            elif word & UFFD_WP:
                self._clear_wp(process, row, slot)
            if self._stale:
                self._forget(process, slot, slot + 1)
        return DONE

    def _passes_hole(self, process: Process, start: int, end: int) -> bool:
        """Whether the range is worked on although it has holes: kernels do that, against their documentation."""
        mapped = [word for word in process.row[start:end] if word]
        if not all(word & REG_WP for word in mapped):
            return True
        seen = self._seen_record()
        if not mapped or seen is None or (seen[1] != Status.DONE and seen[3] != errno.ENOMEM):
            return False
        self._met[rules.WP_HOLE] = None
        return True

    def _protect_slot(self, process: Process, slot: int, word: int) -> None:
        if word & PRESENT or slot in process.swapped:
            process.row[slot] = word | UFFD_WP
            return
        if word & GUARD:
            return
        owner = process.contexts[slot]
        assert owner is not None
        of_file = process.backing is not None and process.backing[slot] is not None
        if not owner.features & FEATURE_WP_UNPOPULATED and not of_file:
            return
        if not process.poisoned >> slot & 1 and not word & UFFD_WP:
            self._also(rules.WP_UNPOPULATED_FILE if of_file else rules.WP_UNPOPULATED)
            process.row[slot] = word | UFFD_WP
            self._marks_missing(process, slot)

    # --- filling missing pages ---

    def _op_uffd_copy(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, value, mode = op
        context = self._fillable(handle, start, start + pages)
        if not isinstance(context, Context):
            return context
        process = context.mm
        row = process.row
        bits = PRESENT | EXCLUSIVE | value
        self._rule = rules.COPY
        if mode & _COPY_WP:
            if not row[start] & REG_WP:
                self._rule = rules.COPY_WP_MODE
                return failed(errno.EINVAL, -errno.EINVAL)
            self._rule = rules.COPY_WP
            if row[start] & WRITE or self._holds[versions.COPY_WP_READ_ONLY]:
                bits |= UFFD_WP
        if process.backing is not None and process.backing[start] is not None:
            return self._fill_file(context, op, value, bits & UFFD_WP, bool(mode & _COPY_DONTWAKE))
        slot = start
        while slot < start + pages and not row[slot] & PRESENT and slot not in process.swapped:
            if row[slot] & GUARD and not self._fills_guard(slot - start):
                break
            if process.poisoned >> slot & 1:
                if self._stops_at_poison(slot - start, False):
                    break
                process.poisoned &= ~(1 << slot)
            row[slot] = row[slot] & VMA_BITS | bits
            row[ANON] += 1
            process.pages[slot] = [process.number << SLOT_SHIFT | slot]
            if self._huge:
                process.homes[slot] = home_of(slot, self._index)
            slot += 1
        process.touched |= self._mask(start, slot)
        return self._filled(context, start, slot - start, pages, bool(mode & _COPY_DONTWAKE))

    def _fills_guard(self, filled: int) -> bool:
        """Whether the kernel puts a page in the place of a guard page, after so many others."""
        self._also(rules.FILL_GUARD)
        seen = self._seen_record()
        return seen is not None and seen[4] > filled

    def _op_uffd_zeropage(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, mode = op
        context = self._fillable(handle, start, start + pages)
        if not isinstance(context, Context):
            return context
        process = context.mm
        row = process.row
        self._rule = rules.ZEROPAGE
        if process.backing is not None and process.backing[start] is not None:
            return self._fill_file(context, op, -1, 0, bool(mode & _DONTWAKE))
        slot = start
        while slot < start + pages and not row[slot] & (PRESENT | GUARD) and slot not in process.swapped:
            if row[slot] & UFFD_WP and self._stops_at_marker(slot - start):
                break
            if process.poisoned >> slot & 1:
                if self._stops_at_poison(slot - start, True):
                    break
                process.poisoned &= ~(1 << slot)
            row[slot] = row[slot] & VMA_BITS | PRESENT
            process.pages[slot] = ZERO
            slot += 1
        process.touched |= 1 << start
        return self._filled(context, start, slot - start, pages, bool(mode & _DONTWAKE))

    def _stops_at_marker(self, filled: int) -> bool:
        """Whether the kernel takes a protected missing page for one that exists, against its documentation."""
        seen = self._seen_record()
        if seen is None or seen[1] != Status.ERROR or seen[4] != (filled or -errno.EEXIST):
            return False
        self._met[rules.MARKER_ZEROPAGE] = None
        return True

    def _stops_at_poison(self, filled: int, usual: bool) -> bool:
        """Whether the kernel takes a poisoned slot for a page that exists; documentation says nothing of it."""
        self._also(rules.POISON_FILL)
        seen = self._seen_record()
        if seen is None:
            return usual
        return seen[1] == Status.ERROR and seen[4] == (filled or -errno.EEXIST)

    def _fillable(self, handle: int, start: int, end: int) -> Context | Outcome:
        """The userfaultfd that is to fill pages of the range, or what forbids it."""
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        return self._fill_error(context, start, end) or context

    def _fill_error(self, context: Context, start: int, end: int) -> Outcome | None:
        """What forbids filling any page of the range."""
        if context.changing:
            self._rule = rules.UFFD_CHANGING
            return failed(errno.EAGAIN, -errno.EAGAIN if self._holds[versions.CHANGING_COUNT] else 0)
        process = context.mm
        if not process.alive:
            self._rule = rules.UFFD_GONE
            return _ESRCH
        if self._is_one_mapping(process, start, end):
            return None
        self._rule = rules.FILL_RANGE
        return failed(errno.ENOENT, -errno.ENOENT)

    def _is_one_mapping(self, process: Process, start: int, end: int) -> bool:
        """Whether the range lies within one registered mapping."""
        row, contexts = process.row, process.contexts
        owner, vma = contexts[start], row[start] & VMA_BITS
        whole = owner is not None
        for slot in range(start + 1, end):
            if row[slot] & VMA_BITS != vma or contexts[slot] is not owner or not self._continues(process, slot - 1):
                whole = False
        if whole and process.edges & self._mask(start + 1, end):
            self._also(rules.FILL_MAPPINGS)
            seen = self._seen_record()
            whole = seen is None or seen[1] != Status.ERROR or seen[3] != errno.ENOENT
        return whole

    def _fill_file(self, context: Context, op: Operation, value: int, wp: int, dontwake: bool) -> Outcome:
        """Fills missing pages of a file mapping with the byte, or, if it is negative, with zeroes."""
        raise NotImplementedError

    def _filled(
        self, context: Context, start: int, filled: int, pages: int, dontwake: bool, error: int = errno.EEXIST
    ) -> Outcome:
        process = context.mm
        process.packed = None
        if self._stale:
            self._forget(process, start, start + filled)
        if not filled:
            if error == errno.EEXIST:
                self._rule = rules.FILL_EXISTS
            return failed(error, -error)
        if not dontwake:
            self._wake(context, start, start + filled)
        if filled == pages:
            return (int(Status.DONE), 0, filled)
        self._also(rules.FILL_PART)
        return failed(errno.EAGAIN, filled)

    # --- waking and messages ---

    def _op_uffd_wake(self, op: Operation) -> Outcome:
        _, _, handle, start, pages = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        self._rule = rules.WAKE
        self._wake(context, start, start + pages)
        return DONE

    def _wake(self, context: Context, start: int, end: int) -> None:
        for waiter in list(context.waiters):
            if start <= waiter.slot < end:
                context.waiters.remove(waiter)
                del self._blocked[waiter.task]
                self._woken.append(waiter)

    def _op_uffd_read(self, op: Operation) -> Outcome:
        _, _, handle, child_handle = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        if self._handles[child_handle] is not None:
            self._rule = rules.SKIP_USED
            return _HANDLE_USED
        faults = [waiter for waiter in context.waiters if not waiter.read]
        messages: list[tuple[Outcome, Waiter | EventWaiter]] = [(self._message(w), w) for w in faults]
        for event in context.events:
            messages += ((message, event) for message in self._event_messages(event, child_handle))
        if not messages:
            self._rule = rules.MESSAGE_NONE
            return _EAGAIN
        outcome, waiter = messages[0]
        if len(messages) > 1:
            self._also(rules.MESSAGE_ORDER)
            seen = self._seen_record()
            if seen is not None:
                said = (seen[1], seen[3], seen[4])
                outcome, waiter = self._read_as([m for m in messages if m[0] == said] or messages[:1])
        if isinstance(waiter, Waiter):
            waiter.read = True
            self._rule = rules.MESSAGE
            return outcome
        unborn = waiter.queue[0][1]
        if isinstance(unborn, Context):
            self._rule = rules.MESSAGE_FORK
            self._handles[child_handle] = unborn
        else:
            self._rule = rules.MESSAGE_EVENT
        if isinstance(waiter, RemoveWaiter):
            waiter.stop, waiter.edges = waiter.at + outcome[2], 0
        self._event_over(waiter)
        return outcome

    def _read_as(self, messages: list[tuple[Outcome, Waiter | EventWaiter]]) -> tuple[Outcome, Waiter | EventWaiter]:
        """One of several messages that are alike; of events, who goes on tells them apart."""
        events = [message for message in messages if isinstance(message[1], EventWaiter)]
        return events[self._choose(len(events))] if events else messages[0]

    @staticmethod
    def _event_messages(waiter: EventWaiter, child_handle: int) -> Iterator[Outcome]:
        """What the event that the task waits for may say."""
        message = waiter.queue[0][1]
        if isinstance(message, Context):
            yield (int(Status.DONE), _EVENT_FORK, child_handle + 1)
            return
        yield message
        if isinstance(waiter, RemoveWaiter):
            for stop in range(waiter.at + 1, waiter.stop):
                if waiter.edges >> stop & 1:
                    yield (*message[:2], stop - waiter.at)

    @staticmethod
    def _message(waiter: Waiter) -> Outcome:
        return (int(Status.DONE), _EVENT_PAGEFAULT | waiter.flags << 8 | waiter.slot << 16, 0)
