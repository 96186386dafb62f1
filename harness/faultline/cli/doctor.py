"""``faultline doctor``: the installation."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from faultline.cli import flags
from faultline.cli.desk import print_json
from faultline.doctor import checks
from faultline.kinds import ExitStatus
from faultline.report.console import Screen
from faultline.report.doctor import doctor_lines


@click.command(short_help="What is installed, what is missing, how to get it.")
@flags.as_json
def doctor(as_json: bool) -> None:
    """What is installed, what is missing and how to get it (exit status 4 if the main job lacks something)."""
    found = checks()
    if as_json:
        print_json({"checks": [asdict(check) for check in found]})
    else:
        Screen().show(doctor_lines(found))
    lacking = any(not check.ok and not check.optional for check in found)
    sys.exit(ExitStatus.SKIPPED if lacking else ExitStatus.CLEAN)
