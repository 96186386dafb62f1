"""``faultline report``: what a run came to, in every form."""

from __future__ import annotations

from pathlib import Path

import click

from faultline.kinds import ExitStatus, FaultlineError
from faultline.report.document import read, to_json
from faultline.report.html import html
from faultline.tree.cache import store

_file = click.Path(path_type=Path)


@click.command("report", short_help="What a run came to, as a page, a mail or for another tool.")
@click.argument("run", type=_file, metavar="RUN")
@click.option("--html", "page", type=_file, metavar="FILE", help="One HTML page.  [default: report.html beside RUN]")
@click.option("--json", "document", type=_file, metavar="FILE", help="The run's document, as docs/schema.json says.")
def report_command(run: Path, page: Path | None, document: Path | None) -> None:
    """Makes reports of a run: RUN is the folder that --out named, or its result.json.

    Without an option it writes one HTML page.  A FILE of - is standard output.
    """
    whole = read(run)
    if page is None and document is None:
        page = (run if run.is_dir() else run.parent) / "report.html"
    if page is not None:
        _put(page, html(whole).encode())
    if document is not None:
        _put(document, to_json(whole))


def _put(path: Path, content: bytes) -> None:
    if str(path) == "-":
        click.echo(content, nl=False)
        return
    try:
        store(path, content)
    except OSError as error:
        raise FaultlineError(f"{path}: {error.strerror}; name another place", ExitStatus.ERROR) from None
    click.echo(str(path))
