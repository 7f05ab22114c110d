"""What a visitor takes along from a sweep: code, the command, the table, the link."""

from __future__ import annotations

import shlex
from pathlib import PurePath

import pandas as pd
import streamlit as st

from quantviz.sweep.totals import totals

from ..shared.snippet import ref_in_script
from ..shared.take_along import COMMAND, DATA, PYTHON, downloads, link_note, more
from .controls import Ask


def take_along(ask: Ask, frame: pd.DataFrame) -> None:
    more("whole_model_more", {
        PYTHON: lambda: st.code(sweep_snippet(ask), language="python", wrap_lines=True),
        COMMAND: lambda: st.code(sweep_command(ask), language="sh", wrap_lines=True),
        DATA: lambda: _data(ask, frame),
    })  # fmt: skip


def sweep_snippet(ask: Ask) -> str:
    """A script that makes the sweep, and draws its map."""
    options = f", sample={ask.sample!r}" if ask.sample else ""
    options += f", importance={_file(ask)!r}" if ask.weighing else ""
    return (
        "import quantviz as qv\n"
        "\n"
        f"schemes = {list(ask.schemes)!r}\n"
        f'for rows in qv.sweep({ref_in_script(ask.source.ref)!r}, schemes, "sweep.parquet"{options}):\n'
        '    print(rows[["tensor", "scheme", "relative_l2_error", "bits_per_weight"]].to_string(index=False))\n'
        'frame = qv.load_sweep("sweep.parquet").frame\n'
        "qv.figures.layer_map(frame, schemes[0]).show()\n"
        "qv.figures.by_role(frame, schemes).show()\n"
    )


def sweep_command(ask: Ask) -> str:
    """The same on the command line."""
    options = f" --sample {ask.sample}" if ask.sample else ""
    options += f" --importance {shlex.quote(_file(ask))}" if ask.weighing else ""
    ref = shlex.quote(ref_in_script(ask.source.ref))
    return f"python -m quantviz sweep {ref} {' '.join(map(shlex.quote, ask.schemes))} --out sweep.parquet{options}\n"


def _file(ask: Ask) -> str:
    """The importance as the visitor's own file is called."""
    return PurePath(ask.weighing.name).name


def _data(ask: Ask, frame: pd.DataFrame) -> None:
    held = frame.dropna(axis="columns", how="all").drop(columns=["ref", "revision", "version"], errors="ignore")
    document = {
        "ref": ask.source.ref, "sample": ask.sample or "all weights", "totals": totals(frame).to_dict("records"),
        "tensors": held.to_dict("records"),
    }  # fmt: skip
    downloads(("sweep", ask.source.ref), document, (list(held.columns), held.itertuples(index=False, name=None)))
    link_note(ask.source.ref)
