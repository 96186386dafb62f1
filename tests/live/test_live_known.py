"""What is known of kernels, shown by C programs on the one that runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from needs_live import LIVE

pytestmark = LIVE
KNOWN = sorted((Path(__file__).parents[2] / "corpora" / "known").glob("*.c"))
SECONDS = 20


@pytest.fixture(params=KNOWN, ids=lambda path: path.stem)
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    out = tmp_path / "known"
    flags = ["-Wall", "-Wextra", "-Werror", "-O2", "-pthread"]
    subprocess.run(["cc", *flags, str(request.param), "-o", str(out)], check=True)
    return out


def test_a_known_deviation_shows_on_the_live_kernel(compiled: Path) -> None:
    done = subprocess.run([compiled, str(SECONDS)], capture_output=True, text=True, timeout=3 * SECONDS, check=False)
    assert done.returncode in (0, 1), done.stderr
    if done.returncode == 0:
        pytest.skip(f"this kernel did not show it in {SECONDS} s")
    assert "goes on" in done.stdout
