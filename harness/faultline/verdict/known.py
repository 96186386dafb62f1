"""Known findings: kernel behaviour that breaks documentation, recorded so that a campaign does not report it anew.

``corpora/known/index.toml`` has one table per entry: ``signature``, ``trees`` (a list of versions such as "6.12"),
``why`` (what the kernel does), ``source`` (the document that it breaks) and ``repro`` (a file beside the index).
``also`` (optional) are signatures of the same in a library that is built otherwise, where one call is not merged with
another.  A star in a signature stands for anything, as for the operation if many lead there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from faultline.kinds import FaultlineError

INDEX: Final = "index.toml"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the index."""

    signature: str
    trees: tuple[str, ...]
    why: str
    source: str
    repro: str
    also: tuple[str, ...] = ()


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
    return entries


def signatures(known: dict[str, Known], tree: str) -> frozenset[str]:
    """The signatures that are known for the tree version ``tree``, e.g. "6.12"."""
    return frozenset(name for entry in known.values() if tree in entry.trees for name in (entry.signature, *entry.also))


def is_known(signature: str, known: Iterable[str]) -> bool:
    """Whether a finding's signature is one of those of :func:`signatures`."""
    return any(fnmatchcase(signature, pattern) for pattern in known)
