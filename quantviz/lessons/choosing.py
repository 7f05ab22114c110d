"""Which scheme to choose: what fits into a memory, in the words of the program that is to run the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import QuantvizError
from ..text.wording import size
from .memory import sizes
from .mixes import bits_of_mix

Wish = Literal["as close to the original as fits", "as fast as stays usable"]
WISHES: tuple[Wish, ...] = ("as close to the original as fits", "as fast as stays usable")
# Program -> (scheme, what the program calls it), finest first.
RUNTIMES: dict[str, tuple[tuple[str, str], ...]] = {
    "llama.cpp, Ollama, LM Studio": (
        ("bf16", "BF16"), ("q8_0", "Q8_0"), ("q6_k", "Q6_K"), ("q5_k", "Q5_K_M"), ("q4_k", "Q4_K_M"),
        ("iq4_xs", "IQ4_XS"), ("q3_k", "Q3_K_M"), ("q2_k", "Q2_K"),
    ),
    "vLLM on a GPU": (
        ("bf16", "bfloat16"), ("fp8_e4m3-channel", "FP8_DYNAMIC"), ("int8-sym-channel", "W8A16"), ("nvfp4", "NVFP4A16"),
        ("int4-sym-b128", "W4A16"),
    ),
    "MLX on a Mac": (
        ("bf16", "bfloat16"), ("int8-offset-b64:edge=1,scale=bf16", "8 bits, groups of 64"),
        ("int6-offset-b64:edge=1,scale=bf16", "6 bits, groups of 64"),
        ("int4-offset-b64:edge=1,scale=bf16", "4 bits, groups of 64"),
        ("int3-offset-b64:edge=1,scale=bf16", "3 bits, groups of 64"),
    ),
    "transformers with bitsandbytes": (
        ("bf16", "bfloat16"), ("int8-sym-channel", "load_in_8bit"), ("nf4-b64:double=1", "load_in_4bit, nf4, double"),
    ),
}  # fmt: skip
RESERVED = 0.2  # of the memory, for the text that is read and everything else
USABLE_BITS = 4.0  # below which claim 7 finds models to fall apart


@dataclass(frozen=True)
class Option:
    """One scheme of a program: its size for the model at hand, and whether it fits.

    bits: a weight; of llama.cpp's named mixes, as they come out on a typical model.  usable: not below USABLE_BITS by
    its own type.
    """

    scheme: str
    name: str
    bits: float
    nbytes: float
    fits: bool
    usable: bool


@dataclass(frozen=True)
class Advice:
    """chosen: None where nothing fits.  reasons: sentences with their numbers."""

    options: tuple[Option, ...]
    chosen: Option | None
    reasons: tuple[str, ...]


def advise(billions: float, gigabytes: float, runtime: str, wish: Wish) -> Advice:
    """What to run a model of so many billion weights in, in a memory of so many GB (10⁹ bytes).

    Raises QuantvizError for a program or a wish that is none of the tables'.
    """
    if runtime not in RUNTIMES or wish not in WISHES:
        raise QuantvizError(f"Choose a program of {', '.join(RUNTIMES)}, and one of {', '.join(WISHES)}.")
    room = (1 - RESERVED) * gigabytes * 1e9
    options = []
    for scheme, name in RUNTIMES[runtime]:
        plain = sizes(billions, (scheme,))[0].bits
        bits = bits_of_mix(name) or plain
        nbytes = billions * 1e9 * bits / 8
        options.append(Option(scheme, name, bits, nbytes, nbytes <= room, plain >= USABLE_BITS))
    fitting = [option for option in options if option.fits]
    usable = [option for option in fitting if option.usable]
    if not fitting:
        return Advice(tuple(options), None, (_nothing(options, room),))
    chosen = fitting[0] if wish == WISHES[0] or not usable else min(usable, key=lambda option: option.nbytes)
    return Advice(tuple(options), chosen, tuple(_reasons(chosen, options, room, wish)))


def _nothing(options: list[Option], room: float) -> str:
    least = min(options, key=lambda option: option.nbytes)
    return (
        f"Nothing fits: even {least.name} would need {size(least.nbytes)}, and {size(room)} is free for weights. "
        "Choose a smaller model, or one with fewer bits in another program."
    )


def _reasons(chosen: Option, options: list[Option], room: float, wish: Wish) -> list[str]:
    said = [
        f"{chosen.name} fits: {size(chosen.nbytes)} of the {size(room)} that is free for weights "
        f"({RESERVED:.0%} of the memory is left for the text and the rest)."
    ]
    finer = [option for option in options if not option.fits and option.bits > chosen.bits]
    if wish == WISHES[0]:
        said += [f"The next finer, {finer[-1].name}, would take {size(finer[-1].nbytes)}."] if finer else []
    else:
        said.append("A device reads every byte of the weights for every word, so the fewest bytes are the fastest.")
    if not chosen.usable:
        said.append(
            f"With {chosen.bits:.3g} bits a weight models lose much; a smaller model with 4 bits is likely the better "
            "choice."
        )
    return said
