"""`sensitivity`: which part of a language model its predictions suffer from most when it alone is quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..text.printable import printable
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, whole
from .quality import Model


def sensitivity(
    ref: Model,
    scheme: Annotated[list[str], typer.Argument(metavar="SCHEME", help="Scheme keys such as int4-asym-b32.")],
    by: Annotated[
        str, typer.Option("--by", metavar="tensor|role|layer", help="What is quantized together, all else as stored.")
    ] = "tensor",
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text in UTF-8; without it, the demo model's test book.")
    ] = None,
    tokens: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="At most so many tokens of the text; 0 takes all.")
    ] = 8192,
    context: Annotated[int, typer.Option(metavar="N", parser=whole, help="Tokens in a window.")] = 512,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="A folder that keeps every unit as it comes.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what --out holds already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measures what each tensor, role or layer does to a language model's predictions when it alone is quantized."""
    import pandas as pd

    from ..errors import QuantvizError
    from ..quality.text.texts import read_text
    from ..sensitivity.measure import sensitivity as measure

    if resume and out is None:
        raise QuantvizError("--resume goes on with what a folder holds; name it with --out.")
    passage = None if text is None else read_text(text)
    with ProgressLine() as line:
        frames = measure(
            ref, scheme, by, text=passage, tokens=tokens or None, context=context, out=out, resume=resume,
            progress=lambda what, done, total: line.of(what)(done, total),
        )  # fmt: skip
        frame = pd.concat(list(frames), ignore_index=True)
    frame = frame.sort_values("kl_mean", ascending=False, kind="stable", ignore_index=True)  # what is refused: last
    if as_json:
        from ..text.plain import plain

        return print_json(plain(frame.to_dict("records")))
    _print_table(frame)


def _print_table(frame: Any) -> None:
    """A line a unit and scheme, worst first."""
    from ..quality.text.words import added_text, with_error
    from ..text.wording import MINUS, count, plural

    first = frame.iloc[0]
    windows = f"{first.tokens:,} tokens in windows of {first.context:,}"
    print(f"{printable(first.ref)}: each {first.by} quantized alone, over {windows}.")
    print("± is one standard error, from the spread between windows.\n")
    heads = (str(first.by), "tensors", "weights", "scheme", "KL mean", "perplexity", "top-1", "seconds")
    rows = []
    for row in frame.itertuples():
        if row.refused:
            figures = (MINUS, MINUS, MINUS)
        else:
            figures = (
                with_error(row.kl_mean, row.kl_se), added_text(row.perplexity_ratio, row.perplexity_ratio_se),
                f"{100 * row.top1_agreement:.2f}%",
            )  # fmt: skip
        rows.append((row.unit, f"{row.tensors:,}", count(row.weights), row.scheme, *figures, f"{row.seconds:.2f}"))
    print_table(heads, rows, right=(1, 2, *range(4, len(heads))))
    refused = frame[frame["refused"] != ""]
    if len(refused):
        print(f"\n{plural(len(refused), 'row')} without figures:")
        for reason in dict.fromkeys(refused["refused"]):
            print(f"  {printable(reason)}")
