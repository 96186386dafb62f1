"""Records traces of the live kernel for the unit tests: ``python tests/live/record_traces.py > FILE`` (root).

The file is JSON: the kernel's version, the needs that the backend has, then programs with their traces, compressed.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from oracle_cases import CASES, CHOICES
from oracle_dsl import parse

from faultline.backend.live import LiveBackend
from faultline.oracle import DEVIATIONS
from faultline.program.codec import Operation
from faultline.program.generate import random_program
from faultline.program.ops import lacking
from faultline.program.text import format_program

_RANDOM_PROGRAMS = 40


def main() -> None:
    programs = {name: parse(text).ops for name, text in (CASES | CHOICES).items()}
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        record(backend, programs)


def record(backend: LiveBackend, programs: dict[str, list[Operation]]) -> None:
    programs = {name: ops for name, ops in programs.items() if not lacking(ops, backend.offer.has)}
    programs |= {deviation.id: parse(deviation.evidence).ops for deviation in DEVIATIONS if "live" in deviation.trees}
    for seed in range(_RANDOM_PROGRAMS):
        programs[f"random {seed}"] = random_program(random.Random(seed))
    rows = []
    for name, ops in programs.items():
        trace = base64.b85encode(zlib.compress(backend.run(ops), 9)).decode()
        rows.append({"name": name, "program": format_program(ops), "trace": trace})
    kernel = ".".join(map(str, backend.offer.version))
    json.dump({"kernel": kernel, "has": sorted(backend.offer.has), "programs": rows}, sys.stdout, indent=0)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
