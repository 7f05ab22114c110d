"""`throughput`: how fast schemes are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import QuantvizError
from ..text.printable import printable
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, whole
from .terminal import complain

if TYPE_CHECKING:
    from ..throughput import Card, Measurement, Report


def throughput(
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Where to measure, the best by default: {devices}. {engines}"),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(help="quantize, dequantize, evaluate, linear or decode; default all. Repeatable."),
    ] = None,
    scheme: Annotated[
        list[str] | None, typer.Option(help="A scheme key; fp32, fp16, bf16 are plain. Repeatable.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="REF", help="Whose decode step: 0.5b to 70b, demo, hf:org/name, or a folder.")
    ] = None,
    shape: Annotated[str | None, typer.Option(metavar="OUTxIN", help="The linear layer, such as 4096x14336.")] = None,
    tensor: Annotated[str | None, typer.Option(metavar="ROWSxCOLS", help="What quantize, … evaluate take.")] = None,
    batch: Annotated[int, typer.Option(parser=whole, help="Tokens multiplied at once.")] = 1,
    rounds: Annotated[
        int | None, typer.Option(parser=whole, help="Interleaved rounds; default as suits the device.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measures speed on this machine: the kernels, a linear layer, and a whole decode step of a model."""
    from ..throughput import Doing, Plan, Report, Waiting, run

    plan = Plan.make(
        device, workload or None, scheme or None, _parse_shape("--tensor", tensor), _parse_shape("--shape", shape),
        batch, model, rounds,
    )  # fmt: skip
    report = Report()
    with ProgressLine() as line:
        for event in run(plan):
            report = report.take(event)
            if isinstance(event, Doing):
                line.of(event.what)(event.done, event.total)
            elif isinstance(event, Waiting):
                complain(event.sentence)
    for reason, keys in _reasons(report).items():
        complain(f"Not measured, {keys}: {reason}")
    if as_json:
        return print_json(report.document())
    _print(report)


def _parse_shape(option: str, text: str | None) -> tuple[int, int] | None:
    from ..throughput.plan import parse_shape

    if text is None:
        return None
    try:
        return parse_shape(text)
    except QuantvizError as problem:
        raise QuantvizError(f"{option} {problem}") from None


def _reasons(report: Report) -> dict[str, str]:
    """Reason -> what it keeps from being measured, so that each is said once."""
    found: dict[str, list[str]] = {}
    for r in report.refused:
        found.setdefault(r.reason, []).append(f"{r.workload} {r.scheme}")
    return {reason: ", ".join(what) for reason, what in found.items()}


def _print(report: Report) -> None:
    from ..throughput.claim import STATEMENT, speed_verdict
    from ..throughput.results import UNSTEADY
    from ..throughput.roofline import bound

    if report.card is None:
        return
    _print_card(report.card)
    for workload in dict.fromkeys(m.workload for m in report.measurements):
        lines = report.of(workload)
        print(f"\n{_title(lines[0])}")
        _print_lines(lines)
        print("".join(f"{notice}\n" for notice in dict.fromkeys(n for m in lines for n in m.notices)), end="")
        for m in lines:
            print(f"  {m.scheme}: {bound(m, report.card)}")
        if any(m.unsteady for m in lines):
            print(UNSTEADY)
    if report.of("decode"):
        print(f"\nClaim: {STATEMENT}\n{speed_verdict(report.measurements).sentence}")


def _print_card(card: Card) -> None:
    from ..text.wording import plural, size

    versions = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    memory = f", {size(card.memory_bytes)} of memory" if card.memory_bytes else ""
    driver = f", driver {card.driver}" if card.driver else ""
    print(f"{printable(card.name)}{memory}, {plural(card.threads, 'thread')}{driver}")
    print(versions)
    if card.copy_bytes_per_s and card.read_bytes_per_s:
        print(f"Memory bandwidth measured here: copying {size(card.copy_bytes_per_s)}/s, reading "
              f"{size(card.read_bytes_per_s)}/s")  # fmt: skip
    for notice in card.notices:
        print(notice)


def _title(m: Measurement) -> str:
    from ..text.wording import plural, shape

    what = f"{plural(m.shape[0], 'weight')} of {m.model}" if m.workload == "decode" else shape(m.shape)
    batch = "" if m.batch is None else f", {m.batch} token{'s' * (m.batch != 1)} at once"
    return f"{m.workload}: {what}{batch}"


HEADS = ("scheme", "median", "min", "max", "million weights/s", "GB/s", "of copy", "tokens/s", "over bf16", "over fp32",
         "memory", "correct")  # fmt: skip


def _print_lines(lines: tuple[Measurement, ...]) -> None:
    from ..text.wording import share, size

    def cell(value: float | None, text: str) -> str:
        return "-" if value is None else text.format(value)

    rows = [
        (
            m.scheme, *(cell(s and s * 1e3, "{:.3f} ms") for s in (m.median_s, m.min_s, m.max_s)),
            cell(m.weights_per_s and m.weights_per_s / 1e6, "{:,.0f}"),
            cell(m.bytes_per_s and m.bytes_per_s / 1e9, "{:.1f}"),
            "-" if m.share_of_copy is None else share(m.share_of_copy), cell(m.tokens_per_s, "{:,.1f}"),
            cell(m.speedup_over_bf16, "{:.2f}×"), cell(m.speedup_over_fp32, "{:.2f}×"),
            "-" if m.memory_bytes is None else size(m.memory_bytes), {True: "yes", False: "NO", None: "-"}[m.correct],
        )
        for m in lines
    ]  # fmt: skip
    kept = [i for i in range(len(HEADS)) if i == 0 or any(row[i] != "-" for row in rows)]
    print_table([HEADS[i] for i in kept], [[row[i] for i in kept] for row in rows], right=range(1, len(kept) - 1))
