"""What lies beside a weight and changes its layer's inputs or output, so that the weight alone is not the original."""

from __future__ import annotations

from ..layer import Found, Part, Unreadable

PRE_QUANT = ".pre_quant_scale"
_LOW_RANK = (".svdquant_lora_a", ".svdquant_lora_b")


def beside_the_weight(found: Found, shape: tuple[int, ...]) -> tuple[dict[str, Part], tuple[str, ...]]:
    """(parts that are kept within reach, notices) for a weight of that shape.

    Raises Unreadable where the scales of the inputs do not fit it.
    """
    parts, notices = {}, []
    scale = found.beside.get(PRE_QUANT)
    if scale is not None:
        if scale.shape[-1:] != shape[-1:]:
            raise Unreadable(f"its pre_quant_scale has {scale.size:,} entries for {shape[-1]:,} inputs")
        parts["pre_quant_scale"] = Part(scale)
        notices.append(
            "The inputs of this layer are multiplied by pre_quant_scale first, so its columns are the original's "
            "divided by it: compare them with the original only after that is undone."
        )
    low = [suffix.removeprefix(".") for suffix in _LOW_RANK if suffix in found.beside]
    if low:
        notices.append(
            f"SVDQuant keeps a part of low rank beside this weight ({' and '.join(low)}), in 16 bits: what is shown is "
            "the rest of the original without it."
        )
    return parts, tuple(notices)
