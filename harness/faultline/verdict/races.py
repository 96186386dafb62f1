"""Data races that may be: the kernel says so itself, by a comment or a document.

``corpora/known/races.toml`` has one table per entry: ``field`` (as in ``vm_area_struct.anon_vma``), ``places`` (two
functions, of which each access has one among those at its place, inlined ones included; ``*`` stands for any, and
``!function`` for none of that name), ``marked`` (optional: the access at the first place is a marked one, as it is in
the kernel), ``holding`` (optional: functions, one of which led to the second place or took a lock that its task held),
``trees`` (versions such as "6.12"), ``why`` and ``source`` (where the kernel says so).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from faultline.kinds import FaultlineError, FindingKind
from faultline.program.schedule import Schedule, Taken
from faultline.verdict.finding import Place

INDEX: Final = "races.toml"
#: What csrc/check/races.c says between the two accesses, and of a marked one.
_BEFORE: Final = ", and before that "
_MARKED: Final = "marked access"
#: A program shows no more of them, so that this ends nothing but a fault of our own.
_IGNORED_MAX: Final = 1000


class Access(NamedTuple):
    """Where an access is, innermost inlined call first; the calls that led there, and where locks were taken that the
    task held."""

    places: Sequence[Place]
    around: Sequence[Place]
    marked: bool = False


class KnownRace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the index."""

    field: str
    places: tuple[str, str]
    trees: tuple[str, ...]
    why: str
    source: str
    holding: tuple[str, ...] = ()
    marked: bool = False

    def fits(self, field: str, one: Access, other: Access) -> bool:
        """Whether these two accesses to the field are the ones."""
        return fnmatchcase(field, self.field) and (self._are(one, other) or self._are(other, one))

    def _are(self, first: Access, second: Access) -> bool:
        if self.marked and not first.marked:
            return False
        locked = any(_among(pattern, second.around) for pattern in self.holding)
        pair = zip(self.places, (first, second), strict=True)
        return (locked or not self.holding) and all(_among(pattern, access.places) for pattern, access in pair)


def _among(pattern: str, places: Sequence[Place]) -> bool:
    named = any(fnmatchcase(place.function, pattern.removeprefix("!")) for place in places)
    return named is not pattern.startswith("!")


def read_races(folder: Path) -> dict[str, KnownRace]:
    """The entries of a folder by name; none if it has no index.

    :raises FaultlineError: the index is damaged.
    """
    index = folder / INDEX
    try:
        return msgspec.convert(tomllib.loads(index.read_text()), dict[str, KnownRace])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise FaultlineError(f"{index}: {error}; mend the entry or take it out") from None


def known_races(races: dict[str, KnownRace], tree: str) -> tuple[KnownRace, ...]:
    """Those of the tree version ``tree``, e.g. "6.12"."""
    return tuple(race for race in races.values() if tree in race.trees)


def field_of(text: str) -> str:
    """The field that a checker's report of a data race begins with."""
    return text.partition(":")[0]


class _Lock(Protocol):
    @property
    def at(self) -> int: ...


class _Chain(Protocol):
    @property
    def frames(self) -> Sequence[int]: ...
    @property
    def locks(self) -> Sequence[_Lock]: ...


class _Seen(Protocol):
    @property
    def op(self) -> int: ...
    @property
    def kind(self) -> FindingKind: ...
    @property
    def text(self) -> str: ...
    @property
    def frames(self) -> Sequence[int]: ...
    @property
    def other(self) -> int: ...
    @property
    def locks(self) -> Sequence[_Lock]: ...
    @property
    def chains(self) -> Sequence[_Chain]: ...


class RaceMachine(Protocol):
    """A machine that finds data races: :class:`faultline.backend.machine.Machine`."""

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes: ...
    def run_last_first(self, wire: bytes) -> bytes: ...
    def run_overlapping(
        self, wire: bytes, schedule: Schedule, *, paranoid: bool = False, races: bool = False
    ) -> bytes: ...
    def ignore_race(self) -> None: ...
    @property
    def taken(self) -> Taken: ...
    @property
    def finding(self) -> _Seen | None: ...


class Watched:
    """A machine that looks for data races while operations overlap, and passes over those that may be."""

    def __init__(
        self, machine: RaceMachine, locate: Callable[[int], Sequence[Place]], known: Sequence[KnownRace]
    ) -> None:
        self._machine, self._locate, self._known = machine, locate, known

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes:
        """As the machine's own."""
        return self._machine.run(wire, snapshots=snapshots, internals=internals, paranoid=paranoid)

    def run_last_first(self, wire: bytes) -> bytes:
        """As the machine's own."""
        return self._machine.run_last_first(wire)

    def run_overlapping(self, wire: bytes, schedule: Schedule, *, paranoid: bool = False) -> bytes:
        """As the machine's own; a data race of which the kernel says that it may be is no finding, now and later."""
        for _ in range(_IGNORED_MAX):
            trace = self._machine.run_overlapping(wire, schedule, paranoid=paranoid, races=True)
            seen = self._machine.finding
            if seen is None or seen.kind is not FindingKind.DATA_RACE or not self._may_be(seen):
                break
            self._machine.ignore_race()
        return trace

    def _may_be(self, seen: _Seen) -> bool:
        earlier = seen.chains[0] if seen.chains else None
        now, _, before = seen.text.partition(_BEFORE)
        one, other = self._access(seen.frames[0], seen, now), self._access(seen.other, earlier, before)
        return any(race.fits(field_of(seen.text), one, other) for race in self._known)

    def _access(self, at: int, task: _Chain | None, how: str) -> Access:
        around = [*task.frames, *(lock.at for lock in task.locks)] if task else []
        return Access(self._locate(at), [place for offset in around for place in self._locate(offset)], _MARKED in how)

    @property
    def taken(self) -> Taken:
        """As the machine's own."""
        return self._machine.taken

    @property
    def finding(self) -> _Seen | None:
        """As the machine's own."""
        return self._machine.finding
