"""One prompt, continued by the stored model and by each quantized one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Unpack

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..schemes import Scheme
from ..text.wording import plural
from .data import Calibrating
from .model.layers import DEFAULT_TARGETS, Mixture
from .model.loading import LanguageModel, OpenOptions
from .model.parts import Progress
from .results import Continuation
from .session import Session, inference, open_session

DEFAULT_PROMPT = "And it came to pass in those days, that"
DEFAULT_LENGTH = 60
_UNFINISHED = "\ufffd"  # what a decoder gives for bytes that are no whole character yet


def continuations(
    ref: str | LanguageModel,
    schemes: Iterable[str | Scheme | Mixture],
    prompt: str = DEFAULT_PROMPT,
    tokens: int = DEFAULT_LENGTH,
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    calibrating: Calibrating | None = None,
    progress: Progress | None = None,
    **where: Unpack[OpenOptions],
) -> Iterator[Continuation | Refusal]:
    """What each model writes when it always takes the likeliest token: the stored one first, then a scheme each.

    tokens: how many, at most; a model stops earlier at its end-of-text token, and where its logits are no numbers.
    calibrating: as `measure_quality` has it.
    where: device, dtype, token, root and cache_dir, as `open_language_model` has them.
    Raises QuantvizError for an empty prompt, and one longer than the model reads.
    """
    with open_session(ref, schemes, targets, progress=progress, calibrating=calibrating, **where) as session:
        ids = _prompt(session, prompt, tokens)
        stored = _greedy(session, ids, tokens)
        yield _told(session, None, prompt, ids, stored, stored)
        for mixture in session.mixtures:
            changes = session.apply(mixture)
            if isinstance(changes, Refusal):
                yield changes
            else:
                yield _told(session, mixture.key, prompt, ids, _greedy(session, ids, tokens), stored)


def _prompt(session: Session, prompt: str, tokens: int) -> list[int]:
    ids = session.opened.encode(prompt)
    if not ids or not prompt.strip():
        raise QuantvizError("The prompt is empty; give a few words to go on from.")
    if tokens < 1:
        raise QuantvizError(f"tokens={tokens} continues nothing; give a whole number from 1.")
    longest = session.opened.longest
    if longest is not None and len(ids) + tokens > longest:
        raise QuantvizError(
            f"The prompt has {plural(len(ids), 'token')}, {tokens:,} more are wanted, and the model reads {longest:,} "
            "together; give a shorter prompt or fewer tokens."
        )
    return ids


def _greedy(session: Session, ids: list[int], tokens: int) -> list[int]:
    import torch

    model, found, cache = session.opened.model, [], None
    ends = _ends(model)
    given = torch.tensor([ids], device=session.opened.device)
    while len(found) < tokens:
        with inference():
            out = model(given, past_key_values=cache, use_cache=True)
        logits, cache = out.logits[0, -1].float(), out.past_key_values
        if not bool(logits.isfinite().all()):
            break
        found.append(int(logits.argmax()))
        if found[-1] in ends:
            break
        given = torch.tensor([found[-1:]], device=session.opened.device)
    return found


def _ends(model: Any) -> set[int]:
    said = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    said = model.config.get_text_config().eos_token_id if said is None else said
    return set(said) if isinstance(said, list | tuple) else {said}


def _told(
    session: Session, scheme: str | None, prompt: str, ids: list[int], new: list[int], stored: list[int]
) -> Continuation:
    differs = tuple(place >= len(stored) or token != stored[place] for place, token in enumerate(new))
    return Continuation(scheme, prompt, tuple(new), _pieces(session.opened, ids, new), differs)


def _pieces(opened: LanguageModel, ids: list[int], new: list[int]) -> tuple[str, ...]:
    """The text each new token adds; a character of several tokens comes whole with the last of them."""
    pieces, shown = [], len(opened.decode(ids))
    for count in range(1, len(new) + 1):
        text = opened.decode([*ids, *new[:count]])
        if count < len(new):
            text = text.rstrip(_UNFINISHED)
        pieces.append(text[shown:])
        shown = max(shown, len(text))
    return tuple(pieces)
