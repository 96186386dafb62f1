"""Profiles: the kernel configurations in ``csrc/arch/profiles``.

A profile is a file like a kernel's ``.config``.  ``include NAME`` takes over another profile, so that a file states its
difference only; ``# CONFIG_X is not set`` takes a setting out again.  The later line wins.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from faultline.kinds import FaultlineError

_SETTING: Final = re.compile(r'CONFIG_(\w+)=(y|-?\d+|0x[0-9a-fA-F]+|"[^"]*")')
_UNSET: Final = re.compile(r"# CONFIG_(\w+) is not set")
_INCLUDE: Final = re.compile(r"include (\w+)")


def profile_names(csrc: Path) -> list[str]:
    """The profiles that there are, ascending."""
    return sorted(path.stem for path in (csrc / "arch/profiles").glob("*.config"))


def read_profile(csrc: Path, name: str) -> dict[str, str]:
    """The settings of a profile: name without CONFIG_ -> C text of its value.

    Raises :class:`FaultlineError`: no such profile, a line that is no setting, profiles that include each other.
    """
    return _read(csrc, name, ())


def _read(csrc: Path, name: str, under_way: tuple[str, ...]) -> dict[str, str]:
    if name in under_way:
        raise FaultlineError(f"{under_way[-1]}.config: includes itself by way of {name}")
    path = csrc / "arch/profiles" / f"{name}.config"
    try:
        text = path.read_text()
    except OSError as error:
        if not path.parent.is_dir():
            raise FaultlineError(f"{csrc}: the machine's sources are not here; see FAULTLINE_CSRC") from error
        raise FaultlineError(f"no profile {name}; there are: {', '.join(profile_names(csrc)) or 'none'}") from error
    settings: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if found := _UNSET.fullmatch(line):
            settings.pop(found[1], None)
        elif found := _INCLUDE.fullmatch(line):
            settings |= _read(csrc, found[1], (*under_way, name))
        elif found := _SETTING.fullmatch(line):
            settings[found[1]] = "1" if found[2] == "y" else found[2]
        elif line and not line.startswith("#"):
            raise FaultlineError(
                f"{path.name}:{number}: not a setting like CONFIG_X=y, CONFIG_N=64 or CONFIG_S=\"text\""
            )
    return settings
