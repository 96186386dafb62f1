"""``faultline report``: what a run came to, in every form."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from faultline.export.files import SEEN, Source, plain_c
from faultline.export.fold import fold_c
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.text import Repro
from faultline.report.document import Document, Found, read, to_json
from faultline.report.html import html
from faultline.report.junit import junit
from faultline.report.ktap import ktap
from faultline.report.mail import WIDTH, mail
from faultline.report.text import title
from faultline.tree.cache import store

PAGE: Final = "report.html"
_file = click.Path(path_type=Path, allow_dash=True)
#: How a document is written, by the option that asks for it.
FORMS: Final[dict[str, Callable[[Document], bytes]]] = {
    "html": lambda document: html(document).encode(),
    "junit": junit,
    "ktap": lambda document: ktap(document).encode(),
    "json": to_json,
}


@click.command("report", short_help="What a run came to, as a page, a mail or for another tool.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--html", type=_file, metavar="FILE", help=f"One HTML page.  [default: {PAGE} beside RUN]")
@click.option("--junit", type=_file, metavar="FILE", help="JUnit XML, for build servers.")
@click.option("--ktap", type=_file, metavar="FILE", help="KTAP, the kernel's test output.")
@click.option("--json", type=_file, metavar="FILE", help="The run's document; docs/schema.json is its schema.")
@click.option("--mail", "as_mail", is_flag=True, help="Plain text for a reply, on standard output.")
def report_command(run: Path, as_mail: bool, **files: Path | None) -> None:
    """Makes reports of a run: RUN is the folder that --out named, or its result.json.

    Without an option it writes one HTML page.  A FILE of - is standard output.
    """
    document = read(run)
    wanted = {form: path for form, path in files.items() if path is not None}
    if not wanted and not as_mail:
        wanted["html"] = (run if run.is_dir() else run.parent) / PAGE
    for form, path in wanted.items():
        put(path, FORMS[form](document))
    if as_mail:
        click.echo(mail(document, c_programs(document)), nl=False)


def put(path: Path, content: bytes, say: Callable[[str], None] = click.echo) -> None:
    """Writes a report, whole or not at all, and tells ``say`` where it is; ``-`` is standard output.

    :raises FaultlineError: it cannot be written.
    """
    if str(path) == "-":
        click.echo(content, nl=False)
        return
    try:
        store(path, content)
    except OSError as error:
        raise FaultlineError(f"{path}: {error.strerror}; name another place") from None
    say(str(path))


def c_programs(document: Document) -> dict[str, str]:
    """For each finding, by its signature, a C program for a mail, or why there is none in a line."""
    return {found.signature: _c_program(document, found) for found in document.findings}


def _c_program(document: Document, found: Found) -> str:
    version = re.match(r"(\d+)\.(\d+)", document.environment.version)
    if version is None:
        return "the document does not say which version of Linux was tested"
    name = f"{found.kind.value}-{found.operation}"
    header = {"kernel": document.kernel, "kind": found.kind.value, "signature": found.signature}
    about = [title(found, found.ops)]
    if found.kind not in SEEN:
        about.append(f"User space cannot see a {found.kind.value} by itself; the program does what led to it.")
    text = "".join(f"# {line}\n" for line in about) + found.program
    source = Source(Path(f"{name}.repro"), Repro(header, found.ops), text)
    try:
        return fold_c(plain_c(source, (int(version[1]), int(version[2]))), WIDTH)
    except FaultlineError as error:
        if error.status is not ExitStatus.SKIPPED:
            raise
        return str(error).removeprefix(f"{source.path}: ")
