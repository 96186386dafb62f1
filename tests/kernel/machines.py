"""Machines that tests share: a library can be one machine only."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from faultline.backend.machine import Machine
from faultline.build import Variant, build
from faultline.campaign.subject import DEFAULT_PROFILE
from faultline.program.cheader import c_header
from faultline.program.codec import Operation, alone
from faultline.program.text import read_repro
from faultline.tree import find_tree
from faultline.tree.cache import cache_dir

TREE = "debian:6.12"
#: Two tasks each look at memory of the same process.
TWO_PAGES = """
p0.0 mmap a0+2 rw
p0.0 write a0 =1
p0.0 write a1 =1
par {
p0.0 read a0
p0.1 read a1
}
"""


def copied_library(
    folder: Path,
    name: str,
    *patches: Path,
    tree: str = TREE,
    profile: str = DEFAULT_PROFILE,
    variant: Variant = "plain",
) -> Path:
    """A copy of the built library: a process that has the original open runs it on another number of CPUs.

    Skips the test where the tree was not fetched, or a patch needs spatch and that is missing.
    """
    if not (cache_dir() / "trees" / f"linux-{tree.removeprefix('debian:')}").is_dir():
        pytest.skip(f"no such tree: `faultline tree fetch {tree}`")
    if any(patch.suffix == ".cocci" for patch in patches) and not shutil.which("spatch"):
        pytest.skip("spatch is missing: apt-get install coccinelle")
    headers = {"ops.h": c_header()}
    built = build(find_tree(tree), patches, variant=variant, profile=profile, extra_headers=headers)
    return Path(shutil.copy(built.path, folder / f"{name}.so"))


@cache
def machine_of(library: Path) -> Machine:
    """The machine of this library, opened once in this process."""
    return Machine(library)


def sequential(path: Path) -> list[Operation]:
    """The program of a file, one operation after the other also where they overlap."""
    return [alone(op) for op in read_repro(path).ops]
