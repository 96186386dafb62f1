"""C text in narrow lines, for where it is quoted.

Lines are broken at blanks and after opening brackets, long strings into two that the compiler joins, macros with a
backslash; comments are filled anew.  What the compiler sees stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

_TAB: Final = 8
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_ATOM: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s"\']+')
_TRAILING: Final = re.compile(r"^(?P<code>(?:[^\"'/]|/(?!\*)|" + _LITERAL.pattern + r")*?\S)\s*/\*(?P<text>.*?)\*/\s*$")


def fold_c(text: str, width: int) -> str:
    """The text in lines of at most ``width`` columns, tabs counted as 8; single words stay whole."""
    lines: list[str] = []
    comment: list[str] = []
    for line in text.split("\n"):
        if comment or (line.lstrip().startswith("/*") and "*/" not in line):
            comment.append(line)
            if "*/" in line:
                lines += _block_comment(comment, width)
                comment = []
        else:
            lines += _line(line, width) if columns(line) > width else [line]
    return "\n".join([*lines, *comment])


def columns(line: str) -> int:
    """How many columns a line takes."""
    return len(line.expandtabs(_TAB))


def _block_comment(lines: list[str], width: int) -> list[str]:
    """A comment of several lines; those that fit stay, each of the others is filled by itself."""
    result: list[str] = []
    for line in lines:
        match = re.match(r"(\s*)(\*|/\*)\s?(.*)$", line)
        if columns(line) <= width or match is None:
            result.append(line)
            continue
        indent, mark, content = match.groups()
        first, *rest = _filled(content, width - columns(indent) - 3)
        star = "*" if mark == "*" else " *"
        result += [f"{indent}{mark} {first}", *(f"{indent}{star} {part}" for part in rest)]
    return result


def _filled(text: str, width: int) -> list[str]:
    return wrap(text, width, break_on_hyphens=False)


def _line(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    body = line.strip()
    if body.startswith("//"):
        return [f"{indent}// {part}" for part in _filled(body[2:].strip(), width - columns(indent) - 3)]
    if body.startswith("/*") and body.endswith("*/"):
        return _own_comment(body[2:-2].strip(), indent, width)
    match = _TRAILING.match(body)
    if match:
        code = indent + match["code"]
        above = _own_comment(match["text"].strip(), indent, width)
        return above + (_line(code, width) if columns(code) > width else [code])
    macro = body.startswith("#") or body.endswith("\\")
    goes_on = body.endswith("\\")
    folded = list(_code(body.removesuffix("\\").rstrip(), indent, width - (2 if macro else 0)))
    if macro:
        folded = [f"{part} \\" for part in folded[:-1]] + [folded[-1] + (" \\" if goes_on else "")]
    return folded


def _own_comment(text: str, indent: str, width: int) -> list[str]:
    if columns(f"{indent}/* {text} */") <= width:
        return [f"{indent}/* {text} */"]
    parts = _filled(text, width - columns(indent) - 3)
    return [f"{indent}/*", *(f"{indent} * {part}" for part in parts), f"{indent} */"]


def _code(body: str, indent: str, width: int) -> Iterator[str]:
    """A line of code in several, all but the first indented by one more tab."""
    line = indent
    empty = True
    for piece, glue in _pieces(body, width - columns(indent) - 2 * _TAB):
        if not empty and columns(line + glue + piece) > width:
            yield line
            line, empty = indent + "\t", True
        line += ("" if empty else glue) + piece
        empty = False
    yield line


def _pieces(body: str, room: int) -> Iterator[tuple[str, str]]:
    """What a line may be broken between: each piece with what stands before it if it is not."""
    glue = ""
    at = 0
    for match in _ATOM.finditer(body):
        if match.start() > at or not at:
            glue = body[at : match.start()]
        atom = match[0]
        if atom.startswith('"') and len(atom) > room:
            for i, part in enumerate(_split_string(atom, room)):
                yield part, " " if i else glue
        elif atom[0] in "\"'":
            yield atom, glue
        else:
            for i, part in enumerate(re.findall(r"[^(]*\((?=.)|.+", atom) or [atom]):
                yield part, "" if i else glue
        glue, at = "", match.end()


def _split_string(literal: str, room: int) -> Iterator[str]:
    """A string as several that the compiler joins; no escape is cut."""
    units = re.findall(r"\\(?:x[0-9a-fA-F]+|[0-7]{1,3}|.)|[^\\]", literal[1:-1])
    part = ""
    for unit in units:
        if len(part) + len(unit) > max(room - 2, 8):
            cut = part.rfind(" ") + 1 or len(part)
            yield f'"{part[:cut]}"'
            part = part[cut:]
        part += unit
    yield f'"{part}"'
