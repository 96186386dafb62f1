"""corpora/known/ is what the oracle's table of deviations says."""

from __future__ import annotations

from pathlib import Path

from faultline.oracle.known import known_files
from faultline.verdict.known import read_known

KNOWN = Path(__file__).parents[2] / "corpora/known"


def test_the_committed_files_are_current() -> None:
    files = known_files()
    repros = {entry.repro for entry in read_known(KNOWN).values()}
    assert {name: (KNOWN / name).read_text() for name in files} == files
    live = {path.name for path in KNOWN.glob("*.c")}
    assert {Path(name).stem + ".prog" for name in live} <= set(files)
    others = {"index.toml", "races.toml", "reports.toml", "live.toml", "reports"}
    assert {path.name for path in KNOWN.iterdir()} - others - repros - live == set(files)
