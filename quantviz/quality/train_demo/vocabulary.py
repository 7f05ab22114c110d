"""The tokenizer: byte-level BPE, learnt from the training books, in the Hub's own files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import SEPARATOR


def train_tokenizer(texts: Sequence[str], size: int) -> Tokenizer:
    """A vocabulary of `size` tokens: the separator, the 256 bytes, and the merges that occur most."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[SEPARATOR],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return tokenizer


def encode_books(tokenizer: Tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """All books as one row of token numbers, each behind a separator."""
    separator = tokenizer.token_to_id(SEPARATOR)
    return torch.tensor([token for text in texts for token in (separator, *tokenizer.encode(text).ids)])


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SEPARATOR,
        "eos_token": SEPARATOR,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
