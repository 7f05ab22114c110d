"""What measuring a language model costs beside running it, and its memory: python -m tests.benchmarks.quality

A Llama of 135 million random weights, of SmolLM2-135M's shape, in bf16. The bare forward passes are those of
transformers over the same windows: one of the model as stored, one with a scheme in place. Measuring also quantizes,
puts the weights in place and compares all predictions. Memory is the largest that a process of its own took.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from quantviz.quality.measure import measure_quality
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.model.memory_needed import SLACK
from quantviz.quality.passage import Passage
from quantviz.quality.session import text_of
from tests.quality.models import as_gguf, random_llama

SHAPE = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True, "max_position_embeddings": 2048,
    "initializer_range": 0.04,
}  # fmt: skip
SCHEME = "int4-sym-b32"
MB = 1 << 20
POLL = 0.005  # seconds between looks at the memory


def bare(folder: Path, batches: list[torch.Tensor]) -> float:
    """Seconds of two passes over all windows."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        model(batches[0][:1])
        began = time.perf_counter()
        for _ in range(2):
            for batch in batches:
                model(batch)
        return time.perf_counter() - began


def measured(folder: Path, tokens: int) -> float:
    """Seconds of a whole measurement of one scheme, with the model open."""
    with open_language_model(str(folder)) as opened:
        began = time.perf_counter()
        *_, last = measure_quality(opened, [SCHEME], tokens=tokens)
        assert last.complete
        return time.perf_counter() - began


def windows(folder: Path, tokens: int) -> list[torch.Tensor]:
    """The batches of windows that a measurement reads."""
    with open_language_model(str(folder)) as opened:
        passage = Passage.of(opened, text_of(None), tokens, 512, "llama.cpp")
        return [passage.read(batch) for batch in passage.batches()]


def _largest(ref: str, scheme: str, tokens: int, out: multiprocessing.Queue) -> None:
    """Bytes: the most memory of its own that this process held while it measured; pages of files do not count."""
    found, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(POLL):
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
            found.append(int(status["RssAnon"].split()[0]) << 10)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in measure_quality(ref, [scheme], tokens=tokens):
        pass
    ended.set()
    watcher.join()
    out.put(max(found))


def largest(ref: str, scheme: str, tokens: int) -> int:
    """The same of a process of its own."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_largest, args=(ref, scheme, tokens, out))
    process.start()
    found = out.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the median counts")
    parser.add_argument("--memory-only", action="store_true")
    options = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as temporary:
        folder = random_llama(Path(temporary) / "model", torch.bfloat16, **SHAPE)
        if not options.memory_only:
            batches = windows(folder, options.tokens)
            rounds = [(bare(folder, batches), measured(folder, options.tokens)) for _ in range(options.rounds)]
            passes, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(
                f"{options.tokens:,} tokens, {SCHEME}: two bare passes {passes:.1f} s, measuring {ours:.1f} s, "
                f"{ours / passes - 1:+.1%}; rounds {' '.join(f'{a:.1f}/{b:.1f}' for a, b in rounds)}"
            )
        idle = largest("demo", "fp32", 512)
        model = 4 * sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
        allowed = model + 4 * SHAPE["vocab_size"] * SHAPE["hidden_size"] + SLACK
        gguf = as_gguf(folder, folder.parent / "model.gguf")
        print(
            f"memory: the program with the demo model {idle / MB:,.0f} MB; above it the model's {model / MB:,.0f} MB, "
            f"its largest layer and {SLACK // MB} MB are allowed: {allowed / MB:,.0f} MB"
        )
        for ref in (folder, gguf):
            print(f"  {ref.name}: {(largest(str(ref), SCHEME, 1024) - idle) / MB:,.0f} MB above it")


if __name__ == "__main__":
    main()
