"""docs/cli.md names every command, option and exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from faultline.cli import cli
from faultline.kinds import ExitStatus

DOCS = (Path(__file__).parents[2] / "docs/cli.md").read_text()


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            assert inner.name == name
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(cli, "faultline"))


@pytest.mark.parametrize("path", COMMANDS)
def test_commands_and_their_options_are_described(path: str) -> None:
    assert path in DOCS
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert any(f"`{name}" in DOCS or f"[{name}" in DOCS for name in parameter.opts), parameter.opts


def test_exit_statuses_are_described() -> None:
    described = {int(number) for number in re.findall(r"^\| (\d+) \|", DOCS, re.MULTILINE)}
    assert described == {int(status) for status in ExitStatus}
