"""`sweep`: every weight matrix of a model under every scheme, kept in a Parquet dataset as it comes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import QuantvizError
from ..text.printable import LONGEST_NAME, printable
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, Ref, whole, with_groups
from .terminal import complain

WORST = 10  # tensors that are listed a scheme


@dataclass(frozen=True)
class Which:
    tensors: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Only tensors in whose names this matches somewhere.")
    ] = None
    roles: Annotated[str | None, typer.Option(metavar="ROLE,...", help="Only these: mlp down, attention q …")] = None
    sample: Annotated[
        str | None, typer.Option(metavar="1%|N", help="Read a share, or a number, of each tensor's weights.")
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", parser=whole, help="Of the sample.")] = 0


@dataclass(frozen=True)
class Inputs:
    """What is known of the layers' inputs."""

    importance: Annotated[
        str | None, typer.Option(metavar="FILE", help="An imatrix in GGUF, or activations: adds weighted errors.")
    ] = None
    calibration: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What `calibrate` writes: adds the errors of layers' outputs; solver=gptq "
                     "and awq look at it."),
    ] = None  # fmt: skip


@dataclass(frozen=True)
class Computing:
    workers: Annotated[
        int | None, typer.Option(metavar="N", parser=whole, help="So many processes of this machine.")
    ] = None
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A running Dask cluster, such as tcp://10.0.0.1:8786.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a sweep into FILE.parquet stopped.")] = False


@with_groups
def sweep(
    ref: Ref,
    scheme: Annotated[list[str], typer.Argument(metavar="SCHEME", help="Scheme keys, such as int4-asym-b64.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE.parquet", help="A folder of Parquet files that is made for what comes.")
    ],
    which: Which = Which(),
    inputs: Inputs = Inputs(),
    detail: Annotated[
        str, typer.Option(metavar="full|metrics", help="metrics leaves out what needs counting, and takes less time.")
    ] = "full",
    computing: Computing = Computing(),
    as_json: AsJson = False,
) -> None:
    """Measures what each SCHEME loses on every weight matrix of a model; one row a tensor and scheme."""
    import pandas as pd

    from ..sweep.run import sweep as begin

    with ProgressLine() as line:
        frames = begin(
            ref, scheme, out, detail=detail, progress=line.of("weights measured"), **asdict(inputs),
            **asdict(computing), **asdict(which) | {"roles": _words(which.roles)},
        )  # fmt: skip
        frame = pd.concat(list(frames), ignore_index=True)
    for notice in _notices(frame):
        complain(notice)
    if as_json:
        return print_json(_document(frame))
    _print(frame, out)
    return None


def _words(text: str | None) -> list[str] | None:
    if text is None:
        return None
    words = [" ".join(word.split()) for word in text.split(",")]
    if not all(words):
        raise QuantvizError(f"--roles {text!r} has an empty role; write them apart by commas, such as mlp down,head.")
    return words


def _notices(frame: Any) -> list[str]:
    """Each once, with how many tensors it is of."""
    told = frame.assign(notice=frame.notices.str.split("\n")).explode("notice")
    tensors = told[told.notice != ""].groupby("notice", sort=False).tensor.nunique()
    return [f"{notice} ({n:,} tensor{'s' * (n != 1)})" for notice, n in tensors.items()]


def _document(frame: Any) -> dict[str, Any]:
    from ..sweep.totals import totals
    from ..text.plain import plain

    missing = frame.astype(object).where(frame.notna(), None)
    rows = [plain(row) for row in missing.to_dict("records")]
    return {
        "ref": frame.ref.iloc[0], "revision": frame.revision.iloc[0], "version": frame.version.iloc[0],
        "totals": plain(totals(frame).to_dict("records")), "rows": rows,
    }  # fmt: skip


def _print(frame: Any, out: Path) -> None:
    """The model's totals a scheme, the worst tensors of each, and what was refused."""
    from ..metrics import value_text
    from ..sweep.totals import totals, worst
    from ..text.wording import plural, shape, size

    count = frame.tensor.nunique()
    print(f"{printable(frame.ref.iloc[0])}: {plural(count, 'weight matrix', 'weight matrices')}, kept in {out}\n")
    print_table(
        ("scheme", "tensors", "bits per weight", "size", "relative L2 error", "SQNR"),
        [
            (t.scheme, f"{t.tensors:,}", f"{t.bits_per_weight:.3f}", size(t.bits / 8),
             value_text("relative_l2_error", t.relative_l2_error), value_text("sqnr_db", t.sqnr_db))
            for t in totals(frame).itertuples() if t.tensors
        ],
        right=range(1, 6),
    )  # fmt: skip
    for key, rows in worst(frame, WORST):
        print(f"\n{key}, worst first")
        print_table(
            ("tensor", "role", "shape", "relative L2 error", "SQNR", "bits"),
            [
                (printable(r.tensor, LONGEST_NAME), r.role, shape((r.rows, r.cols)), _estimated(r),
                 value_text("sqnr_db", r.sqnr_db), f"{r.bits_per_weight:.3f}")
                for r in rows.itertuples()
            ],
            right=(3, 4, 5),
        )  # fmt: skip
    refused = frame[frame.refused != ""]
    if len(refused):
        print()
        lines = [(printable(r.tensor, LONGEST_NAME), r.scheme, r.refused) for r in refused.itertuples()]
        print_table(("refused", "scheme", "because"), lines)


def _estimated(row: Any) -> str:
    """With its standard error where there is one."""
    from ..metrics import value_text

    error = row.se_relative_l2_error
    told = value_text("relative_l2_error", row.relative_l2_error)
    return told if error != error else f"{told} ± {value_text('relative_l2_error', error)}"
