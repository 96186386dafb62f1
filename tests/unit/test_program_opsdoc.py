"""The docs of the program formats say what the code does."""

from __future__ import annotations

import re

from faultline.program import ops, opsdoc
from faultline.program.text import HEADER_KEYS, format_program, parse_repro


def test_committed_file_is_current() -> None:
    assert opsdoc.PATH.read_text(encoding="utf-8") == opsdoc.operations_doc(), "run python -m faultline.program.opsdoc"


def test_it_names_every_operation_operand_word_and_header_key() -> None:
    text = opsdoc.operations_doc()
    for op in ops.OPS:
        section = text.split(f"\n### {op.name}\n")[1].split("\n### ")[0]
        assert op.call in section
        assert op.source in section
        assert f"wire code: {op.code}\n" in section
        for name, _ in op.operands:
            assert name in section
    for kind in ops.KINDS:
        assert all(f"`{word}`" in text for word in kind.words)
    assert all(f"`{key}`" in text for key in HEADER_KEYS)


def test_example_in_writing_a_repro_is_a_repro_with_one_outcome_for_each_operation() -> None:
    text = (opsdoc.PATH.parent / "writing-a-repro.md").read_text(encoding="utf-8")
    blocks = text.split("```\n")[1::2]
    repro = parse_repro(blocks[0])
    shown = re.findall(r"^ +\d+  (.+?)  ", blocks[1], re.MULTILINE)
    assert shown == format_program(repro.ops).splitlines()
    assert all(f"`{key}`" in text for key in HEADER_KEYS)


def test_files_that_the_guide_names_are_there() -> None:
    root = opsdoc.PATH.parents[1]
    text = (root / "docs" / "adding-an-operation.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:harness|csrc|tests|corpora)/[\w/.-]+)`", text)
    assert len(named) > 8
    for name in named:
        assert (root / name).exists(), name
