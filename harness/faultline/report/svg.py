"""Small pictures as inline SVG; colours and fonts come from the page's style sheet, by class."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

#: Of the widest common monospace font, in parts of its size.
CHAR_WIDTH: Final = 0.602


def picture(name: str, width: float, height: float, title: str, about: str) -> Element:
    """An empty picture of this size in pixels; ``name`` makes its ids the page's only ones, ``about`` is for who cannot
    see it."""
    svg = Element(
        "svg", {"role": "img", "aria-labelledby": f"{name}-title {name}-about", "viewBox": f"0 0 {width:g} {height:g}",
                "width": f"{width:g}", "height": f"{height:g}", "class": name.split("-")[0]},
    )  # fmt: skip
    SubElement(svg, "title", {"id": f"{name}-title"}).text = title
    SubElement(svg, "desc", {"id": f"{name}-about"}).text = about
    return svg


def group(parent: Element, classes: str) -> Element:
    """A group in which shapes share a class."""
    return SubElement(parent, "g", {"class": classes})


def box(parent: Element, x: float, y: float, width: float, height: float, classes: str, *, round_: float = 0) -> None:
    """A rectangle."""
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}", "class": classes}
    SubElement(parent, "rect", attributes | ({"rx": f"{round_:g}"} if round_ else {}))


def line(parent: Element, x1: float, y1: float, x2: float, y2: float, classes: str) -> None:
    """A straight line."""
    SubElement(
        parent, "line", {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}", "class": classes}
    )


def path(parent: Element, points: list[tuple[float, float]], classes: str) -> None:
    """A line through points."""
    SubElement(parent, "polyline", {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points), "class": classes})


def words(parent: Element, x: float, y: float, text: str, classes: str = "") -> Element:
    """Text whose base line begins at a point."""
    node = SubElement(parent, "text", {"x": f"{x:g}", "y": f"{y:g}"} | ({"class": classes} if classes else {}))
    node.text = text
    return node


def span(text: Element, content: str, classes: str) -> None:
    """A part of a text that looks different."""
    SubElement(text, "tspan", {"class": classes}).text = content


def markup(svg: Element) -> Markup:
    """The picture for a page; it is not escaped again."""
    return Markup(tostring(svg, encoding="unicode"))
