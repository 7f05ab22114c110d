"""A layer's inputs by channel and token, as they come and as they meet the codes; which carry the output's error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration.inputs import met
from ..calibration.layer import Calibration
from ..calibration.output_error import shares
from ..errors import QuantvizError
from ..kernels.results import Progress, Quantized
from ..schemes import Scheme
from ..tensors import as_stored, check_importance
from ..text.wording import number, plural, share
from . import calibrated

MAP_TOKENS, MAP_CHANNELS = 64, 256  # cells of a map, at most
HALF = 0.5
_MANY_TIMES = 10.0  # the largest input of an outlier channel over that of the median channel


@dataclass(frozen=True, eq=False)
class Fed:
    """A sample of inputs. largest: max|x| of each channel, float32 [cols].

    map: |x| of some tokens, float32 [tokens, cells], of which each is the largest of `together` channels.
    """

    largest: np.ndarray
    map: np.ndarray
    together: int

    @classmethod
    def of(cls, x: np.ndarray) -> Fed:
        size = np.abs(x)
        together = -(-size.shape[1] // MAP_CHANNELS)
        tokens = size[np.unique(np.linspace(0, len(size) - 1, MAP_TOKENS).astype(int))]
        cells = np.maximum.reduceat(tokens, np.arange(0, size.shape[1], together), axis=1)
        return cls(size.max(axis=0), cells, together)

    @property
    def spread(self) -> float:
        """The largest channel over the median one."""
        return float(self.largest.max() / max(float(np.median(self.largest)), 1e-30))


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """What a scheme makes of a layer, seen from its inputs.

    before, after: inputs as they come, and as they meet the codes (the same without smooth=, awq and rotate=).
    moved: what is done to them in between, "" for nothing.  input_scales: what they are divided by, float32 [cols].
    importance: E[x²] of each channel, float32 [cols].
    shares: what of the squared error of the output each channel's weights carry, float64 [cols], which adds up to 1;
    below 0 where the error of a channel cancels that of others. None where there is no error.
    """

    scheme: str
    before: Fed
    after: Fed
    moved: str
    input_scales: np.ndarray | None
    importance: np.ndarray
    shares: np.ndarray | None


def layer_output(
    w: Any, key: str | Scheme, calibration: Calibration, importance: Any = None, progress: Progress | None = None,
    quantized: Quantized | None = None,
) -> LayerOutput:  # fmt: skip
    """w: weights of a layer, and calibration: of its inputs, as `evaluate` takes them.

    quantized: what `quantize` gives for them under a scheme that looks at data, where it is there already.
    Raises QuantvizError for a calibration without a sample of inputs, besides what `evaluate` raises it for.

    >>> from quantviz.calibration.synthetic import synthetic_inputs
    >>> w = np.random.default_rng(0).standard_normal((8, 64), dtype=np.float32)
    >>> c = Calibration.of(synthetic_inputs(64, 300, outlier_share=1 / 64))
    >>> found = layer_output(w, "int8-sym-channel:act=int8-token,smooth=0.5", c)
    >>> found.before.spread > 15 > 6 > found.after.spread, round(float(found.shares.sum()), 6)
    (True, 1.0)
    """
    scheme, stored = Scheme.parse(key), as_stored(w)
    if not calibration.has_sample:
        raise QuantvizError("This calibration holds no sample of the layer's inputs; calibrate anew to see them.")
    weights = check_importance(importance, stored.cols, stored.rows)
    scheme.check_importance_given(importance is not None, True)
    scheme.check_shape(*stored.matrix)
    calibrated.refuse_others(stored, calibration, weights)
    made, scales = None, None
    if scheme.uses_data:
        q = quantized or calibrated.quantized(stored, scheme, calibration, weights, "cpu", progress)[0]
        made, scales = np.asarray(q.dequantize()).reshape(stored.matrix), q.input_scales
    check = progress and (lambda: progress(stored.size, stored.size))
    error = calibrated.output_power(stored, scheme, calibration, made, None, weights, check)
    before = Fed.of(calibration.inputs)
    after = before if scales is None and scheme.rotate == "none" else Fed.of(met(calibration.inputs, scheme, scales))
    moved = "rotated" if scheme.rotate != "none" else "" if scales is None else "divided"
    carried = shares(error) if error.whole > 0 else None
    return LayerOutput(scheme.key, before, after, moved, scales, calibration.importance, carried)


def layer_sentences(found: LayerOutput) -> list[str]:
    """For a reader: how far some channels stand out, and how few carry the output's error."""
    said = []
    far = found.before.spread
    most, cols = int(found.before.largest.argmax()), len(found.before.largest)
    if far >= _MANY_TIMES:
        said.append(f"Inputs of channel {most:,} reach {number(far, 2)} times as far as those of the median channel.")
    if found.moved:
        how = {"rotated": "Rotated", "divided": "Divided by what the weights were multiplied by"}[found.moved]
        said.append(
            f"{how}, the largest channel reaches {number(found.after.spread, 2)} times as far as the median one, where "
            f"it was {number(far, 2)}."
        )
    if found.shares is not None:
        falling = np.sort(found.shares)[::-1]
        half = int(np.searchsorted(np.cumsum(falling), HALF)) + 1
        worst = int(found.shares.argmax())
        said.append(
            f"Half of the output's squared error is carried by {half:,} of {plural(cols, 'input channel')} "
            f"({share(half / cols)}); channel {worst:,} carries {share(float(found.shares[worst]))}, with "
            f"{share(float(found.importance[worst] / found.importance.sum()))} of the inputs' squares."
        )
    return said
