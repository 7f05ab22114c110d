"""`quality`: what schemes do to the predictions of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import QuantvizError
from ..text.printable import printable
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, whole, with_groups
from .terminal import complain

Model = Annotated[
    str, typer.Argument(metavar="REF", help="demo, hf:org/name@revision, the folder of a model, or a .gguf file.")
]


@dataclass(frozen=True)
class Windows:
    context: Annotated[int, typer.Option(metavar="N", parser=whole, help="Tokens in a window.")] = 512
    method: Annotated[str, typer.Option(metavar="llama.cpp|sliding", help="How windows lie over the text.")] = (
        "llama.cpp"
    )


@dataclass(frozen=True)
class Computing:
    device: Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Without it, a GPU where there is one.")] = None
    dtype: Annotated[
        str | None,
        typer.Option(metavar="float32|bfloat16|float16", help="To compute in; without it, float32 where it fits."),
    ] = None


@dataclass(frozen=True)
class UseOfData:
    """For schemes that look at the layers' inputs."""

    calibration_text: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What solver=gptq, awq and --imatrix calibrate on, and nothing of which is "
                     "scored; without it, the second half of the demo's test book."),
    ] = None  # fmt: skip
    calibration_tokens: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="At most so many tokens of that text; 0 takes all.")
    ] = 4096
    propagate: Annotated[
        bool, typer.Option(help="Whether a layer's inputs come through what was quantized before it.")
    ] = True
    imatrix: Annotated[
        bool, typer.Option("--imatrix", help="Block types and clip=mse search by E[x²] of the calibration text.")
    ] = False

    @property
    def calibrating(self) -> Any:
        from ..quality.data import Calibrating
        from ..quality.text.texts import read_text

        text = None if self.calibration_text is None else read_text(self.calibration_text)
        return Calibrating(text, self.calibration_tokens or None, propagate=self.propagate, imatrix=self.imatrix)


@with_groups
def quality(
    ref: Model,
    scheme: Annotated[
        list[str],
        typer.Argument(
            metavar="SCHEME", help="Scheme keys such as int4-asym-b32, or a table: 'down_proj=int8-b32;*=int4-b32'."
        ),
    ],
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text in UTF-8; without it, the demo model's test book.")
    ] = None,
    tokens: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="At most so many tokens of the text; 0 takes all.")
    ] = 8192,
    windows: Windows = Windows(),
    targets: Annotated[
        str, typer.Option(metavar="A,B", help="What is quantized: linear, embeddings, head, or patterns of names.")
    ] = "linear",
    computing: Computing = Computing(),
    data: UseOfData = UseOfData(),
    as_json: AsJson = False,
) -> None:
    """Measures what each SCHEME does to a language model's predictions: perplexity and KL divergence."""
    from ..evaluation.comparison import Refusal
    from ..quality.measure import measure_quality
    from ..quality.tables import as_record
    from ..quality.text.texts import read_text

    passage = None if text is None else read_text(text)
    results: list[Any] = []
    with ProgressLine() as line:
        outcomes = measure_quality(
            ref, scheme, passage, tokens or None, windows.context, windows.method, targets.split(","),
            calibrating=data.calibrating,
            device=computing.device, dtype=computing.dtype,
            progress=lambda what, done, total: line.of(what)(done, total),
        )  # fmt: skip
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                raise QuantvizError(f"{outcome.scheme}: {outcome.reason}")
            if outcome.complete:
                results.append(outcome)
    for result in results:
        for notice in result.notices:
            complain(f"{result.scheme}: {notice}")
    if as_json:
        return print_json([as_record(result) for result in results])
    _print_heading(results[0], text)
    _print_calibration(next((r for r in results if r.uses_data), None))
    _print_results(results)


def _print_heading(first: Any, text: Path | None) -> None:
    """What was measured."""
    from ..quality.results import method_text, quantized_text

    print(f"{printable(first.ref)}: {first.scored:,} tokens scored, computed in {first.dtype} on {first.device}.")
    print(f"{method_text(first.method, first.context)}")
    print(f"Text: {first.text}{f', {printable(text.name)}' if text else ''}.")
    print(f"Quantized: {quantized_text(first.layers, first.targets)}; all else as it is stored.\n")
    print(f"perplexity as stored: {first.base_perplexity:.4f} ± {first.base_perplexity_se:.4f}\n")


def _print_calibration(result: Any) -> None:
    """What schemes that use data were calibrated on."""
    from ..quality.text.words import calibration_sentence

    if result is not None:
        print(f"Calibrated on: {printable(calibration_sentence(result))}\n")


def _print_results(results: list[Any]) -> None:
    """A line a scheme."""
    from ..quality.text.words import added_text

    heads = ("scheme", "bits", "perplexity", "added", "KL mean", "KL 99%", "KL max", "top-1", "seconds", "uses data")
    print_table(
        heads,
        [
            (
                r.scheme, f"{r.bits_per_weight:.3f}", f"{r.perplexity:.4f}",
                added_text(r.perplexity_ratio, r.perplexity_ratio_se), f"{r.kl_mean:.3g}", f"{r.kl_p99:.3g}",
                f"{r.kl_max:.3g}",
                f"{100 * r.top1_agreement:.2f}%", f"{r.seconds:.2f}", r.uses_data,
            )
            for r in results
        ],
        right=range(1, len(heads) - 1),
    )  # fmt: skip
