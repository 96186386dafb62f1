"""Whether generated programs do the same in every run on the running kernel: ``tests/live/replays.py COUNT`` (root).

Every program is run, and then all are run again in the opposite order, so that none finds the kernel as it did before.
Prints the programs that differ; the exit status is 1 if one does.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator

from faultline.backend.live import LiveBackend
from faultline.program.codec import Operation
from faultline.program.generate import random_program
from faultline.program.text import format_program
from faultline.program.traceview import describe_step, parse_trace

_LENGTH_MAX = 40


def differing(backend: LiveBackend, count: int) -> Iterator[str]:
    """What differs, a program each, with its seed and the first record that is not the same."""
    has = backend.offer.has
    programs = [random_program(random.Random(seed), length_max=_LENGTH_MAX, has=has) for seed in range(count)]
    traces = [backend.run(ops) for ops in programs]
    for seed, ops in reversed(list(enumerate(programs))):
        again = backend.run(ops)
        if again != traces[seed]:
            yield f"# seed {seed}: {_parting(ops, traces[seed], again)}\n{format_program(ops)}"


def _parting(ops: list[Operation], *traces: bytes) -> str:
    first, second = (parse_trace(trace, ops, snapshots=True) for trace in traces)
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            told = [describe_step(ops[index], step) for step in (one, other)]
            return f"operation {index + 1}: {' / '.join(told) if told[0] != told[1] else 'the state after it'}"
    return f"it ended after {len(first)} and {len(second)} operations"


if __name__ == "__main__":
    with LiveBackend(cpu=min(os.sched_getaffinity(0))) as live:
        found = list(differing(live, int(sys.argv[1])))
    print(*found, sep="\n", end="")
    print(f"{sys.argv[1]} programs replayed, {len(found)} differ")
    sys.exit(bool(found))
