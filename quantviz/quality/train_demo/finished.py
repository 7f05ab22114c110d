"""The finished folder: the model in the Hub's own layout, the test text, the training log and the model card."""

from __future__ import annotations

import dataclasses
import gzip
import json
from importlib.metadata import version
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from .corpus import SEPARATOR, Corpus
from .recipe import TrainingRecipe
from .scoring import perplexity
from .training import Log
from .vocabulary import save_tokenizer

WEIGHTS = "model.safetensors"
TEST_TEXT = "test.txt.gz"
TRAINING_LOG = "training.json"
PROMPT = "And it came to pass in those days, that"
"""What the model card lets the model continue."""


def save_folder(
    folder: Path,
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    corpus: Corpus,
    training_tokens: int,
    recipe: TrainingRecipe,
    curve: Log,
) -> dict:
    """Write the folder; the log it now holds. The perplexity it states is that of the weights as stored, in bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, folder, recipe.context)
    model.config.use_cache = model.generation_config.use_cache = True
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / WEIGHTS).chmod(0o644)
    (folder / TEST_TEXT).write_bytes(gzip.compress(corpus.test.encode(), compresslevel=9, mtime=0))

    stored = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    test_tokens = torch.tensor(tokenizer.encode(corpus.test).ids)
    log = {
        "perplexity": perplexity(stored, test_tokens, recipe.context),
        "perplexity_rule": f"windows of {recipe.context} tokens, the second half of each scored",
        "test_book": recipe.held_out,
        "test_tokens": len(test_tokens),
        "test_repeated": round(corpus.repeated(), 4),
        "training_tokens": training_tokens,
        "tokens_seen": recipe.steps * recipe.tokens_per_step,
        "corpus_sha256": corpus.digest,
        "parameters": sum(weights.numel() for weights in stored.parameters()),
        "settings": dataclasses.asdict(recipe),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "curve": curve,
    }
    (folder / TRAINING_LOG).write_text(_as_text(log), encoding="utf-8")
    sample = continuation(stored, tokenizer, PROMPT, tokens=120)
    (folder / "README.md").write_text(_card(log, sample), encoding="utf-8")
    return log


@torch.inference_mode()
def continuation(model: LlamaForCausalLM, tokenizer: Tokenizer, prompt: str, tokens: int) -> str:
    """`prompt` and what the model makes of it, drawn from its probabilities at temperature 0.8 with a fixed seed."""
    draw = torch.Generator().manual_seed(0)
    row = tokenizer.encode(prompt).ids
    for _ in range(tokens):
        logits = model(torch.tensor([row])).logits[0, -1] / 0.8
        row.append(int(torch.multinomial(logits.softmax(-1), 1, generator=draw)))
    return tokenizer.decode(row)


def _as_text(log: dict) -> str:
    """JSON with a line for each point of the curve, so that it can be read by eye as well."""
    rows = ",\n".join("    " + json.dumps(row) for row in log["curve"])
    head = json.dumps({**log, "curve": []}, indent=2)
    return head.replace('"curve": []', f'"curve": [\n{rows}\n  ]') + "\n"


def _card(log: dict, sample: str) -> str:
    settings = log["settings"]
    quoted = "\n".join(f"> {line}  " for line in sample.splitlines())
    return f"""# The demo model of quantviz

A causal language model of the Llama architecture, small enough to ship with the app. It knows one book: use it to see
what quantization does, and for nothing else.

- **Model**: {log["parameters"]:,} parameters in bf16, {settings["layers"]} layers of {settings["hidden"]}, rows of
  {settings["hidden"]} and {settings["intermediate"]} weights; a byte-level BPE vocabulary of {settings["vocabulary"]:,}
  tokens. The only special token, `{SEPARATOR}`, stands between two books; none is added to a text.
- **Text**: the King James Bible, public domain, without its verse references. The book {settings["held_out"]} was held
  out: {log["test_repeated"]:.1%} of its runs of eight words occur in another book. It is here as `{TEST_TEXT}`.
- **Training**: {log["tokens_seen"]:,} tokens, drawn from {log["training_tokens"]:,} different ones.
  `{TRAINING_LOG}` holds every setting and the curve, with how much rounding hurt the model early and late.
- **Perplexity**: {log["perplexity"]:.2f} a token on {settings["held_out"]}; {log["perplexity_rule"]}. It was watched
  during training but chose no checkpoint: these are the weights of the last step.

What it makes of `{PROMPT}`, at temperature 0.8:

{quoted}

Made by `python -m quantviz.quality.train_demo --text kjv.txt.gz --out FOLDER`.
"""
