"""What stands around a kernel: the tensor to quantize, its plan, and the parameters that no tile can make alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from triton import knobs

from ...schemes import Scheme
from ..reference.rules import Params, four_over_six_rate, nvfp4_tensor_scale
from ..reference.search import choose_minimum, choose_range, nested
from ..results import scale_notices
from ..tiles import Tiles
from ..transforms import prepare
from . import group_loops as kernels
from .plan import LARGEST_TILE, TILE, Parameters, Plan, Rule, plan, table_of

INTERPRETED_TILE = 1 << 16  # Triton's interpreter takes milliseconds a program, however large


@dataclass
class Groups:
    """float32 [groups] each, row after row of groups; `given` once they are known before the tiles are read."""

    factor: torch.Tensor
    stored: torch.Tensor
    extra: torch.Tensor
    given: bool


@dataclass
class Job:
    """One tensor under one scheme.

    x: [rows, cols], float32, float16 or bfloat16.  z: what is quantized in its place; x itself without a transform.
    kept: bool [rows, cols], weights kept apart, or None.  nested: what is stored of nested scales, or None.
    """

    x: torch.Tensor
    z: torch.Tensor
    kept: torch.Tensor | None
    scheme: Scheme
    plan: Plan
    rule: Rule
    table: torch.Tensor
    tensor_scale: torch.Tensor
    notes: torch.Tensor
    groups: Groups
    nested: Any = None

    @classmethod
    def of(
        cls, x: torch.Tensor, scheme: Scheme, importance: torch.Tensor | None = None, largest: int = LARGEST_TILE
    ) -> Job:
        """Finds the parameters of groups that no tile can find alone. importance: float32 [cols]; weighs clip=mse."""
        z, kept = prepare(x.float(), scheme) if scheme.transforms else (x, None)
        cut = plan(scheme, *x.shape, tile_weights(), largest, by_row=importance is not None)
        n = cut.grid.groups

        def empty(size: int) -> torch.Tensor:
            return torch.empty(size, dtype=torch.float32, device=x.device)

        job = cls(
            x, z, kept, scheme, cut, Rule.of(scheme), torch.from_numpy(table_of(scheme)).to(x.device),
            torch.zeros(3, dtype=torch.float32, device=x.device),
            torch.zeros((cut.programs, 2), dtype=torch.int32, device=x.device),
            Groups(empty(n), empty(n), empty(n), False),
        )  # fmt: skip
        job._find_parameters(importance)
        return job

    # -- launching -----------------------------------------------------------------------------

    def launch(self, kernel, *arguments, **constants) -> None:
        launch(kernel, self.plan, self.rule, *arguments, **constants)

    @property
    def parameters(self) -> Parameters:
        """What every kernel takes for the groups."""
        g = self.groups
        return Parameters(g.factor, g.stored, g.extra, self.tensor_scale, self.table, self.notes)

    @property
    def grid_shape(self) -> tuple[int, int]:
        return self.plan.grid.group_rows, self.plan.grid.group_cols

    def notices(self) -> tuple[str, ...]:
        """About scales that their type could not hold; once the kernels ran."""
        vanished, saturated = self.notes.sum(0).tolist()
        return scale_notices(self.scheme, vanished, saturated)

    # -- parameters ----------------------------------------------------------------------------

    def _find_parameters(self, importance: torch.Tensor | None) -> None:
        s, g = self.scheme, self.groups
        if not self.rule.has_scale:
            g.factor, g.stored, g.extra = g.factor.fill_(1), g.stored.fill_(1), g.extra.fill_(0)
            g.given = True
            return
        searched = s.clip != "absmax" or s.solver or s.double
        if s.rule == "nvfp4":
            low, high, _ = self._extremes()
            largest = torch.maximum(-low, high).amax()
            scale, rate = nvfp4_tensor_scale(largest), four_over_six_rate(largest)
            told = (scale, rate, largest) if s.sixes == 6 else (1.0 / rate, rate, largest)
            self.tensor_scale = torch.where(largest > 0, torch.stack(told), 0)
        if self.plan.tile.one_group and not searched:
            return
        low, high, mean = self._extremes()
        tiles = Tiles.of(self.z.float(), s) if searched else None
        if s.clip != "absmax":
            low, high = (v.reshape(-1) for v in choose_range(tiles, s, importance))
        self._from_extremes(low, high, mean)
        if s.solver:
            shape = (self.grid_shape[0], 1, self.grid_shape[1], 1)
            scale, minimum = g.stored.reshape(shape), g.extra.reshape(shape)
            g.extra = choose_minimum(tiles, Params(scale, scale, minimum=minimum), s).reshape(-1)
        if s.double:
            self.nested, p = nested(Params(stored=g.stored.reshape(self.grid_shape)), s)
            g.stored = p.stored.reshape(-1)  # codes stand on the exact scales, which the factors are
        g.given = True

    def _extremes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """float32 low, high and mean magnitude of each group."""
        grid = self.plan.grid
        low, high = (torch.empty(grid.tiles, dtype=torch.float32, device=self.x.device) for _ in range(2))
        total = torch.empty(grid.tiles, dtype=torch.float64, device=self.x.device)
        self.launch(kernels.extremes_kernel, raw(self.z), low, high, total, BF16=is_bf16(self.z))
        low, high = low.view(-1, grid.parts).amin(1), high.view(-1, grid.parts).amax(1)
        sizes = self.sizes()
        return low, high, (total.view(-1, grid.parts).sum(1) / sizes).float()

    def sizes(self) -> torch.Tensor:
        """int64 [groups]: weights in each."""
        g = self.plan.grid
        device = self.x.device
        heights = (g.rows - torch.arange(0, g.rows, g.height, device=device)).clamp(max=g.height)
        widths = (g.cols - torch.arange(0, g.cols, g.width, device=device)).clamp(max=g.width)
        return (heights[:, None] * widths).reshape(-1)

    def _from_extremes(self, low: torch.Tensor, high: torch.Tensor, mean: torch.Tensor) -> None:
        n, size = self.plan.grid.groups, 1024
        programs = -(-n // size)
        self.notes = torch.zeros((programs, 2), dtype=torch.int32, device=self.x.device)
        kernels.parameters_kernel[(programs,)](
            low.contiguous(), high.contiguous(), mean, self.parameters, n,
            K=self.rule, N=size, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


def launch(kernel, cut: Plan, rule: Rule, *arguments, a_thread: int = 32, **constants) -> None:
    """Runs a kernel over the tiles; its last arguments are the grid and the constants. a_thread: weights it has."""
    kernel[(cut.programs,)](
        *arguments, cut.grid, **constants, K=rule, T=cut.tile, enable_fp_fusion=False,
        num_warps=cut.tile.warps(a_thread),
    )  # fmt: skip


def tile_weights() -> int:
    return INTERPRETED_TILE if knobs.runtime.interpret else TILE


def is_bf16(x: torch.Tensor) -> bool:
    return x.dtype == torch.bfloat16


def raw(x: torch.Tensor) -> torch.Tensor:
    """As kernels take it: bfloat16 as int16."""
    return x.view(torch.int16) if is_bf16(x) else x
