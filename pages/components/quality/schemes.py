"""The schemes that Quality measures: chosen, typed, a preset, or tables of patterns; the address holds them."""

from __future__ import annotations

from quantviz.quality.measure import DEFAULT_SCHEMES
from quantviz.quality.model.layers import Mixture
from quantviz.schemes.presets import AS_SERVED, EIGHT_BITS, FOUR_BITS, PRESETS, preset

from ..selection import View
from ..shared.scheme_set import scheme_chooser

KEY = "measured"
MOST = 64  # schemes at a time
FIRST = "8, 4 and 2 bits"
_HELP = (
    "Any scheme key may be typed, several with spaces between them, and tables such as "
    "`down_proj=int8-sym-b32;*=int4-asym-b32`."
)
WITH_DATA = "methods that use data"
SETS = {
    FIRST: ("Integers of 8, 4 and 2 bits, sym and asym, in blocks of 32 and with one scale a tensor.", DEFAULT_SCHEMES),
    **{name: (PRESETS[name], preset(name, (4096, 4096))) for name in (FOUR_BITS, EIGHT_BITS, AS_SERVED)},
    WITH_DATA: (
        "Three bits: rounded to nearest, by GPTQ, by AWQ, and llama.cpp's q3_k by an imatrix, all calibrated on one "
        "text.",
        ("int3-asym-b64", "int3-asym-b64:solver=gptq", "int3-asym-b64:solver=awq", "q3_k"),
    ),
}
BESIDE = {WITH_DATA: {"imatrix": "true"}}


def quality_schemes(view: View) -> tuple[str, ...]:
    """Draws the controls. Gives canonical keys and tables, each once; none if none was chosen."""
    return tuple(scheme_chooser(view, KEY, SETS, DEFAULT_SCHEMES, _keys, MOST, _HELP, Mixture.parse, BESIDE))


def _keys(text: str) -> list[str]:
    """Rules of a table may have spaces after their semicolons; keys beside one another have them too."""
    return text.replace("; ", ";").split()
