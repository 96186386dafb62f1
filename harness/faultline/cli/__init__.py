"""The command line.  Every command ends with one of :class:`faultline.kinds.ExitStatus`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from faultline import __version__
from faultline.cli.lazy import LazyGroup
from faultline.kinds import ExitStatus, FaultlineError

#: Where the commands are.
_PLACES: Final = {
    "bench": "bench:bench",
    "build": "build:build_command",
    "check": "campaign:check_command",
    "cover": "cover:cover_command",
    "doctor": "doctor:doctor",
    "export": "repros:export_command",
    "live": "live:live_command",
    "minimize": "repros:minimize",
    "replay": "repros:replay",
    "report": "report:report_command",
    "run": "campaign:run_command",
    "tree": "build:tree_group",
}
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, places=_PLACES, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="faultline")
def cli() -> None:
    """Finds what a memory-management patch changes: runs a kernel tree's own fault-path code in user space, against a
    model of documented behaviour and against the tree without the patch."""


def main() -> NoReturn:
    """The entry point: turns every way in which a command can end into an exit status."""
    sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status; what goes wrong is one line on standard error."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        cli.main(list(arguments), prog_name="faultline", standalone_mode=False, obj=tuple(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except FaultlineError as error:
        return _complain(str(error), error.status, error.details)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitStatus.USAGE
    except click.ClickException as error:
        return _complain(error.format_message(), ExitStatus.USAGE)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return ExitStatus.ERROR
    except Exception as error:
        return _complain(f"{type(error).__name__}: {error}; this is a bug of faultline, see {_log()}", ExitStatus.ERROR)
    return ExitStatus.CLEAN


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _complain(message: str, status: ExitStatus, details: Sequence[str] = ()) -> ExitStatus:
    print("faultline: " + " ".join(message.split()), *details, sep="\n", file=sys.stderr)
    return status


def _log() -> str:
    """Writes the traceback of the exception at hand; the file's name."""
    text = traceback.format_exc()
    try:
        with tempfile.NamedTemporaryFile("w", prefix="faultline-", suffix=".log", delete=False) as log:
            log.write(text)
        return log.name
    except OSError:
        return f"the traceback:\n{text}"
