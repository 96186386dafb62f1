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

from faultline.backend.live import LIVE_HAS, LiveBackend
from faultline.oracle import DEVIATIONS
from faultline.program.generate import random_program
from faultline.program.ops import OPS
from faultline.program.text import format_program

_RANDOM_PROGRAMS = 40


def main() -> None:
    programs = {name: parse(text).ops for name, text in (CASES | CHOICES).items()}
    needs = {name: {need for op in ops for need in OPS[op[0]].needs} for name, ops in programs.items()}
    programs = {name: ops for name, ops in programs.items() if LIVE_HAS.issuperset(needs[name])}
    programs |= {deviation.id: parse(deviation.evidence).ops for deviation in DEVIATIONS if "live" in deviation.trees}
    for seed in range(_RANDOM_PROGRAMS):
        programs[f"random {seed}"] = random_program(random.Random(seed))
    rows = []
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as backend:
        for name, ops in programs.items():
            trace = base64.b85encode(zlib.compress(backend.run(ops), 9)).decode()
            rows.append({"name": name, "program": format_program(ops), "trace": trace})
    kernel = ".".join(os.uname().release.split(".")[:2])
    json.dump({"kernel": kernel, "has": sorted(LIVE_HAS), "programs": rows}, sys.stdout, indent=0)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
