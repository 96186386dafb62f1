"""The files of corpora/known/, written from the table of deviations: ``python -m faultline.oracle.known FOLDER``."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from faultline.oracle.orders import DEVIATIONS_OVERLAPPING
from faultline.oracle.rules import DEVIATIONS, KnownDeviation

_README = """\
# Known deviations

Each file is a program on which an unmodified kernel departs from its documentation: what is documented and where, what
the kernel does, where that was seen.  The oracle keeps the documented rule; where the kernel shows exactly this
deviation a run counts it as known, apart from findings.  Written from the oracle's table by
`python -m faultline.oracle.known corpora/known`; `index.toml`, if there is one, names further known signatures,
`races.toml` data races that may be.  A C file shows a deviation on the kernel that runs.

[reports](reports) holds a report of each entry, ready to be sent: what is documented, what happens, where it was
seen, a C program where a running kernel can do it, and whom to tell.  `python -m faultline.report.discovery` writes
them, from the entries, from `reports.toml` (subjects, files of the kernel) and from `live.toml` (what the C programs
came to on a kernel that ran; `--live` runs them here, as root).

| file | the kernel |
| --- | --- |
"""


def _comment(label: str, text: str) -> str:
    lines = textwrap.wrap(f"{label}: {text}", 100)
    return "".join(f"# {line}\n" for line in lines)


def _program(deviation: KnownDeviation) -> str:
    return (
        _comment("documented", f"{deviation.documented} [{deviation.source}]")
        + _comment("kernel", deviation.kernel)
        + _comment("seen in", deviation.trees)
        + "#\n"
        + deviation.evidence
    )


def known_files() -> dict[str, str]:
    """The content of each file by its name."""
    deviations = (*DEVIATIONS, *DEVIATIONS_OVERLAPPING)
    files = {f"{deviation.id}.prog": _program(deviation) for deviation in deviations}
    rows = "".join(f"| [{d.id}]({d.id}.prog) | {d.kernel} |\n" for d in deviations)
    return {**files, "README.md": _README + rows}


if __name__ == "__main__":
    for name, text in known_files().items():
        (Path(sys.argv[1]) / name).write_text(text)
