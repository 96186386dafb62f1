"""Each profile builds, agrees with the oracle, and does without what it leaves out."""

from __future__ import annotations

import os
import random
from functools import cache

import pytest

from faultline.backend.machine import Machine
from faultline.build import build, csrc_dir
from faultline.build.profile import profile_names
from faultline.oracle.model import Oracle
from faultline.program.cheader import c_header
from faultline.program.codec import Operation, encode
from faultline.program.generate import random_program
from faultline.program.ops import NEED_NAMES, lacking
from faultline.program.text import parse_program
from faultline.program.trace import RECORD, Skip, Status
from faultline.tree import DEFAULT_TREE, find_tree

pytestmark = pytest.mark.kernel

LACKS = {"base": {"thp"}, "nouffd": {"uffd", "uffd-wp", "thp"}, "noksm": {"ksm", "thp"}}


#: What not every tree has, whatever the profile.
NEWER = {"guard"}


@cache
def machine_of(profile: str) -> Machine:
    tree = find_tree(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))
    return Machine(build(tree, profile=profile, extra_headers={"ops.h": c_header()}).path)


def outcome(machine: Machine, ops: list[Operation]) -> tuple[int, int]:
    """Status and value of the last operation, on which the oracle must agree."""
    trace = machine.run(encode(ops), snapshots=False)
    assert machine.finding is None
    assert Oracle(has=machine.has).expect(ops, trace, snapshots=False).trace == trace
    _, status, _, value, _ = RECORD.unpack_from(trace, len(trace) - RECORD.size)
    return status, value


def test_every_profile_has_its_tests() -> None:
    assert set(LACKS) == set(profile_names(csrc_dir()))


@pytest.mark.parametrize("profile", LACKS)
def test_a_profile_has_what_it_does_not_leave_out(profile: str) -> None:
    assert NEED_NAMES - machine_of(profile).has - NEWER == LACKS[profile] & NEED_NAMES


@pytest.mark.parametrize("profile", LACKS)
def test_random_programs_agree_with_the_oracle(profile: str) -> None:
    machine, rng = machine_of(profile), random.Random(1)
    oracle = Oracle(tree_version=machine.version, has=machine.has)
    for _ in range(3000):
        ops = random_program(rng, has=machine.has)
        assert not lacking(ops, machine.has)
        trace = machine.run(encode(ops), paranoid=True)
        assert machine.finding is None, machine.finding
        assert oracle.expect(ops, trace).trace == trace


@pytest.mark.parametrize("profile", LACKS)
def test_any_bytes_are_a_program(profile: str) -> None:
    machine, rng = machine_of(profile), random.Random(2)
    for _ in range(1000):
        machine.run(rng.randbytes(rng.randrange(200)))
        assert machine.finding is None, machine.finding


@pytest.mark.parametrize(
    ("profile", "program"),
    [("nouffd", "p0.0 uffd-open u0"), ("noksm", "m ksm-scan"), ("noksm", "p0.0 mmap a0 rw\nm ksm-merge p0 a0")],
)
def test_what_a_profile_lacks_is_skipped(profile: str, program: str) -> None:
    assert outcome(machine_of(profile), parse_program(program)) == (Status.SKIPPED, Skip.LACKS)


@pytest.mark.parametrize("advice", ["mergeable", "unmergeable"])
def test_advice_that_the_kernel_was_not_configured_for_is_refused(advice: str) -> None:
    ops = parse_program(f"p0.0 mmap a0 rw\np0.0 madvise a0+2 {advice}")
    assert outcome(machine_of("noksm"), ops) == (Status.ERROR, 22)
