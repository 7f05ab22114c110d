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
MAX_LINES = 400
# The parts of quantviz, lowest first; a module may import from its own layer and those below it.
# fmt: off
LAYERS = (
    {"arrays", "errors", "printable", "spreadsheets", "text_numbers"},
    {"disk"},
    {"formats", "tensors", "granularity", "options", "nested"},
    {"schemes", "block_types", "metrics", "statistics", "sources", "bits", "numerals", "arithmetic", "hadamard",
     "gguf_names"},
    {"checkpoints"},
    {"kernels", "wording", "experts"},
    {"evaluation", "inspection", "uniform_rounding", "models", "mixes", "stored_blocks",
     "two_tensors", "requantized"},
    {"codes", "sentences", "tables", "export", "outliers", "comparison", "presets", "limits",
     "importance", "file_against_file"},
    {"quality", "throughput"},
    {"figures"},
    {"cli"},
    {"__main__"},
    {"__init__"},
)
# fmt: on
LAYER = {part: height for height, parts in enumerate(LAYERS) for part in parts}
# Sources and metrics depend on nothing above formats; they meet the rest through tensors alone.
BELOW_FORMATS = {"arrays", "errors", "printable", "spreadsheets", "text_numbers", "disk", "formats", "tensors"}
# quantviz promises to load these at first use and not before.
HEAVY = ("torch", "numba", "triton", "transformers", "streamlit", "huggingface_hub", "plotly", "safetensors", "pandas")


def module_of(path: Path) -> str:
    """ "quantviz.kernels.cpu" for quantviz/kernels/cpu/__init__.py"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def part_of(module: str) -> str:
    """The part of quantviz that a module is in: "kernels" for quantviz.kernels.cpu."""
    return (module.split(".") + ["__init__"])[1]


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """(absolute module name, whether it is imported when the file is) of every import; typing-only ones left out."""
    tree = ast.parse(path.read_text("utf-8"))
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import cpu` names modules, `from .cpu import measure` names what is in one.
            found.extend((f"{module}.{alias.name}" if not node.module else module, at_import) for alias in node.names)
        inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, True)
    return found


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def ours(path: Path) -> list[str]:
    return [module for module, _ in imports(path) if module.split(".")[0] == "quantviz"]


def packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imports(path)}


KERNEL_MODULE = [path for path in OURS if path.is_relative_to(ROOT / "quantviz")]
PAGES = [path for path in OURS if not path.is_relative_to(ROOT / "quantviz")]


def test_arrows_inside_quantviz_point_down() -> None:
    wrong = []
    for path in KERNEL_MODULE:
        part = part_of(module_of(path))
        assert part in LAYER, f"{part} has no layer; give it one"
        if part == "__init__":  # the front door names everything, and loads it at first use
            continue
        for module in ours(path):
            other = part_of(module)
            if LAYER[other] > LAYER[part]:
                wrong.append(f"{ids(path)} imports {module}, which lies above it")
            if part in ("sources", "metrics") and other not in BELOW_FORMATS | {part}:
                wrong.append(f"{ids(path)} imports {module}, which lies above formats")
    assert wrong == []


def test_quantviz_knows_nothing_of_streamlit_or_pages() -> None:
    assert [p for p in KERNEL_MODULE if packages(p) & {"streamlit", "pages", "app"}] == []


def test_pages_do_no_arithmetic_on_tensors() -> None:
    assert [p for p in PAGES if packages(p) & {"numpy", "torch", "numba", "scipy", "tests"}] == []
    past = [(ids(p), module) for p in PAGES for module in ours(p) if module.startswith("quantviz.kernels")]
    assert past == [], "they reach past evaluation"


def test_files_stay_short() -> None:
    assert [ids(p) for p in [*OURS, *TESTS] if len(p.read_text("utf-8").splitlines()) > MAX_LINES] == []


LOADED = "import sys; print(' '.join(n for n in {heavy!r} if n in sys.modules))"


@pytest.mark.parametrize(
    "statement",
    [
        "import quantviz",
        "import quantviz.cli",
        "import quantviz as qv; qv.catalogue(); qv.Scheme.parse('int4-sym-b64'); qv.METRICS",
        "import quantviz as qv; qv.open_model('random:normal?rows=8&cols=8').load('weight')",
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
