"""Known findings: kernel behaviour that breaks documentation, recorded so that a campaign does not report it anew.

``corpora/known/index.toml`` has one table per entry: ``signature``, ``trees`` (a list of versions such as "6.12"),
``why`` (what the kernel does), ``source`` (the document that it breaks) and ``repro`` (a file beside the index).
``also`` (optional) are signatures of the same in a library that is built otherwise, where one call is not merged with
another.  A star in a signature stands for anything, as for the operation if many lead there.  ``after`` (optional): an
operation without which it does not happen, ``par`` for a block of operations that overlap: in a program that does not
hold it the same signature is another finding.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from faultline.kinds import FaultlineError
from faultline.program.codec import Operation, has_blocks
from faultline.program.ops import BY_NAME, OPS

INDEX: Final = "index.toml"
#: In a pattern, between a signature and the operation that the program must hold.
_AFTER: Final = " after "
#: Stands there for operations that overlap.
_OVERLAP: Final = "par"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the index."""

    signature: str
    trees: tuple[str, ...]
    why: str
    source: str
    repro: str
    also: tuple[str, ...] = ()
    after: str = ""

    @property
    def patterns(self) -> tuple[str, ...]:
        """What :func:`is_known` goes by: the signatures, each with the operation that must be there."""
        return tuple(f"{name}{_AFTER}{self.after}" if self.after else name for name in (self.signature, *self.also))


def read_known(folder: Path) -> dict[str, Known]:
    """The entries of a folder by name; none if it has no index.

    :raises FaultlineError: the index is damaged or names a repro that is not there.
    """
    index = folder / INDEX
    try:
        entries = msgspec.convert(tomllib.loads(index.read_text()), dict[str, Known])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise FaultlineError(f"{index}: {error}; mend the entry or take it out") from None
    for name, entry in entries.items():
        if not (folder / entry.repro).is_file():
            raise FaultlineError(f"{index}: {name} names {entry.repro}, which is not there")
        if entry.after not in ("", _OVERLAP) and entry.after not in BY_NAME:
            raise FaultlineError(f"{index}: {name}: no operation is called {entry.after!r}; mend its 'after'")
    return entries


def signatures(known: dict[str, Known], tree: str) -> frozenset[str]:
    """The patterns of what is known for the tree version ``tree``, e.g. "6.12"."""
    return frozenset(pattern for entry in known.values() if tree in entry.trees for pattern in entry.patterns)


def is_known(signature: str, known: Iterable[str], ops: Sequence[Operation]) -> bool:
    """Whether the finding that a program shows is one of those of :func:`signatures`."""
    held = {OPS[op[0]].name for op in ops} | ({_OVERLAP} if has_blocks(ops) else set())
    parts = (pattern.partition(_AFTER) for pattern in known)
    return any(fnmatchcase(signature, name) and (not after or after in held) for name, _, after in parts)
