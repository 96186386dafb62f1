"""``faultline build`` and ``faultline tree``: trees and the libraries built of them."""

from __future__ import annotations

from typing import Any

import click

from faultline.build import BuiltLibrary, Variant
from faultline.campaign.subject import build_library
from faultline.cli import flags
from faultline.cli.desk import begin, print_json, warn_of
from faultline.report.console import Screen
from faultline.tree import DEFAULT_TREE, find_tree
from faultline.tree.cache import cache_dir


@click.command("build", short_help="Build a tree, with patches, into a library.")
@flags.building
@click.option(
    "--variant", type=click.Choice(["plain", "asan", "race"]), default="plain", show_default=True, help="Which library."
)
@flags.as_json
def build_command(variant: Variant, as_json: bool, **options: Any) -> None:
    """Builds a tree, with patches, into a library; taken from the cache if nothing changed."""
    desk = begin(as_json, **options)
    screen, setting = desk.screen, desk.setting
    with screen.progress():
        series = desk.series
        tree = find_tree(str(series.base or setting.kernel), screen.status)
        library = build_library(tree, series.paths, setting.profile, jobs=desk.jobs, say=screen.status, variant=variant)
    warn_of(tree, screen)
    if as_json:
        print_json(_library_json(library))
        return
    screen.say(str(library.path))
    if desk.verbose:
        screen.say(f"{len(library.traps)} kernel functions trap: {', '.join(library.traps)}")


def _library_json(library: BuiltLibrary) -> dict[str, Any]:
    return {
        "path": str(library.path),
        "key": library.key,
        "tree": library.tree.id,
        "variant": library.variant,
        "profile": library.profile,
        "patches": [str(patch) for patch in library.patches],
        "cached": library.cached,
        "seconds": round(library.seconds, 3),
        "traps": list(library.traps),
    }


@click.group("tree")
def tree_group() -> None:
    """Kernel trees in the cache."""


@tree_group.command("fetch")
@click.argument("spec")
@flags.quiet
def tree_fetch(spec: str, quiet: bool) -> None:
    """Downloads and unpacks a tree, e.g. debian:6.12; says where it is."""
    screen = Screen(quiet=quiet)
    with screen.progress():
        tree = find_tree(spec, screen.status)
    screen.say(f"{tree.path}  {tree.version}  {tree.id}")


@tree_group.command("list")
@flags.as_json
def tree_list(as_json: bool) -> None:
    """The trees in the cache."""
    root = cache_dir() / "trees"
    trees = [find_tree(str(path)) for path in sorted(root.iterdir())] if root.is_dir() else []
    if as_json:
        print_json({"trees": [{"path": str(tree.path), "version": tree.version, "id": tree.id} for tree in trees]})
        return
    for tree in trees:
        click.echo(f"{tree.path}  {tree.version}  {tree.id}")
    if not trees:
        click.echo(f"none in {root}; 'faultline tree fetch {DEFAULT_TREE}' gets one")
