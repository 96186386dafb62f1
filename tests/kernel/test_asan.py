"""The asan variant: it agrees with the oracle, and a use after free is a finding."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from faultline.build import build
from faultline.program.cheader import c_header
from faultline.tree import DEFAULT_TREE, find_tree

pytestmark = pytest.mark.kernel

#: Runs in a process that has the sanitiser's runtime: plants the fault, then runs without it again, 1,000 programs too.
SCRIPT = """
import random, sys
from pathlib import Path
from faultline.backend.machine import Machine
from faultline.oracle.model import Oracle
from faultline.program.codec import encode
from faultline.program.generate import random_program
from faultline.program.text import parse_program

machine, rng = Machine(Path(sys.argv[1])), random.Random(1)
oracle = Oracle(tree_version=machine.version, has=machine.has)
read = parse_program("p0.0 mmap a0 rw\\np0.0 read a0")
for _ in range(2):
    machine.plant("use-after-free")
    machine.run(encode(read))
    print(machine.finding.kind.value, machine.finding.op, machine.finding.text)
    machine.plant("none")
    for _ in range(500):
        ops = random_program(rng)
        trace = machine.run(encode(ops))
        assert machine.finding is None, machine.finding
        assert oracle.expect(ops, trace).trace == trace
"""


def test_a_use_after_free_is_found_and_the_machine_lives_on() -> None:
    try:
        runtime = Path(str(metadata.distribution("atheris").locate_file("asan_with_fuzzer.so")))
    except metadata.PackageNotFoundError:
        pytest.skip("atheris is not here: pip install 'atheris>=3.0'")
    tree = find_tree(os.environ.get("FAULTLINE_TREE", DEFAULT_TREE))
    library = build(tree, variant="asan", extra_headers={"ops.h": c_header()}).path
    options = "halt_on_error=0:suppress_equal_pcs=0:detect_leaks=0:log_path=/dev/null"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, library],
        env={**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": options},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == ["use-after-free 1 ASan: use-after-poison"] * 2
