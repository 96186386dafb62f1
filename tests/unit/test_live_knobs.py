"""The live backend's settings, on a folder that stands for the kernel's."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from faultline.backend import live_knobs
from faultline.backend.live_knobs import Ksm
from faultline.kinds import FaultlineError


@pytest.fixture
def ksm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "full_scans").write_text("10\n")
    (tmp_path / "run").write_text("0\n")
    monkeypatch.setattr(live_knobs, "KSM", tmp_path)
    return tmp_path


def test_a_slow_ksmd_is_waited_for(ksm: Path) -> None:
    """It has lower priority than others on a busy machine: a merge must not depend on that."""

    def ksmd() -> None:
        while (ksm / "run").read_text() != "1":
            time.sleep(0.001)
        time.sleep(0.5)
        (ksm / "scans").write_text("13\n")
        (ksm / "scans").replace(ksm / "full_scans")

    thread = threading.Thread(target=ksmd)
    thread.start()
    Ksm.scan()
    assert (ksm / "full_scans").read_text() == "13\n"
    assert (ksm / "run").read_text() == "0"
    thread.join()


def test_a_ksmd_that_does_not_run_is_an_error(ksm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_knobs, "_KSM_STALL_SECONDS", 0.01)
    with pytest.raises(FaultlineError, match="ksmd does not scan"):
        Ksm.scan()
    assert (ksm / "run").read_text() == "0"
