"""The command line: `python -m quantviz tensors | schemes | evaluate`.

With --json, standard output is one JSON document and nothing else. Bad input exits 2 with one line on
standard error. Each command imports what it needs, so that help and usage errors come at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from .errors import QuantvizError

PROGRAM = "python -m quantviz"
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXAMPLE_SHAPE = (4096, 4096)  # for which `schemes` gives bits per weight

app = typer.Typer(
    help="What quantization does to the weights of a model.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Ref = Annotated[str, typer.Argument(metavar="REF", help="random:…, hf:org/name@revision, or a file or folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; `arguments` default to the process's own."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks × or √ gets an escape
    try:
        status = app(args=arguments, prog_name=PROGRAM, standalone_mode=False) or 0
        sys.stdout.flush()
        return status
    except QuantvizError as error:
        return _refuse(str(error))
    except TyperException as error:  # an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        usage = f" ({context.get_usage()})" if context else ""
        return _refuse(error.format_message() + usage)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read standard output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _refuse(message: str) -> int:
    print(_one_line(message), file=sys.stderr)
    return EXIT_BAD_INPUT


def _one_line(text: str) -> str:
    """Without line breaks, and without control characters: names come from files that anyone may have written."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


# -- commands ----------------------------------------------------------------------------------


@app.command()
def tensors(ref: Ref, as_json: AsJson = False) -> None:
    """Lists the tensors of a model: name, shape, dtype, bytes."""
    from .sources import open_model
    from .wording import shape

    found = open_model(ref).tensors
    if as_json:
        return _print_json(
            [{"name": t.name, "shape": list(t.shape), "dtype": t.dtype, "nbytes": t.nbytes} for t in found]
        )
    _print_table(("tensor", "shape", "dtype", "bytes"),
                 [(t.name, shape(t.shape), t.dtype, f"{t.nbytes:,}") for t in found], right=(3,))  # fmt: skip


@app.command()
def schemes(as_json: AsJson = False) -> None:
    """Lists every ready-made scheme, with its bits per weight for a tensor of 4096 × 4096."""
    from .schemes import Scheme, catalogue

    rows = []
    for s in map(Scheme.parse, catalogue()):
        granularity = None if s.granularity is None else str(s.granularity)
        rows.append(
            {"scheme": s.key, "format": s.format, "symmetry": s.symmetry, "granularity": granularity,
             "scale": s.scale, "bits_per_weight": s.bits_per_weight(EXAMPLE_SHAPE)}
        )  # fmt: skip
    if as_json:
        return _print_json(rows)
    cells = [[f"{value:.3f}" if isinstance(value, float) else value or "" for value in row.values()] for row in rows]
    _print_table([name.replace("_", " ") for name in rows[0]], cells, right=(5,))


@app.command()
def evaluate(
    ref: Ref,
    tensor: Annotated[str, typer.Argument(metavar="TENSOR", help="Name of a tensor, as `tensors` lists it.")],
    scheme: Annotated[list[str], typer.Argument(metavar="SCHEME", help="Scheme keys, such as int4-asym-b64.")],
    rows: Annotated[str | None, typer.Option(metavar="A:B", help="Only rows A to B - 1.")] = None,
    device: Annotated[str, typer.Option(metavar="cpu|reference", help="The engine that computes.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measures what each SCHEME loses on one TENSOR."""
    from . import evaluation
    from .kernels import ENGINES
    from .schemes import Scheme
    from .sources import open_model
    from .wording import shape

    parsed = [Scheme.parse(key) for key in scheme]
    if device not in ENGINES:
        raise QuantvizError(f"There is no engine {device!r}; choose {' or '.join(ENGINES)}.")
    row_range = _parse_rows(rows)
    with _ProgressLine() as line:
        model = open_model(ref)
        info = model.info(tensor)
        start, stop = row_range or (0, info.rows)
        for s in parsed:  # before anything is moved
            s.check_shape(max(stop - start, 1), info.cols)
        weights = model.open(tensor, row_range, line.of("bytes read"))
        statistics = evaluation.describe(weights, line.of("weights described"))
        results = [
            evaluation.evaluate(weights, s, device=device, statistics=statistics, progress=line.of(s.key))
            for s in parsed
        ]
    for notice in dict.fromkeys(f"{r.scheme}: {text}" for r in results for text in r.notices):
        print(notice, file=sys.stderr)
    if as_json:
        from .export import plain

        return _print_json(
            [
                {"ref": model.ref, "tensor": tensor, "shape": list(r.shape), "dtype": r.dtype, "scheme": r.scheme,
                 "metrics": plain(r.metrics), "engine": r.engine, "seconds": r.seconds}
                for r in results
            ]
        )  # fmt: skip
    print(f"{_one_line(tensor)}  {shape(weights.shape)}  {weights.dtype}\n")
    _print_metrics(results)


def _parse_rows(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18}):([0-9]{1,18})", text)
    if not match:
        raise QuantvizError(f"--rows {text!r} is no range of rows; write A:B, for example 0:512.")
    return int(match[1]), int(match[2])


# -- output ------------------------------------------------------------------------------------


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _print_metrics(results: list[Any]) -> None:
    """A line a metric, a column a scheme."""
    from .export import as_text
    from .metrics import METRICS

    arrow = {"lower": "lower is better", "higher": "higher is better", "neither": ""}
    lines = [
        (m.label, *(as_text(name, r.metrics[name]) if name in r.metrics else "-" for r in results), arrow[m.direction])
        for name, m in METRICS.items()
        if any(name in r.metrics for r in results)
    ]
    _print_table(("metric", *(r.scheme for r in results), ""), lines, right=range(1, len(results) + 1))


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Columns padded to their widest cell; those numbered in `right` are right-aligned."""
    lines = [[_one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    to_right = set(right)
    for line in lines:
        cells = (c.rjust(w) if i in to_right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        print("  ".join(cells).rstrip())


class _ProgressLine:
    """One line on standard error that says how far the work is, when that is a terminal; it leaves nothing behind."""

    INTERVAL = 0.1  # seconds between two redraws

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> _ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def of(self, what: str) -> Callable[[int, int], None]:
        """A progress(done, total) that shows `what`."""

        def show(done: int, total: int) -> None:
            now = time.monotonic()
            if self._shown and now >= self._next:
                self._next = now + self.INTERVAL
                print(f"\r\x1b[K{what}: {done:,} of {total:,}", end="", file=sys.stderr, flush=True)

        return show
