"""Data races that may be: which accesses an entry stands for, and that a run passes over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faultline.backend.machine import MachineFinding, TakenLock, TaskChain
from faultline.campaign.source import corpora_dir
from faultline.kinds import FaultlineError, FindingKind
from faultline.program.schedule import Schedule, Taken
from faultline.program.text import parse_program
from faultline.verdict.finding import Place
from faultline.verdict.judge import machine_finding
from faultline.verdict.races import Access, KnownRace, Watched, known_races, read_races

FIELD = "vm_area_struct.anon_vma"
PLACES = {
    1: [Place("anon_vma_prepare", "include/linux/rmap.h", 1), Place("do_wp_page", "mm/memory.c", 2)],
    2: [Place("__anon_vma_prepare", "mm/rmap.c", 3)],
    3: [Place("folio_lock_anon_vma_read", "mm/rmap.c", 4)],
}
OPS = parse_program("p0.0 mmap a0 rw\npar {\np0.0 read a0\np0.1 read a0\n}\n")


def race(*places: str, holding: tuple[str, ...] = ()) -> KnownRace:
    one, other = places
    return KnownRace(FIELD, (one, other), ("6.12",), "so it is", "mm/rmap.c", holding)


def seen(frame: int, other: int, locks: tuple[TakenLock, ...] = (), written: str = "plain") -> MachineFinding:
    text = f"{FIELD}: read by a plain access, and before that written by a {written} access by another task"
    return MachineFinding(FindingKind.DATA_RACE, 1, 0, (frame,), other, text, locks, (TaskChain(8, 2, (), (), ""),))


NOTHING_TAKEN = Taken((), 0, 0, 0, 0)


@dataclass
class Machine:
    """Finds these, one in each run, but those that were ignored."""

    found: list[MachineFinding]
    runs: int = 0
    ignored: list[int] = field(default_factory=list)
    finding: MachineFinding | None = None
    taken: Taken = NOTHING_TAKEN

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes:
        raise NotImplementedError

    def run_last_first(self, wire: bytes) -> bytes:
        raise NotImplementedError

    def run_overlapping(
        self, wire: bytes, schedule: Schedule, *, paranoid: bool = False, races: bool = False
    ) -> bytes:
        assert races
        self.runs += 1
        left = [one for one in self.found if id(one) not in self.ignored]
        self.finding = left[0] if left else None
        return b"trace"

    def ignore_race(self) -> None:
        self.ignored.append(id(self.finding))


def watched(machine: Machine, *known: KnownRace) -> Watched:
    return Watched(machine, lambda offset: PLACES[offset], known)


def test_an_entry_fits_its_field_and_both_places_in_any_order() -> None:
    reads, writes = Access(PLACES[1], []), Access(PLACES[2], [])
    entry = race("__anon_vma_prepare", "do_wp_page")
    assert entry.fits(FIELD, reads, writes)
    assert entry.fits(FIELD, writes, reads)
    assert not entry.fits("vm_area_struct.vm_flags", reads, writes)
    assert not entry.fits(FIELD, writes, writes)
    assert not entry.fits(FIELD, reads, reads)


def test_an_entry_may_except_a_function() -> None:
    entry = race("__anon_vma_prepare", "!__anon_vma_prepare")
    writes = Access(PLACES[2], [])
    assert entry.fits(FIELD, Access(PLACES[1], []), writes)
    assert not entry.fits(FIELD, writes, writes)


def test_an_entry_with_locks_fits_only_while_one_is_held_at_its_second_place() -> None:
    entry = race("__anon_vma_prepare", "*", holding=("folio_lock_*",))
    free, locked = Access(PLACES[1], []), Access(PLACES[1], PLACES[3])
    assert entry.fits(FIELD, locked, Access(PLACES[2], []))
    assert not entry.fits(FIELD, free, Access(PLACES[2], []))
    assert not entry.fits(FIELD, free, Access(PLACES[2], PLACES[3]))


def test_an_entry_of_a_marked_access_fits_no_plain_one() -> None:
    entry = KnownRace(FIELD, ("__anon_vma_prepare", "*"), ("6.12",), "so it is", "mm/rmap.c", marked=True)
    reads = Access(PLACES[1], [])
    assert entry.fits(FIELD, reads, Access(PLACES[2], [], marked=True))
    assert not entry.fits(FIELD, reads, Access(PLACES[2], []))
    for written, found in (("plain", True), ("marked", False)):
        machine = Machine([seen(1, 2, written=written)])
        watched(machine, entry).run_overlapping(b"", Schedule())
        assert (machine.finding is not None) is found


def test_a_run_passes_over_what_may_be_and_shows_the_rest() -> None:
    machine = Machine([seen(1, 2), seen(2, 2)])
    watch = watched(machine, race("__anon_vma_prepare", "anon_vma_prepare"))
    assert watch.run_overlapping(b"", Schedule()) == b"trace"
    assert machine.finding is machine.found[1]
    assert machine.runs == 2
    watch.run_overlapping(b"", Schedule())
    assert machine.runs == 3


def test_the_locks_of_the_second_access_count() -> None:
    held = (TakenLock("rwsem (read)", 3),)
    entry = race("__anon_vma_prepare", "anon_vma_prepare", holding=("folio_lock_anon_vma_read",))
    machine = Machine([seen(1, 2, held), seen(1, 2)])
    watched(machine, entry).run_overlapping(b"", Schedule())
    assert machine.finding is machine.found[1]


def test_so_do_the_calls_that_led_there() -> None:
    entry = race("__anon_vma_prepare", "anon_vma_prepare", holding=("do_wp_page",))
    machine = Machine([seen(1, 2)])
    watched(machine, entry).run_overlapping(b"", Schedule())
    assert machine.finding is None


def test_a_signature_does_not_depend_on_which_access_came_first() -> None:
    signatures = {
        machine_finding(one, OPS, lambda offset: PLACES[offset], b"").signature for one in (seen(1, 2), seen(2, 1))
    }
    assert signatures == {f"data-race:par:{FIELD}-__anon_vma_prepare-do_wp_page"}


def test_the_index_is_read_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    assert read_races(tmp_path) == {}
    (tmp_path / "races.toml").write_text('[x]\nfield = "page.flags"\n')
    with pytest.raises(FaultlineError, match="mend the entry"):
        read_races(tmp_path)


def test_every_entry_of_the_corpus_gives_its_reason_and_stands_for_one_place_at_least() -> None:
    races = read_races(corpora_dir() / "known")
    assert races
    for entry in races.values():
        assert entry.why
        assert entry.source
        assert entry.places[0] != "*"
    assert known_races(races, "6.12")
    assert known_races(races, "0.1") == ()
