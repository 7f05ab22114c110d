"""The house keeps its shape: imports point one way, nothing heavy is loaded early, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = [ROOT / "app.py", *sorted(ROOT.glob("pages/**/*.py")), *sorted(ROOT.glob("quantviz/**/*.py"))]
TESTS = sorted(ROOT.glob("tests/**/*.py"))
MAX_LINES, MAX_TEST_LINES = 300, 400
MAX_FUNCTION_LINES, MAX_PARAMETERS = 60, 9
# Functions that are longer, or take more, than that: (lines, parameters). It may only shrink: mended ones leave it.
TOO_MUCH: dict[str, tuple[int, int]] = {}
# What each folder or loose module of quantviz may import, besides itself; typing-only imports count.
# fmt: off
GROUND = {"errors", "text"}
DATA = GROUND | {"formats", "block_types", "tensors", "schemes", "statistics", "metrics"}
ENGINE = DATA | {"machine", "kernels"}
ABOVE = ENGINE | {"randomness", "sources", "checkpoints", "models", "inspection", "evaluation"}
MAY_IMPORT = {
    "errors": {"text"},  # printable: how a name that a stranger chose is shown
    "text": set(),
    "machine": GROUND, "randomness": set(), "formats": GROUND, "block_types": GROUND | {"formats"}, "tensors": GROUND,
    "statistics": GROUND, "metrics": GROUND,
    "schemes": GROUND | {"formats", "block_types", "tensors", "randomness"},
    "kernels": ENGINE | {"kernels.cpu", "kernels.cuda"},  # the doors to linear layers and to rows of blocks
    "kernels.reference": ENGINE | {"kernels.cpu"},  # borrows, as the table of engines says
    "kernels.cpu": ENGINE,
    "kernels.cuda": ENGINE | {"kernels.reference", "kernels.cpu"},  # likewise
    "sources": GROUND | {"machine", "randomness", "tensors", "block_types"},
    "checkpoints": GROUND | {"sources", "tensors", "block_types", "formats"},  # what the codes of nf4 and fp4 stand for
    "models": GROUND | {"sources", "checkpoints", "kernels"},
    # Its solvers round by the engines' own rules.
    "calibration": ENGINE | {"randomness", "sources", "checkpoints", "kernels.cpu", "kernels.reference"},
    "inspection": ENGINE | {"kernels.cpu"},
    "evaluation": ENGINE | {"kernels.cpu", "inspection", "calibration"},
    "published": ABOVE | {"kernels.cpu"},
    "outliers": ABOVE | {"kernels.cpu"},
    "quality": ABOVE | {"kernels.cpu", "calibration", "outliers"},
    "sensitivity": ABOVE | {"quality"},  # trials of what quality measures, one part at a time
    "sweep": ABOVE | {"kernels.cpu", "calibration"},  # where a pass on the CPU begins a run of its sums
    "throughput": ENGINE | {"kernels.cpu", "kernels.reference", "kernels.cuda", "sources"},
    # Tables and layers as `quality` reads them, llama.cpp's mixes, and the time that a layer takes.
    "planner": ABOVE | {"published", "quality", "sensitivity", "sweep", "throughput"},
    "lessons": ABOVE | {"outliers", "published", "quality", "throughput"},  # of `published`, llama.cpp's mixes
    "figures": ABOVE | {"calibration", "published", "outliers", "quality", "sensitivity", "throughput", "sweep",
                        "planner", "lessons"},
    "cli": ABOVE | {"calibration", "published", "quality", "sensitivity", "throughput", "sweep", "planner"},
    "__main__": {"cli"},
}
# What each folder of pages/components may import of the others; a page's own folder may use all but other pages'.
COMPONENTS = {
    "terms": set(), "say": {"terms"}, "selection": set(), "link": {"terms", "say", "selection"},
    "work": {"say", "selection", "link"}, "shared": {"terms", "say", "selection", "link", "work"},
    "shell": {"say", "selection", "link", "work"},
    "sidebar": {"terms", "say", "selection", "link", "work", "shared", "shell"},
}
# fmt: on
SHARED_FOLDERS = set(COMPONENTS)
# Quantized.dequantize() is the contract's method, and asks the engines when it is called.
CIRCLE = ("quantviz.kernels.results", "quantviz.kernels")
# quantviz promises to load these at first use and not before.
HEAVY = ("torch", "numba", "triton", "transformers", "streamlit", "huggingface_hub", "plotly", "safetensors", "pandas",
         "pyarrow", "scipy", "yaml", "distributed", "PIL")  # fmt: skip


def module_of(path: Path) -> str:
    """ "quantviz.kernels.cpu" for quantviz/kernels/cpu/__init__.py"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room_of(module: str) -> str:
    """The folder or loose module of quantviz that holds a module: "kernels.cpu" for quantviz.kernels.cpu.bits."""
    parts = (module.split(".") + ["__init__"])[1:]
    return ".".join(parts[:2]) if parts[0] == "kernels" and parts[1] in ("reference", "cpu", "cuda") else parts[0]


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """(absolute module name, whether it is imported when the file is) of every import, typing-only ones too."""
    tree = ast.parse(path.read_text("utf-8"))
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # What is imported from a folder may be a module of it, or what its __init__ holds.
            names = (f"{module}.{alias.name}" for alias in node.names)
            found.extend((name if name in MODULES else module, at_import) for name in names)
        inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, True)
    return found


MODULES = {module_of(path): path for path in OURS}


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def ours(path: Path) -> list[str]:
    return [module for module, _ in imports(path) if module.split(".")[0] == "quantviz"]


def packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imports(path)}


KERNEL_MODULE = [path for path in OURS if path.is_relative_to(ROOT / "quantviz")]
PAGES = [path for path in OURS if not path.is_relative_to(ROOT / "quantviz")]


def test_every_folder_imports_what_it_may() -> None:
    wrong = []
    for path in KERNEL_MODULE:
        room = room_of(module_of(path))
        if room == "__init__":  # the front door names everything, and loads it at first use
            continue
        for module in ours(path):
            other = room_of(module)
            if other not in MAY_IMPORT[room] | {room, "__init__"}:
                wrong.append(f"{ids(path)} imports {module}, which {room} may not")
    assert wrong == []


def test_components_import_what_they_may() -> None:
    wrong = []
    for path in PAGES:
        here = module_of(path).split(".")
        if here[:2] != ["pages", "components"] or len(here) < 3:
            continue
        for module, _ in imports(path):
            there = module.split(".")
            if there[:2] == ["pages", "components"] and len(there) > 2 and there[2] != here[2]:
                if there[2] not in COMPONENTS.get(here[2], SHARED_FOLDERS):
                    wrong.append(f"{ids(path)} imports {module}")
    assert wrong == []


def test_there_is_no_circle_between_files() -> None:
    above: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        found = {other for other, _ in imports(path) if other in MODULES and other != module}
        above[module] = found - {CIRCLE[1]} if module == CIRCLE[0] else found
    above["quantviz"] = set()  # the front door, as above
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module not in done:
            for other in sorted(above[module]):
                walk(other, (*path, module))
            done.add(module)

    for module in above:
        walk(module, ())


def test_quantviz_knows_nothing_of_streamlit_or_pages() -> None:
    assert [p for p in KERNEL_MODULE if packages(p) & {"streamlit", "pages", "app"}] == []


def test_pages_do_no_arithmetic_on_tensors() -> None:
    assert [p for p in PAGES if packages(p) & {"numpy", "torch", "numba", "scipy", "tests"}] == []
    past = [(ids(p), module) for p in PAGES for module in ours(p) if module.startswith("quantviz.kernels")]
    assert past == [], "they reach past evaluation"


def test_files_stay_short() -> None:
    def lines(path: Path) -> int:
        return len(path.read_text("utf-8").splitlines())

    long = [p for p in OURS if lines(p) > MAX_LINES] + [p for p in TESTS if lines(p) > MAX_TEST_LINES]
    assert [ids(p) for p in long] == []


def functions(path: Path) -> list[tuple[str, int, int]]:
    """(name, lines, parameters but self and cls) of every function in a file, nested ones too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            own = given[1:] if given[:1] in (["self"], ["cls"]) else given
            found.append((node.name, node.end_lineno - node.lineno + 1, len(own)))
    return found


def test_functions_stay_short_and_take_little() -> None:
    large = {
        f"{ids(path)} {name}": (lines, parameters)
        for path in OURS
        for name, lines, parameters in functions(path)
        if lines > MAX_FUNCTION_LINES or parameters > MAX_PARAMETERS
    }
    grown = {
        name: size
        for name, size in large.items()
        if any(n > m for n, m in zip(size, TOO_MUCH.get(name, (0, 0)), strict=True))
    }
    assert grown == {}, f"over {MAX_FUNCTION_LINES} lines or {MAX_PARAMETERS} parameters, or grown (lines, parameters)"
    assert set(TOO_MUCH) <= set(large), "what is mended leaves the table"


LOADED = "import sys; print(' '.join(n for n in {heavy!r} if n in sys.modules))"


@pytest.mark.parametrize(
    "statement",
    [
        "import quantviz",
        "import quantviz.cli",
        "import quantviz as qv; qv.catalogue(); qv.Scheme.parse('int4-sym-b64'); qv.METRICS",
        "import quantviz as qv; qv.open_model('random:normal?rows=8&cols=8').load('weight')",
        "import quantviz as qv; qv.open_model('values:0.1,0.2').load('values')",
        "import quantviz as qv; qv.open_model('picture:').load('picture')",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(statement: str) -> None:
    code = f"{statement}\n{LOADED.format(heavy=HEAVY)}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_every_public_name_is_there() -> None:
    import quantviz

    for name in quantviz.__all__:
        assert getattr(quantviz, name) is not None
    assert set(quantviz.__all__) <= set(dir(quantviz))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = quantviz.nothing
