"""`evaluate`: what schemes lose on one tensor."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from ..errors import QuantvizError
from ..text.printable import printable
from .output import ProgressLine, print_json, print_metrics
from .parameters import AsJson, Ref
from .terminal import complain


def evaluate(
    ref: Ref,
    tensor: Annotated[str, typer.Argument(metavar="TENSOR", help="Name of a tensor, as `tensors` lists it.")],
    scheme: Annotated[list[str], typer.Argument(metavar="SCHEME", help="Scheme keys, such as int4-asym-b64.")],
    rows: Annotated[str | None, typer.Option(metavar="A:B", help="Only rows A to B - 1.")] = None,
    device: Annotated[str, typer.Option(metavar="ENGINE", help="The engine that computes. {engines}")] = "cpu",
    importance: Annotated[
        str | None, typer.Option(metavar="FILE", help="E[x²] of each input channel: .npy, or an imatrix in GGUF.")
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The layer's inputs, as `calibrate` writes them, or .npy [tokens, inputs]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measures what each SCHEME loses on one TENSOR."""
    from ..calibration.energy import energy
    from ..calibration.energy import sentence as importance_sentence
    from ..calibration.files import load_calibration
    from ..calibration.importance import load_importance, of_rows, unseen_experts
    from ..evaluation import tensor as evaluation
    from ..kernels import check_engine
    from ..models import open_model
    from ..schemes import Scheme
    from ..text.wording import shape

    parsed = [Scheme.parse(key) for key in scheme]
    check_engine(device)
    row_range = _parse_rows(rows)
    with ProgressLine() as line:
        model = open_model(ref)
        info = model.info(tensor)
        start, stop = row_range or (0, info.rows)
        for s in parsed:  # before anything is moved
            s.check_shape(max(stop - start, 1), info.cols)
            s.check_importance_given(importance is not None, calibration is not None)
        matters = load_importance(importance, tensor, info.cols) if importance else None
        matters = matters if matters is None else of_rows(matters, info.rows, row_range)
        inputs = load_calibration(calibration, tensor, info.cols) if calibration else None
        weights = model.open(tensor, row_range, line.of("bytes read"))
        statistics = evaluation.describe(weights, line.of("weights described"))
        results = [
            evaluation.evaluate(weights, s, matters, device, "full", statistics, line.of(s.key), inputs) for s in parsed
        ]
    _complain(weights, results, inputs, unseen_experts(importance, tensor) if importance else ())
    if as_json:
        from ..text.plain import plain

        return print_json(
            [
                {"ref": model.ref, "tensor": tensor, "shape": list(r.shape), "dtype": r.dtype, "scheme": r.scheme,
                 "metrics": plain(r.metrics), "engine": r.engine, "seconds": r.seconds}
                for r in results
            ]
        )  # fmt: skip
    print(f"{printable(tensor)}  {shape(weights.shape)}  {weights.dtype}\n")
    if matters is not None:
        print(importance_sentence(energy(matters)) + "\n")
    print_metrics(results)


def _complain(weights: Any, results: list[Any], inputs: Any, unseen: tuple[str, ...]) -> None:
    """What whoever reads the figures should know, each sentence once."""
    if unseen:
        which = unseen[0] + (" and others" if len(unseen) > 1 else "")
        complain(f"Experts that no token reached count each of their channels as 1: {which}.")
    common = (*weights.notices, *(inputs.remarks if inputs else ()))
    told = [f"{r.scheme}: {text}" for r in results for text in r.notices if text not in common]
    for notice in dict.fromkeys((*common, *told)):
        complain(notice)


def _parse_rows(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18}):([0-9]{1,18})", text)
    if not match:
        raise QuantvizError(f"--rows {text!r} is no range of rows; write A:B, for example 0:512.")
    return int(match[1]), int(match[2])
