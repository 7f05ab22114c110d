"""The training itself: the model, its optimizers, and the loop with its checkpoints."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from ...errors import QuantvizError
from .corpus import Batches
from .fragility import STEPS, perplexity_ratios
from .recipe import TrainingRecipe
from .scoring import perplexity

Log = list[dict]
"""The curve: step, tokens, epochs, training loss, test perplexity and seconds (pauses included); in some rows also
`perplexity_ratios`."""


def build_model(recipe: TrainingRecipe) -> LlamaForCausalLM:
    """The untrained model, float32; the embedding doubles as output head."""
    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=recipe.vocabulary, hidden_size=recipe.hidden, intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
            use_cache=False,
        )
    )  # fmt: skip


def build_optimizers(model: nn.Module, recipe: TrainingRecipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW without decay for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "embed" in name]
    muon = torch.optim.Muon(
        matrices, lr=recipe.matrix_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Sums in one order: only kernels that always do the same, on a fixed number of threads."""
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a help against faulty kernels that costs time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filling


@contextmanager
def dropped(model: LlamaForCausalLM, rate: float) -> Iterator[None]:
    """Dropout on what each layer's two halves add to the residual stream, which Llama itself has none of."""

    def drop(_module, _inputs, output):
        if isinstance(output, tuple):
            return F.dropout(output[0], rate), *output[1:]
        return F.dropout(output, rate)

    halves = [half for layer in model.model.layers for half in (layer.self_attn, layer.mlp)]
    hooks = [half.register_forward_hook(drop) for half in halves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def train_step(
    model, optimizers, inputs: torch.Tensor, targets: torch.Tensor, recipe: TrainingRecipe, step: int
) -> float:
    """One update; the loss before it, in nats a token."""
    torch.manual_seed(recipe.seed * 1_000_003 + step)  # the dropout of a step does not depend on where a run resumed
    with dropped(model, recipe.dropout), torch.autocast("cpu", torch.bfloat16):
        logits = model(inputs).logits
    loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    for optimizer, peak in zip(optimizers, (recipe.matrix_rate, recipe.other_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = peak * recipe.rate(step)
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


class SavedRun:
    """A run's whole state in one file, replaced in one move, so that an interruption leaves the last one whole."""

    def __init__(self, path: Path, recipe: TrainingRecipe, model: nn.Module, optimizers: list[torch.optim.Optimizer]):
        self.path, self.recipe, self.model, self.optimizers = path, recipe, model, optimizers

    def save(self, step: int, log: Log, losses: list[float]) -> None:
        state = {
            "recipe": asdict(self.recipe),
            "step": step,
            "log": log,
            "losses": losses,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        unfinished = self.path.with_name(self.path.name + ".part")
        torch.save(state, unfinished)
        os.replace(unfinished, self.path)

    def load(self) -> tuple[int, Log, list[float]]:
        """The step the run goes on at, its log, and the losses since the log's last row.

        Raises QuantvizError where that would not be the run of this recipe.
        """
        state = torch.load(self.path, weights_only=True)
        begun = TrainingRecipe(**state["recipe"])
        if not self.recipe.continues(begun, state["step"]):
            raise QuantvizError(
                f"{self.path.name} is at step {state['step']} of a run with other settings; resume it with its own, "
                "of which only the steps may change, and those only before the learning rate falls."
            )
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return state["step"], state["log"], state["losses"]


def train(
    recipe: TrainingRecipe,
    tokens: torch.Tensor,
    test_tokens: torch.Tensor,
    checkpoint: Path,
    resume: bool = False,
    report: Callable[[dict], None] = lambda _: None,
    evaluate_every: int = 100,
    save_every: float = 120.0,
) -> tuple[LlamaForCausalLM, Log]:
    """The trained model (float32) and its log: a row every `evaluate_every` steps, and every doubling before that.

    checkpoint: the file written every `save_every` seconds and at the end; with `resume`, where the run goes on.
    """
    with deterministic(recipe.threads):
        model = build_model(recipe).train()
        optimizers = build_optimizers(model, recipe)
        batches = Batches(tokens, recipe.context, recipe.batch, recipe.seed)
        keeper = SavedRun(checkpoint, recipe, model, optimizers)
        start, log, losses = keeper.load() if resume else (0, [], [])
        elapsed, began, saved = log[-1]["seconds"] if log else 0.0, time.monotonic(), time.monotonic()
        for step in range(start, recipe.steps):
            losses.append(train_step(model, optimizers, *batches.at(step), recipe, step))
            done = step + 1
            if done % evaluate_every == 0 or done == recipe.steps or (done < evaluate_every and done & (done - 1) == 0):
                row = {
                    "step": done,
                    "tokens": done * recipe.tokens_per_step,
                    "epochs": round(done / batches.per_epoch, 3),
                    "training_loss": round(sum(losses) / len(losses), 4),
                    "test_perplexity": round(perplexity(model, test_tokens, recipe.context), 3),
                    "seconds": round(elapsed + time.monotonic() - began),
                }
                if done in STEPS or done == recipe.steps:
                    row["perplexity_ratios"] = perplexity_ratios(model, test_tokens, recipe.context)
                log.append(row)
                losses.clear()
                report(row)
            if time.monotonic() - saved > save_every or done == recipe.steps:
                keeper.save(done, log, losses)
                saved = time.monotonic()
        return model.eval(), log
