"""corpora/known/ is what the oracle's table of deviations says."""

from __future__ import annotations

from pathlib import Path

from faultline.oracle.known import known_files

KNOWN = Path(__file__).parents[2] / "corpora/known"


def test_the_committed_files_are_current() -> None:
    files = known_files()
    assert {name: (KNOWN / name).read_text() for name in files} == files
    assert {path.name for path in KNOWN.iterdir()} - {"index.toml"} == set(files)
