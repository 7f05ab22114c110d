"""`quality`: what schemes do to the predictions of a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import QuantvizError
from ..text.printable import printable
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, whole
from .terminal import complain

Model = Annotated[
    str, typer.Argument(metavar="REF", help="demo, hf:org/name@revision, the folder of a model, or a .gguf file.")
]


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
    context: Annotated[int, typer.Option(metavar="N", parser=whole, help="Tokens in a window.")] = 512,
    method: Annotated[str, typer.Option(metavar="llama.cpp|sliding", help="How windows lie over the text.")] = (
        "llama.cpp"
    ),
    targets: Annotated[
        str, typer.Option(metavar="A,B", help="What is quantized: linear, embeddings, head, or patterns of names.")
    ] = "linear",
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda", help="Without it, a GPU where there is one.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="float32|bfloat16|float16", help="To compute in; without it, float32 where it fits."),
    ] = None,
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
            ref, scheme, passage, tokens or None, context, method, targets.split(","), device=device, dtype=dtype,
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
    _print_results(results)


def _print_heading(first: Any, text: Path | None) -> None:
    """What was measured."""
    from ..quality.results import method_text, quantized_text

    print(f"{printable(first.ref)}: {first.scored:,} tokens scored, computed in {first.dtype} on {first.device}.")
    print(f"{method_text(first.method, first.context)}")
    print(f"Text: {first.text}{f', {printable(text.name)}' if text else ''}.")
    print(f"Quantized: {quantized_text(first.layers, first.targets)}; all else as it is stored.\n")
    print(f"perplexity as stored: {first.base_perplexity:.4f} ± {first.base_perplexity_se:.4f}\n")


def _print_results(results: list[Any]) -> None:
    """A line a scheme."""
    from ..quality.text.words import added_text

    heads = ("scheme", "bits", "perplexity", "added", "KL mean", "KL 99%", "KL max", "top-1", "seconds")
    print_table(
        heads,
        [
            (
                r.scheme, f"{r.bits_per_weight:.3f}", f"{r.perplexity:.4f}",
                added_text(r.perplexity_ratio, r.perplexity_ratio_se), f"{r.kl_mean:.3g}", f"{r.kl_p99:.3g}",
                f"{r.kl_max:.3g}",
                f"{100 * r.top1_agreement:.2f}%", f"{r.seconds:.2f}",
            )
            for r in results
        ],
        right=range(1, len(heads)),
    )  # fmt: skip
