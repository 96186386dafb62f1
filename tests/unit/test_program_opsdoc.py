"""The committed docs/operations.md is what the table says."""

from __future__ import annotations

from faultline.program import ops, opsdoc
from faultline.program.text import HEADER_KEYS


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
