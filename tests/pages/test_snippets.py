"""What people take along imports quantviz alone, and no inner module: inner paths may move."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITERS = [*ROOT.glob("pages/**/*.py"), ROOT / "quantviz/formats/numerals.py"]


def written(path: Path) -> list[str]:
    """The texts that a file holds, but for docstrings; what is filled in stands as {}."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            texts.append(node.value)
    return texts


def test_snippets_import_quantviz_alone():
    found = {
        line.strip()
        for path in WRITERS
        for text in written(path)
        for line in text.splitlines()
        if re.match(r"\s*(import|from)\s+quantviz\b", line)
    }
    assert found == {"import quantviz as qv"}


def test_every_name_that_a_snippet_asks_for_is_there():
    import quantviz as qv

    names = {name for path in WRITERS for text in written(path) for name in re.findall(r"\bqv\.((?:\w+\.)*\w+)", text)}
    assert len(names) > 20
    for name in names:
        at = qv
        for part in name.split("."):
            at = getattr(at, part)
