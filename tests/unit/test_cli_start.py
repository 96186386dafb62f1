"""What a command imports before it does anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from faultline.kinds import ExitStatus

_IMPORTED = """
import sys
from faultline.cli import command_line
sys.stdout = sys.stderr
status = command_line([{command!r}, "--help"])
sys.stdout = sys.__stdout__
print(*(name for name in sys.modules if name.startswith(("faultline", "jinja2"))))
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("command", "needs", "does_without"),
    [
        ("report", "faultline.report.html", "faultline.campaign.series"),
        ("doctor", "faultline.doctor", "faultline.cli.repros"),
        ("replay", "faultline.cli.repros", "faultline.report.html"),
        ("check", "faultline.campaign.series", "faultline.bench"),
    ],
)
def test_a_command_starts_without_what_others_need(command: str, needs: str, does_without: str) -> None:
    script = _IMPORTED.format(command=command)
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert needs in out
    assert does_without not in out


def test_the_package_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "faultline", "reploy"], capture_output=True, text=True, check=False)
    assert done.returncode == ExitStatus.USAGE
    assert done.stderr.startswith("faultline: ")
    assert "reploy" in done.stderr
    assert done.stderr.count("\n") == 1
