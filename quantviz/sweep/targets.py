"""Which tensors of a model are swept: its weight matrices, experts that lie in one tensor one by one."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..checkpoints.names.fused import canonical
from ..checkpoints.names.roles import ROLES, role
from ..errors import QuantvizError, did_you_mean
from ..sources import Model, TensorInfo
from ..text.printable import LONGEST_NAME

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?|blk)\.([0-9]{1,9})\.")
_NO_MATRIX = re.compile(r"(?:^|[._])(?:bias(?:es)?|norm[0-9]?|layer_?norm|ln_[a-z0-9]+|rotary\w*)(?:\.weight)?$")
_EXPERTS = re.compile(r"_exps\b|(?:^|[._])experts?(?:[._]|$)")
_MOST_EXPERTS = 1 << 16  # of one tensor
MOST_TARGETS = 300_000
MAX_PATTERN = 1000  # characters
_SECONDS = 5.0  # that a pattern may take for all names
_MATCHING = """
import json, re, sys
pattern, names = json.load(sys.stdin)
json.dump([bool(re.search(pattern, name)) for name in names], sys.stdout)
"""


@dataclass(frozen=True)
class Target:
    """What is measured: a tensor, or one of several experts that lie in it.

    tensor: its name in the model.  rows: those of the expert, (start, stop); None for all.
    layer, expert: None where it belongs to none.  shape: (rows, cols) of what is measured.
    stored_as, stored_bits: what the file calls it, and the bits a weight takes there.
    refused: why it cannot be read, "" where it can.
    """

    tensor: str
    rows: tuple[int, int] | None
    role: str
    layer: int | None
    expert: int | None
    shape: tuple[int, int]
    stored_as: str
    stored_bits: float
    refused: str = ""

    @property
    def weights(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def name(self) -> str:
        """What it is called in tables: `name[3]` is the fourth expert of `name`."""
        return self.tensor if self.rows is None else f"{self.tensor}[{self.expert}]"


def targets(model: Model, tensors: str = "", roles: Sequence[str] = ()) -> list[Target]:
    """Every weight matrix of a model, in the model's order: tensors of two axes and more, no biases and no norms.

    tensors: a regular expression that names must match somewhere.  roles: those to keep; () for all.
    Codes that nothing here decodes are listed too, and say why they cannot be read.
    Raises QuantvizError for an unknown role, a pattern that is none, and where nothing is left.
    """
    for word in roles:
        if word not in ROLES:
            raise QuantvizError(f"There is no role {word!r}; choose of {', '.join(ROLES)}.{did_you_mean(word, ROLES)}")
    found = [target for info in model.tensors if _is_matrix(info) for target in _of(info)]
    if not found:
        raise QuantvizError(f"{model.ref} has no weight matrix to sweep: no tensor of two axes that holds weights.")
    if len(found) > MOST_TARGETS:
        raise QuantvizError(f"{model.ref} has {len(found):,} weight matrices; a sweep takes up to {MOST_TARGETS:,}.")
    named = _matching(tensors, [target.name for target in found]) if tensors else [True] * len(found)
    kept = [target for target, fits in zip(found, named, strict=True) if fits and (not roles or target.role in roles)]
    if not kept:
        have = [word for word in ROLES if any(target.role == word for target in found)]
        near = did_you_mean(tensors, [target.name for target in found]) if tensors and not any(named) else ""
        which = " and ".join(filter(None, (tensors and f"match {tensors!r}", roles and f"are {' or '.join(roles)}")))
        raise QuantvizError(
            f"None of the {len(found):,} weight matrices of {model.ref} {which}; their roles are {', '.join(have)}, "
            f"and the first is {found[0].name!r}.{near}"
        )
    return kept


def matrices(model: Model) -> list[str]:
    """The names of the tensors that hold weight matrices, in the model's order; one for all experts that lie in it."""
    return [info.name for info in model.tensors if _is_matrix(info)]


def layer_span(name: str) -> tuple[int, int] | None:
    """Where in a tensor's name the number of its layer stands; None where it has none."""
    found = _LAYER.search(name)
    return found and found.span(1)


def _is_matrix(info: TensorInfo) -> bool:
    if len(info.shape) < 2 or not info.size or _NO_MATRIX.search(info.name):
        return False
    return info.packed.codes if info.packed else info.holds_weights


def _of(info: TensorInfo) -> Iterator[Target]:
    weight = info.name.rpartition(".")[0] + ".weight" if info.packed else info.name  # what the codes are of
    place = canonical(weight)
    numbered = _LAYER.search(place.name) or _LAYER.search(weight)
    layer = int(numbered[1]) if numbered else None
    bits = math.nan if info.packed else info.bits_per_weight
    common = (role(weight), layer)
    refused = info.why_not
    experts = info.shape[0] if _is_stack(info, place.name) else 0
    if not experts or refused:
        yield Target(info.name, None, *common, place.expert, info.matrix, info.dtype, bits, refused)
        return
    height = info.rows // experts
    for i in range(experts):
        rows = (i * height, (i + 1) * height)
        yield Target(info.name, rows, *common, i, (height, info.cols), info.dtype, bits)


def _is_stack(info: TensorInfo, canonical_name: str) -> bool:
    """Whether several experts lie in a tensor, one after the other."""
    named = _EXPERTS.search(canonical_name) or _EXPERTS.search(info.name)
    several = len(info.shape) == 3 and info.input_axes in (0, 1) and info.shape[0] <= _MOST_EXPERTS
    return bool(named) and several and info.rows == info.shape[0] * info.shape[1]


def _matching(pattern: str, names: list[str]) -> list[bool]:
    """Which names a pattern matches somewhere. It is tried in a process of its own, which can be ended: a pattern such
    as (a+)+$ takes longer than anyone waits.
    """
    if len(pattern) > MAX_PATTERN:
        raise QuantvizError(f"The pattern of names has {len(pattern):,} characters; {MAX_PATTERN:,} are enough.")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as problem:
        raise QuantvizError(f"{pattern[:LONGEST_NAME]!r} is no regular expression: {problem}.") from None
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MATCHING], input=json.dumps([pattern, names]).encode("ascii"),
            capture_output=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise QuantvizError(
            f"{pattern[:LONGEST_NAME]!r} took over {_SECONDS:g} s for the names of the tensors; write it without "
            "repetitions inside repetitions."
        ) from None
    except (subprocess.SubprocessError, OSError, ValueError):
        raise QuantvizError(f"{pattern[:LONGEST_NAME]!r} cannot be tried on the names of the tensors.") from None
