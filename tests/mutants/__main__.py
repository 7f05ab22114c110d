"""Small faults put into quantviz one at a time: how many do the tests that mirror a file find?

    python -m tests.mutants --count 60 --seed 0 --part 1/2
    python -m tests.mutants --count 60 --seed 0 --only 3 5     two of them once more

Each fault changes one comparison, operator, number or truth value of a file outside the compiled kernels, in a copy of
the project, which stays where it is, so that its kernels are compiled once for all runs. The tests of the same name
are run and those that import the file, then those of its folder, or of the folder above. The first are run once without
a fault before: tests that fail anyway find nothing. Tests that take too long tell nothing either: on a busy machine
they may only be slow. Some faults change nothing that anybody could see. Not part of CI.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPILED = ("kernels/cpu", "kernels/cuda", "quality/train_demo")
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
               ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
             ast.Mod: ast.Mult, ast.And: ast.Or, ast.Or: ast.And}  # fmt: skip


class Changer(ast.NodeTransformer):
    """Changes the place of number `wanted`, counting every place that could be changed."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.seen, self.line = wanted, 0, 0

    def _here(self, node: ast.AST) -> bool:
        self.seen += 1
        if self.seen - 1 == self.wanted:
            self.line = node.lineno
            return True
        return False

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if type(node.ops[0]) in COMPARISONS and self._here(node):
            node.ops[0] = COMPARISONS[type(node.ops[0])]()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in OPERATORS and self._here(node):
            node.op = OPERATORS[type(node.op)]()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._here(node):
            node.op = OPERATORS[type(node.op)]()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) in (int, float, bool) and self._here(node):
            node.value = not node.value if isinstance(node.value, bool) else node.value + 1
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.value = node.value and self.visit(node.value)  # annotations say nothing at run time
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node


def places(path: Path) -> int:
    counting = Changer()
    counting.visit(ast.parse(path.read_text("utf-8")))
    return counting.seen


def importing(path: Path) -> list[Path]:
    """The tests that import this file by name: `from its.folder import it` or `from its.folder.it import`."""
    *folder, name = path.relative_to(ROOT).with_suffix("").parts
    inside = re.escape(".".join(folder))
    wanted = re.compile(rf"^ *(from {inside}\.{name} import|import {inside}\.{name}\b"
                        rf"|from {inside} import (\([^)]*|[^(\n]*)\b{name}\b)", re.MULTILINE)  # fmt: skip
    tests = [test for test in sorted((ROOT / "tests").glob("**/test_*.py")) if "browser" not in test.parts]
    return [test for test in tests if wanted.search(test.read_text("utf-8"))]


def tests_of(path: Path) -> tuple[list[str], list[str]]:
    """The tests of a file of quantviz: of its own name, in its folder or one above, with those that import it; and
    those of its folder, or of the folder above."""
    inside = path.relative_to(ROOT / "quantviz")
    folders = [ROOT / "tests" / up for up in inside.parents]
    own = [found for folder in folders if (found := folder / f"test_{inside.name}").exists()]
    mirrors = [[*folder.parent.glob(f"test_{folder.name}*.py"), *[folder] * folder.exists()] for folder in folders[:-1]]
    wide = next(filter(None, mirrors), [ROOT / "tests/test_cli.py"])
    near, wide = (
        list(dict.fromkeys(str(test.relative_to(ROOT)) for test in tests))
        for tests in (own[:1] + importing(path), sorted(wide))
    )
    return near or wide, wide


def chosen(count: int, seed: int) -> Iterator[tuple[Path, int]]:
    files = [p for p in sorted((ROOT / "quantviz").glob("**/*.py"))
             if not p.relative_to(ROOT / "quantviz").as_posix().startswith(COMPILED)]  # fmt: skip
    everywhere = [(path, place) for path in files for place in range(places(path))]
    yield from random.Random(seed).sample(everywhere, count)


def is_found(copy: Path, tests: list[str], longest: float | None) -> bool | None:
    """Whether the tests fail in this copy of the project; None where they take longer than so many seconds."""
    command = [sys.executable, "-m", "pytest", "-qx", "-n0", "-m", "not browser", *tests]
    try:
        return subprocess.run(command, cwd=copy, capture_output=True, timeout=longest).returncode != 0
    except subprocess.TimeoutExpired:
        return None


def refuse_failing(copy: Path, faults: list[tuple[Path, int]]) -> None:
    """Ends the program where tests fail without any fault."""
    tests = sorted({test for path, _ in faults for test in tests_of(path)[0]})
    if is_found(copy, tests, longest=None):
        sys.exit(f"Among these tests some fail without any fault, so that nothing is learned: {', '.join(tests)}.")


def tried(copy: Path, path: Path, longest: float) -> str:
    """What the tests say of the fault that is in the copy of a file now."""
    near, wide = tests_of(path)
    found = is_found(copy, near, longest)
    if found is False and wide != near:
        found = is_found(copy, wide, longest)
    return {True: "found", False: "SURVIVED", None: "too long"}[found]


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--count", type=int, default=60)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--part", default="1/1", help="such as 2/3: every third fault, from the second on")
    asked.add_argument("--longest", type=float, default=300, help="seconds of the tests of one fault")
    asked.add_argument("--only", type=int, nargs="*", help="the numbers of some of them")
    options = asked.parse_args()
    first, parts = map(int, options.part.split("/"))
    copy = Path(tempfile.gettempdir()) / f"quantviz-mutants-{first}-of-{parts}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
    results: Counter[str] = Counter()
    numbered = list(enumerate(chosen(options.count, options.seed), 1))[first - 1 :: parts]
    mine = [(number, fault) for number, fault in numbered if not options.only or number in options.only]
    refuse_failing(copy, [fault for _, fault in mine])
    for number, (path, place) in mine:
        there = copy / path.relative_to(ROOT)
        before, changer = there.read_text("utf-8"), Changer(place)
        stamp = there.stat()
        there.write_text(ast.unparse(changer.visit(ast.parse(before))), "utf-8")
        result = tried(copy, path, options.longest)
        there.write_text(before, "utf-8")
        os.utime(there, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        results[result] += 1
        print(f"{number}/{options.count} {result} {path.relative_to(ROOT)}:{changer.line}", flush=True)
    shutil.rmtree(copy, ignore_errors=True)
    print(", ".join(f"{count} {result}" for result, count in results.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
