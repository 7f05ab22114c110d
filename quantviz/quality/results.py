"""What the measurements of a language model give: frozen values that pages, tables and the command line read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ..metrics import Metric
from ..text.wording import plural

Method = Literal["llama.cpp", "sliding"]

METHODS: dict[Method, str] = {
    "llama.cpp": "Windows of {context} tokens side by side, of which the second half is scored, as llama.cpp's "
    "perplexity tool does: a prediction is made from {half} to {last} tokens.",
    "sliding": "A window of {context} tokens that moves on by {half}: each token but the first is scored once, "
    "from as many tokens before it as the window holds, and after the first window from at least {half}.",
}


def method_text(method: Method, context: int) -> str:
    """What a method does, in words.

    >>> method_text("llama.cpp", 512)[-44:]
    'a prediction is made from 257 to 511 tokens.'
    """
    half = context // 2
    return METHODS[method].format(context=context, half=half + (method == "llama.cpp"), last=context - 1)


def quantized_text(layers: int, targets: tuple[str, ...]) -> str:
    """Which layers a measurement quantized, in words.

    >>> quantized_text(210, ("linear",)), quantized_text(1, ("down_proj", "head"))
    ('210 layers (linear)', '1 layer (down_proj, head)')
    """
    return f"{plural(layers, 'layer')} ({', '.join(targets)})"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The measures of a scheme over the tokens scored so far.

    p is the model's probability as quantized, p₀ as it is stored, both after float32 logits; every mean is over the
    scored tokens. A figure that is no finite number, since logits were not, is NaN (or infinity) here, null in JSON.
    """

    perplexity: float  # exp(mean(-ln p(correct token)))
    perplexity_se: float  # standard error of the perplexity: its own times that of the mean
    perplexity_ratio: float  # perplexity / base_perplexity, over the same tokens
    perplexity_ratio_se: float  # paired: from the token by token differences of ln p and ln p₀
    base_perplexity: float  # of the model as it is stored, over the same tokens
    base_perplexity_se: float
    kl_mean: float  # mean over tokens of Σ p₀ · (ln p₀ - ln p), in nats
    kl_mean_se: float
    kl_median: float
    kl_p99: float
    kl_p999: float
    kl_max: float
    probability_change: float  # mean(p - p₀) of the correct token
    probability_change_rms: float  # √mean((p - p₀)²) of the correct token
    top1_agreement: float  # share of tokens where both models hold the same token most likely
    non_finite: int  # scored tokens whose logits held NaN or infinity


@dataclass(frozen=True, kw_only=True)
class QualityResult(Figures):
    """What one scheme does to a model's predictions; partial while `windows` is less than `windows_total`."""

    ref: str
    scheme: str  # canonical key, or the table `pattern=scheme;pattern=scheme`
    tokens: int  # of text that went into the windows so far
    context: int  # tokens in a window
    bits_per_weight: float  # everything stored for the quantized layers, over their weights
    seconds: float  # for this scheme: quantizing, predicting and scoring so far
    scored: int  # tokens scored so far
    windows: int  # done
    windows_total: int
    method: Method
    model_bits_per_weight: float  # over all weights of the model, those not quantized as they are stored
    layers: int  # how many layers are quantized
    dtype: str  # in which the model computes: float32, bfloat16 …
    device: str  # cpu, or the GPU's name
    weight_error: float  # ‖Ŵ - W‖ / ‖W‖ over the quantized layers together
    notices: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()  # which layers a plain scheme was applied to, as they were chosen
    text: str = ""  # which text was read: the demo's, or the length and SHA-256 of another
    quantizing_seconds: float = field(default=0.0, compare=False)  # of `seconds`: calibrating and quantizing
    uses_data: str = ""  # what looked at the layers' inputs: gptq, awq, smooth, imatrix; "" where nothing did
    calibration_text: str = ""  # which text these were from; no part of it is scored
    calibration_tokens: int = 0  # of it
    propagate: bool | None = None  # whether they came through what was quantized before; None without a solver

    @property
    def complete(self) -> bool:
        return self.windows == self.windows_total

    @property
    def collapsed(self) -> bool:
        """Whether some logits are no numbers, so that perplexity and KL divergence are none either."""
        return self.non_finite > 0

    @property
    def added(self) -> float:
        """Perplexity added: ratio - 1."""
        return self.perplexity_ratio - 1


_DECLARED = (
    Metric("perplexity", "Perplexity", "exp(mean(-ln p))", "", "lower",
           "As if the model had to choose among so many equally likely tokens each time."),
    Metric("perplexity_ratio", "Perplexity ratio", "exp(mean(ln p₀ - ln p))", "×", "lower",
           "Perplexity over that of the model as it is stored; 1.01 is 1% more."),
    Metric("kl_mean", "KL divergence, mean", "mean(Σ p₀·(ln p₀ - ln p))", "nats", "lower",
           "How far the whole prediction moved, whatever the correct token was."),
    Metric("kl_median", "KL divergence, median", "median(Σ p₀·(ln p₀ - ln p))", "nats", "lower",
           "Half of the predictions moved less."),
    Metric("kl_p99", "KL divergence, 99th percentile", "P99(Σ p₀·(ln p₀ - ln p))", "nats", "lower",
           "One prediction in 100 moved more."),
    Metric("kl_p999", "KL divergence, 99.9th percentile", "P99.9(Σ p₀·(ln p₀ - ln p))", "nats", "lower",
           "One prediction in 1,000 moved more."),
    Metric("kl_max", "KL divergence, largest", "max(Σ p₀·(ln p₀ - ln p))", "nats", "lower",
           "The prediction that moved most."),
    Metric("probability_change", "Change of the correct token's probability, mean", "mean(p - p₀)", "fraction",
           "higher", "Below zero: the model grew less sure of what is right."),
    Metric("probability_change_rms", "Change of the correct token's probability, RMS", "√mean((p - p₀)²)",
           "fraction", "lower", "A typical change, up or down."),
    Metric("top1_agreement", "Top-1 agreement", "mean(argmax p = argmax p₀)", "fraction", "higher",
           "How often both models hold the same token most likely."),
    Metric("bits_per_weight", "Bits per weight", "bits stored / weights, of the quantized layers", "bits",
           "lower", "Codes, scales, zero points or minima, all counted."),
    Metric("model_bits_per_weight", "Bits per weight, whole model", "bits stored / weights, of all layers",
           "bits", "lower", "With what is not quantized, such as embeddings, as it is stored."),
    Metric("weight_error", "Relative L2 error of the weights", "‖Ŵ - W‖ / ‖W‖", "fraction", "lower",
           "What the weights alone say, over all quantized layers together."),
)  # fmt: skip

QUALITY_METRICS: dict[str, Metric] = {m.name: m for m in _DECLARED}

JSON_FIELDS = (
    "ref", "scheme", "tokens", "context", "perplexity", "perplexity_se", "perplexity_ratio", "perplexity_ratio_se",
    "kl_mean", "kl_p99", "kl_max", "top1_agreement", "bits_per_weight", "seconds",
)  # fmt: skip
"""What `quality --json` always has."""


@dataclass(frozen=True)
class Continuation:
    """How a model goes on after a prompt when it always takes the likeliest token.

    scheme: None for the model as it is stored.  pieces: the text of each new token, in order; joined they are the
    text.  differs: for each piece, whether the stored model has another token at this place.
    """

    scheme: str | None
    prompt: str
    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    differs: tuple[bool, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def first_difference(self) -> int | None:
        """The first place where another token was chosen; from there on the two write different texts."""
        return next((place for place, other in enumerate(self.differs) if other), None)


@dataclass(frozen=True)
class LayerError:
    """What a scheme does to one layer: to its weights, and to what comes out of it."""

    layer: str
    scheme: str
    weight_error: float  # ‖Ŵ - W‖ / ‖W‖
    output_error: float  # ‖XŴ - XW‖ / ‖XW‖ over the sampled inputs; NaN where these put nothing out
    bits_per_weight: float


Finding = Literal[
    "holds", "does not hold", "holds in part", "holds where it can be told", "does not hold where it can be told",
    "cannot tell",
]  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What measurements say about a claim of the article.

    evidence: a sentence a measurement, with its figures and granularity.  known: what is known of other models,
    with its source; "" where nothing need be added.
    """

    claim: int
    statement: str
    finding: Finding
    summary: str
    evidence: tuple[str, ...] = ()
    known: str = ""


@dataclass(frozen=True)
class SuperWeights:
    """Perplexity after the largest weights of the linear layers were set to zero, against as many random ones.

    count: how many weights.  ratio: perplexity over that of the model as it is.  random_ratios: one a draw.
    ratio_se: standard error of `ratio`.
    """

    count: int
    ratio: float
    random_ratios: tuple[float, ...]
    largest: tuple[str, ...]  # where the largest are: `layer [row, column] = value`, at most a few
    ratio_se: float = 0.0

    @property
    def random_ratio(self) -> float:
        """The worst of the random draws."""
        return max(self.random_ratios, default=math.nan)
