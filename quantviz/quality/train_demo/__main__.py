"""The command line of the training."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from ...errors import QuantvizError
from .recipe import TrainingRecipe


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = {field.name: getattr(options, field.name) for field in dataclasses.fields(TrainingRecipe)}
    try:
        _run(TrainingRecipe(**chosen), options)
    except (QuantvizError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quantviz.quality.train_demo", description="Train the demo model.")
    parser.add_argument("--text", type=Path, required=True, help="gzipped text, a verse a line with its reference")
    parser.add_argument("--out", type=Path, required=True, help="the folder the finished model is written to")
    parser.add_argument("--checkpoint", type=Path, default=Path("demo-training.pt"), help="the state of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    settings = parser.add_argument_group("recipe")
    for field in dataclasses.fields(TrainingRecipe):
        flag = "--" + field.name.replace("_", "-")
        settings.add_argument(flag, type=type(field.default), default=field.default, help=f"default {field.default}")
    return parser


def _run(recipe: TrainingRecipe, options: argparse.Namespace) -> None:
    import torch

    from .corpus import read_corpus
    from .finished import save_folder
    from .training import train
    from .vocabulary import encode_books, train_tokenizer

    corpus = read_corpus(options.text, recipe.held_out)
    tokenizer = train_tokenizer(corpus.training, recipe.vocabulary)
    tokens = encode_books(tokenizer, corpus.training)
    test_tokens = torch.tensor(tokenizer.encode(corpus.test).ids)
    print(f"{len(tokens):,} training tokens, {len(test_tokens):,} of the test", file=sys.stderr)
    model, curve = train(recipe, tokens, test_tokens, options.checkpoint, options.resume, _report)
    save_folder(options.out, model, tokenizer, corpus, len(tokens), recipe, curve)


def _report(row: dict) -> None:
    print("  ".join(f"{name} {value}" for name, value in row.items()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
