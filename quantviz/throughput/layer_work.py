"""The workloads in which weights meet activations: one linear layer, and a whole decode step of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import QuantvizError
from ..schemes import Scheme
from ..text.wording import shape as shape_text
from ..text.wording import size
from . import multiply
from .bench import MOST_OF_FREE, Bench, TooLarge, device_errors
from .devices import NAMES
from .multiply import Weights
from .plan import Plan
from .results import Doing, Measurement, Refused
from .shapes import PRESETS, LayerShape, ModelShape
from .timing import COLD, Contender, copies_for

Call = tuple[Any, Any, Any]  # activations, packed weights, where the product goes


def contenders(workload: str, plan: Plan, bench: Bench) -> Iterator[Doing | Refused | Contender]:
    """Every scheme of the plan, ready to be timed, or the reason why it is not."""
    make = _linear if workload == "linear" else _decode
    for place, key in enumerate(plan.schemes):
        bench.check()
        yield Doing(f"{workload}: packing and checking {key}", place, len(plan.schemes))
        try:
            with device_errors(bench.device, f"{workload} under {key}"):
                yield make(Scheme.parse(key), plan, bench)
        except QuantvizError as problem:
            bench.release()  # what was made of it
            yield Refused(workload, key, str(problem))


# -- one layer ---------------------------------------------------------------------------------


def _linear(scheme: Scheme, plan: Plan, bench: Bench) -> Contender:
    rows, cols = plan.layer
    _check(scheme, [LayerShape("layer", rows, cols)], bench)
    _ask(scheme, rows, cols, plan.batch, bench)
    weights = multiply.make(scheme, rows, cols, plan.batch, bench)
    line = _line("linear", (rows, cols), plan, bench, weights, weights.nbytes)
    if not weights.correct:
        return Contender(line, [], 0)
    x = multiply.activations(plan.batch, cols, weights.dtype, weights.on_host, bench)
    out = multiply.output(plan.batch, rows, weights.dtype, weights.on_host, bench)
    copies = copies_for(weights.nbytes, bench.card.cache_bytes)
    held = [weights.packed, *(weights.clone() for _ in range(copies - 1))]
    moved = weights.nbytes + x.nbytes + out.nbytes
    if bench.device == "cuda":  # a graph of all copies, for one product is over sooner than it is started
        return Contender(line, [_graph(weights, [(x, packed, out) for packed in held])], moved, steps=copies)
    return Contender(line, [lambda p=p: weights.multiply(x, p, out) for p in held], moved)


# -- a decode step -----------------------------------------------------------------------------


def _decode(scheme: Scheme, plan: Plan, bench: Bench) -> Contender:
    model = plan.model
    _check(scheme, model.layers, bench)
    _ask_model(scheme, model, bench)
    made: list[Weights] = []
    for layer in model.layers:
        bench.check()
        _ask(scheme, layer.rows, layer.cols, plan.batch, bench)
        made.append(multiply.make(scheme, layer.rows, layer.cols, plan.batch, bench))
    memory = sum(w.nbytes * layer.count for w, layer in zip(made, model.layers, strict=True))
    worst = max(made, key=lambda w: w.error)
    line = replace(
        _line("decode", (model.weights,), plan, bench, worst, memory),
        model=model.name, products=sum(layer.count for layer in model.layers),
    )  # fmt: skip
    if not all(w.correct for w in made):
        return Contender(line, [], 0)
    block_bytes = sum(w.nbytes for w in made[:-1])
    held = min(model.blocks, -(-bench.held_bytes // block_bytes))
    whole = held * block_bytes + made[-1].nbytes
    steps = copies_for(whole, bench.card.cache_bytes)  # several of a model so small that the cache would hold it
    bench.ask(steps * whole, f"A decode step of {model.name} under {scheme}", lambda _: None)
    calls, moved = _calls(made, model, plan.batch, held, steps, bench)
    if held < model.blocks:
        note = (
            f"All {model.blocks} blocks are multiplied by, but {held} of them are held in memory and used in turn: "
            f"{size(held * block_bytes)}, at least {COLD} times the cache."
        )
        line = replace(line, notices=(note,))
    weights = made[0]
    if bench.device == "cuda":
        graph = _graph(weights, [call for step in calls for call in step])
        return Contender(line, [graph], moved, steps=len(calls))
    return Contender(line, [_chain(weights, step) for step in calls], moved)


def _calls(
    made: Sequence[Weights], model: ModelShape, batch: int, held: int, steps: int, bench: Bench
) -> tuple[list[list[Call]], int]:
    """The products of `steps` decode steps, each on memory of its own, and the bytes that one step moves."""
    places = []
    for weights, layer in zip(made, model.layers, strict=True):
        x = multiply.activations(batch, layer.cols, weights.dtype, weights.on_host, bench)
        places.append((x, multiply.output(batch, layer.rows, weights.dtype, weights.on_host, bench)))
    calls = []
    for step in range(steps):
        bench.check()
        blocks = [[w.packed if (step, b) == (0, 0) else w.clone() for w in made[:-1]] for b in range(held)]
        head = made[-1].packed if step == 0 else made[-1].clone()
        order = [(places[i], packed) for b in range(model.blocks) for i, packed in enumerate(blocks[b % held])]
        calls.append([(x, packed, out) for (x, out), packed in [*order, (places[-1], head)]])
    moved = sum(
        (w.nbytes + x.nbytes + out.nbytes) * layer.count
        for w, (x, out), layer in zip(made, places, model.layers, strict=True)
    )
    return calls, moved


def _chain(weights: Weights, calls: Sequence[Call]) -> Callable[[], None]:
    def run() -> None:
        for x, packed, out in calls:
            weights.multiply(x, packed, out)

    return run


def _graph(weights: Weights, calls: Sequence[Call]) -> Callable[[], None]:
    """All calls captured in one CUDA graph: the GPU goes from one to the next without waiting for Python."""
    import torch

    run = _chain(weights, calls)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # compiles what is not compiled yet, which a capture may not
        run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


# -- lines and memory --------------------------------------------------------------------------


def _line(
    workload: str, shape: tuple[int, ...], plan: Plan, bench: Bench, weights: Weights, memory: int
) -> Measurement:
    return Measurement(
        workload, weights.scheme.key, shape, plan.batch, bench.device, correct=weights.correct, memory_bytes=memory,
        kernel=weights.kernel, relative_error=weights.error, sqnr_db=weights.sqnr_db,
        final=not weights.correct,
    )  # fmt: skip


def _check(scheme: Scheme, layers: Sequence[LayerShape], bench: Bench) -> None:
    """Raises QuantvizError where some layer cannot be quantized, or not be multiplied here."""
    for layer in layers:
        scheme.check_shape(layer.rows, layer.cols)
        if reason := multiply.why_not_multiplied(scheme, layer.rows, layer.cols, bench.device):
            raise QuantvizError(reason)


def _ask(scheme: Scheme, rows: int, cols: int, batch: int, bench: Bench) -> None:
    """Refuses a layer that will not fit while it is made and copied, before it is made."""
    stored = -(-scheme.bits_stored((rows, cols)) // 8)
    copies = copies_for(stored, bench.card.cache_bytes)
    needed = multiply.bytes_needed(scheme, rows, cols) + (copies - 1) * stored + 8 * batch * (rows + cols)

    def fits(nbytes: int) -> str | None:
        most = nbytes // max(needed // rows, 1)
        return f"{shape_text((most, cols))}" if most else None

    bench.ask(needed, f"A layer of {shape_text((rows, cols))} under {scheme}", fits)


def _ask_model(scheme: Scheme, model: ModelShape, bench: Bench) -> None:
    """Refuses a model that this device could not hold, though its layers are timed with fewer in memory."""
    needed = model_bytes(model, scheme)
    memory = bench.card.free_bytes
    if memory is None or needed <= MOST_OF_FREE * memory:
        return
    smaller = [m for m in PRESETS.values() if model_bytes(m, scheme) <= MOST_OF_FREE * memory]
    largest = max(smaller, key=lambda m: m.weights, default=None)
    raise TooLarge(
        f"{model.name} takes {size(needed)} under {scheme}, and of this {NAMES[bench.device]}'s memory {size(memory)} "
        f"are free{f'; {largest.name} ({largest.key}) would fit' if largest else ''}."
    )


def model_bytes(model: ModelShape, scheme: Scheme) -> int:
    """What all linear layers of a model take as `scheme` stores them."""
    bits = sum(scheme.bits_stored((layer.rows, layer.cols)) * layer.count for layer in model.layers)
    return -(-bits // 8)
