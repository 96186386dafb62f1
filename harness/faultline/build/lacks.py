"""What a tree lacks for the machine to be built on it, or the machine for the tree: all of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from faultline.kinds import FaultlineError
from faultline.tree import TreeInfo


class CompileError(FaultlineError):
    """A unit that does not compile.  ``errors`` are all that the compiler complained of: place and message."""

    def __init__(self, message: str, unit: str, errors: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.unit = unit
        self.errors = errors


class UndefinedData(FaultlineError):
    """Kernel data that nothing defines: name -> the units that use it."""

    def __init__(self, message: str, users: dict[str, list[str]]) -> None:
        super().__init__(message)
        self.users = users


@dataclass(slots=True)
class Lacks:
    """Collects what stands in the way of a build."""

    files: list[str] = field(default_factory=list)
    """Files that the tree does not have, and who wants them."""
    units: list[CompileError] = field(default_factory=list)
    data: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.files or self.units or self.data)

    def error(self, tree: TreeInfo) -> FaultlineError:
        """The error that says it all; a lone failure is itself."""
        if not self.files and not self.data and len(self.units) == 1:
            return self.units[0]
        headers, errors = self._compile_errors()
        parts = (
            ("file that is not there", "files that are not there", self.files),
            ("header that is not there", "headers that are not there", headers),
            ("compiler error", "compiler errors", errors),
            ("variable that nothing defines", "variables that nothing defines", list(_lines(self.data, "used in"))),
        )
        counts = [f"{len(lines)} {one if len(lines) == 1 else many}" for one, many, lines in parts if lines]
        details = [line for _, many, lines in parts if lines for line in (f"{many}:", *(f"  {line}" for line in lines))]
        version = f"Linux {tree.major}.{tree.minor}"
        return FaultlineError(
            f"{version} and the machine do not fit yet: {', '.join(counts)}; see docs/adding-a-kernel-version.md",
            details=(*details, *([tree.untried] if tree.untried else [])),
        )

    def _compile_errors(self) -> tuple[list[str], list[str]]:
        """Missing headers and other errors, each once, with the units that show it."""
        headers: dict[str, list[str]] = {}
        errors: dict[str, list[str]] = {}
        for unit in self.units:
            for place, message in unit.errors:
                header = re.fullmatch(r"'([^']*)' file not found", message)
                users = headers.setdefault(header[1], []) if header else errors.setdefault(f"{place}: {message}", [])
                users.append(f"{place}" if header else unit.unit)
        return list(_lines(headers, "wanted by")), list(_lines(errors, "in"))


_SHOWN_MAX = 3


def _lines(found: dict[str, list[str]], how: str) -> Iterable[str]:
    for what, users in found.items():
        distinct = list(dict.fromkeys(users))
        more = f" and {len(distinct) - _SHOWN_MAX} more" if len(distinct) > _SHOWN_MAX else ""
        yield f"{what} ({how} {', '.join(distinct[:_SHOWN_MAX])}{more})"
