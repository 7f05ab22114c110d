"""`plan`: which scheme each tensor of a sweep gets within a budget, and the recipe for the tool that applies it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import QuantvizError
from .output import ProgressLine, print_json, print_table
from .parameters import AsJson, with_groups
from .terminal import complain, own_output

if TYPE_CHECKING:
    from ..planner import Plan, Rules
    from ..planner.alternatives import Alternative


@dataclass(frozen=True)
class Within:
    """One budget."""

    bits: Annotated[
        float | None, typer.Option(metavar="N", help="Budget: bits a weight over the tensors of the sweep.")
    ] = None
    size: Annotated[
        str | None, typer.Option(metavar="4.2GB", help="Budget: size of the file; GB is 10⁹ bytes, GiB 2³⁰.")
    ] = None
    ms: Annotated[
        float | None, typer.Option(metavar="N", help="Budget: milliseconds a token. Every shape of layer is timed here "
                                   "under every scheme that is multiplied here, a second or two each, and longer where "
                                   "kernels are compiled first; Ctrl-C stops it.")
    ] = None  # fmt: skip

    @property
    def amounts(self) -> dict[str, Any]:
        return {"bits": self.bits, "nbytes": self.size, "ms": self.ms}


@dataclass(frozen=True)
class Harm:
    damage: Annotated[
        str, typer.Option(metavar="weights|output|calibrated|kl", help="What is summed and made least: the error of "
                          "the weights; of outputs by importance, or over a calibration, where the sweep has it; the "
                          "KL divergence.")
    ] = "weights"  # fmt: skip
    sensitivity: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="What `sensitivity` wrote, for --damage kl.")
    ] = None

    @property
    def felt(self) -> Any:
        """The frame of the sensitivity, if there is one."""
        from ..sensitivity import load_sensitivity

        return None if self.sensitivity is None else load_sensitivity(self.sensitivity).frame


@dataclass(frozen=True)
class Bound:
    """What a plan must keep to."""

    keep: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Tensors that stay as stored. Repeatable.")
    ] = None
    allow: Annotated[
        list[str] | None, typer.Option(metavar="SCHEME", help="A scheme to choose from; default all. Repeatable.")
    ] = None
    share: Annotated[
        str, typer.Option(metavar="A,B|none", help="What gets one scheme: qkv, gate-up, experts, patterns.")
    ] = "experts"
    floor_embedding: Annotated[
        str | None, typer.Option(metavar="SCHEME|BITS", help="The least that embeddings and head get.")
    ] = None

    @property
    def rules(self) -> Rules:
        from ..planner import Rules

        shared = () if self.share.strip() == "none" else tuple(part.strip() for part in self.share.split(","))
        return Rules(tuple(self.allow or ()), tuple(self.keep or ()), shared, self.floor_embedding)


@with_groups
def plan(
    sweep: Annotated[Path, typer.Argument(metavar="FILE.parquet", help="What `sweep` wrote.")],
    within: Within = Within(),
    harm: Harm = Harm(),
    bound: Bound = Bound(),
    export: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Print the recipe alone: llama.cpp, llm-compressor, mlx, torchao, autoround, gptqmodel, quantviz.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Chooses a scheme for each tensor of a sweep, so that the summed damage is least within one budget."""
    from ..planner import recipe
    from ..planner.recipes import checked

    if export is not None:
        checked(export)
    made = _made(sweep, within, harm, bound.rules)
    for notice in made.notices:
        complain(notice)
    if export is not None:
        written = recipe(made, export)
        for note in written.notes:
            complain(note)
        if as_json:
            return print_json(made.record() | {"recipe": {"format": written.format, "text": written.text}})
        return print(written.text, end="")
    return print_json(made.record()) if as_json else _print(made)


def _made(sweep: Path, within: Within, harm: Harm, rules: Rules) -> Plan:
    from ..planner import plan
    from ..planner.milliseconds import times_of
    from ..planner.table import table

    own_output()
    frame, ref = _read_sweep(sweep)
    felt, times = harm.felt, None
    if within.ms is not None and within.bits is None and within.size is None:
        with ProgressLine() as line:
            times = times_of(
                table(frame, harm.damage, felt), rules, progress=lambda what, done, total: line.of(what)(done, total)
            )
    return plan(
        frame, **within.amounts, damage=harm.damage, rules=rules, sensitivity=felt, model=_opened(ref), times=times
    )


def _read_sweep(path: Path) -> tuple[Any, str]:
    """The frame, and the reference of the model that was swept."""
    from ..sweep.reading import load_sweep

    found = load_sweep(path)
    if not found.complete:
        complain("The sweep is not complete: what is not there yet is not planned.")
    return found.frame, found.spec.ref


def _opened(ref: str) -> Any:
    """The model that was swept; None, and a sentence, where it cannot be opened now."""
    from ..models import open_model

    try:
        return open_model(ref)
    except QuantvizError as problem:
        complain(f"What else is in the model's file, and what llama.cpp's mixes make of it, is unknown: {problem}")
        return None


# -- the table -----------------------------------------------------------------------------------


def _print(made: Plan) -> None:
    from ..planner.alternatives import kept_name
    from ..text.wording import number, shape

    _print_totals(made)
    print()
    timed = made.budget.kind == "ms"
    print_table(
        ("tensor", "shape", "scheme", "bits", "damage", "of all", *(("ms",) if timed else ())),
        [
            (
                line.tensor, shape(line.shape), kept_name(line.scheme), number(line.bits / line.weights, 4),
                number(line.damage, 3), f"{100 * line.damage / made.damage:.1f}%" if made.damage else "-",
                *((f"{1e3 * (line.seconds or 0):.3f}",) if timed else ()),
            )
            for line in made.lines
        ],
        right=(3, 4, 5, 6),
    )  # fmt: skip


def _print_totals(made: Plan) -> None:
    from ..text.wording import number, plural, size

    rest = "the tensors of the sweep alone" if made.rest is None else f"{size(made.rest)} of it not in the sweep"
    bits = f"{made.bits_per_weight:.4f} bits per weight over {plural(made.weights, 'weight')}"
    print(f"{bits}; {size(made.nbytes)}, {rest}.")
    if made.milliseconds is not None:
        print(f"{made.milliseconds:.4g} ms a token in these tensors.")
    grade = made.grade
    print(f"Damage: {grade.label}, {grade.formula}: {number(made.damage, 4)} {grade.unit}.")
    print(grade.sums)
    gap = made.solution.gap
    proven = "the least there is, which is proven" if gap < 1e-9 else f"at most {100 * gap:.3g}% above the least"
    print(f"Within {made.budget.text()} that is {proven} ({made.solution.seconds:.2f} s).\n")
    print_table(
        ("held against", "", "damage", "the plan has less by"),
        [_against(made, kind, found) for kind, found in (
            ("best uniform scheme", made.best_uniform), ("best mix of llama.cpp", made.best_mix)
        ) if found is not None or kind == "best uniform scheme"],
        right=(2, 3),
    )  # fmt: skip


def _against(made: Plan, kind: str, found: Alternative | None) -> tuple[str, ...]:
    from ..text.wording import number

    if found is None:
        return kind, "none fits", "-", "-"
    name = f"{found.name}, {made.budget.text(found.cost)}"
    return kind, name, number(found.damage, 4), f"{100 * made.gain(found):.1f}%"
