"""Profiles: what their files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from minitree import write

from faultline.build import csrc_dir
from faultline.build.profile import profile_names, read_profile
from faultline.kinds import FaultlineError


def profile(folder: Path, **texts: str) -> Path:
    return write(folder, {f"arch/profiles/{name}.config": text for name, text in texts.items()})


def test_settings_are_read(tmp_path: Path) -> None:
    text = '# CONFIG_OFF is not set\nCONFIG_A=y\n\n  CONFIG_B=-3\nCONFIG_C=0x1f\nCONFIG_D="a b"\nCONFIG_A=7\n'
    assert read_profile(profile(tmp_path, x=text), "x") == {"A": "7", "B": "-3", "C": "0x1f", "D": '"a b"'}


def test_a_profile_states_its_difference_from_another(tmp_path: Path) -> None:
    csrc = profile(
        tmp_path,
        one="CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=1\n",
        two="include one\n# CONFIG_A is not set\nCONFIG_C=2\n",
        three="# a remark\ninclude two\n# CONFIG_B is not set\nCONFIG_A=3\n",
    )
    assert read_profile(csrc, "two") == {"B": "1", "C": "2"}
    assert read_profile(csrc, "three") == {"A": "3", "C": "2"}


def test_profiles_that_include_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultlineError, match="includes itself"):
        read_profile(profile(tmp_path, a="include b\n", b="include a\n"), "a")


def test_a_profile_that_includes_none(tmp_path: Path) -> None:
    with pytest.raises(FaultlineError, match="no profile c; there are: a"):
        read_profile(profile(tmp_path, a="include c\n"), "a")


@pytest.mark.parametrize("name", profile_names(csrc_dir()))
def test_every_profile_can_be_read(name: str) -> None:
    assert read_profile(csrc_dir(), name)["MMU"] == "1"
