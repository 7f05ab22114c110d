"""The text: verses without their references, one whole book held out, and batches of training sequences."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import QuantvizError

SEPARATOR = "<|endoftext|>"
"""The token between two books, and the only special one."""

_VERSE = re.compile(r"(?P<book>\d?[A-Za-z]+)\d+:\d+ (?P<text>.+)")
_RUN = 8  # words in a row that count as a repeated passage


@dataclass(frozen=True)
class Corpus:
    """The books to train on, in their order, and the one kept for the test; a verse a line."""

    training: tuple[str, ...]
    test: str

    @property
    def digest(self) -> str:
        """SHA-256 of all texts, training books first."""
        return hashlib.sha256("".join((*self.training, self.test)).encode()).hexdigest()

    def repeated(self) -> float:
        """The share of the test's runs of eight words that some training book has too."""
        known = {run for text in self.training for run in _runs(text)}
        runs = _runs(self.test)
        return sum(run in known for run in runs) / len(runs)


def read_corpus(path: Path, held_out: str) -> Corpus:
    """The corpus of a gzipped text whose lines are verses such as `Ge1:1 In the beginning …`, without book `held_out`.

    Raises QuantvizError for a line of another form, and where there is no such book.
    """
    books: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            verse = _VERSE.fullmatch(line.strip())
            if verse is None:
                raise QuantvizError(f"{path.name}, line {number}: expected a verse such as `Ge1:1 In the beginning`.")
            books.setdefault(verse["book"], []).append(verse["text"])
    if held_out not in books:
        raise QuantvizError(f"{path.name} has no book {held_out!r}; it has {', '.join(books)}.")
    test = books.pop(held_out)
    return Corpus(tuple(_lines(verses) for verses in books.values()), _lines(test))


def _lines(verses: list[str]) -> str:
    return "\n".join(verses) + "\n"


def _runs(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return list(zip(*(words[start:] for start in range(_RUN)), strict=False))


class Batches:
    """Training sequences in an order that depends on the seed and the step alone, so a resumed run goes on exactly."""

    def __init__(self, tokens: torch.Tensor, context: int, batch: int, seed: int):
        self.tokens, self.context, self.batch, self.seed = tokens, context, batch, seed
        self.per_epoch = (len(tokens) - context - 1) // context // batch  # whatever offset an epoch draws

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of `step`, [batch, context] each; an epoch cuts the text anew and shuffles the pieces."""
        epoch, index = divmod(step, self.per_epoch)
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        offset = int(torch.randint(self.context, (1,), generator=draw))
        order = torch.randperm((len(self.tokens) - offset - 1) // self.context, generator=draw)
        starts = offset + self.context * order[index * self.batch : (index + 1) * self.batch]
        pieces = torch.stack([self.tokens[start : start + self.context + 1] for start in starts.tolist()])
        return pieces[:, :-1], pieces[:, 1:]
