"""A tensor as its groups: [rows, cols] seen as tiles [grid rows, R, grid cols, C].

The parameters of a group broadcast over R and C.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..schemes import TENSOR, Scheme


@dataclass(frozen=True)
class Tiles:
    """A [rows, cols] tensor as [grid rows, R, grid cols, C], padded with zeros; `valid` is None without padding."""

    x: torch.Tensor
    valid: torch.Tensor | None
    rows: int
    cols: int

    @classmethod
    def of(cls, x: torch.Tensor, scheme: Scheme) -> Tiles:
        rows, cols = x.shape
        if scheme.granularity in (None, TENSOR):
            return cls(x[None, :, None, :], None, rows, cols)
        height, width = scheme.granularity.within(rows, cols)
        pad = (-cols % width, -rows % height)
        valid = None
        if any(pad):
            valid = torch.nn.functional.pad(torch.ones_like(x, dtype=torch.bool), (0, pad[0], 0, pad[1]))
            x = torch.nn.functional.pad(x, (0, pad[0], 0, pad[1]))
            valid = valid.reshape(-(-rows // height), height, -(-cols // width), width)
        return cls(x.reshape(-(-rows // height), height, -(-cols // width), width), valid, rows, cols)

    def flat(self, tiled: torch.Tensor) -> torch.Tensor:
        """Back to [rows, cols], padding cut off."""
        a, b, c, d = tiled.shape
        return tiled.reshape(a * b, c * d)[: self.rows, : self.cols]

    def min_max(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.valid is None:
            return self.x.amin(dim=(1, 3), keepdim=True), self.x.amax(dim=(1, 3), keepdim=True)
        low = torch.where(self.valid, self.x, torch.inf).amin(dim=(1, 3), keepdim=True)
        high = torch.where(self.valid, self.x, -torch.inf).amax(dim=(1, 3), keepdim=True)
        return low, high

    def mean_abs(self) -> torch.Tensor:
        """Summed in float64, so that the order of the sum cannot show in the float32 result."""
        return (self.x.abs().sum(dim=(1, 3), keepdim=True, dtype=torch.float64) / self.sizes()).float()

    def sizes(self) -> torch.Tensor:
        """Weights in each group."""
        if self.valid is None:
            return torch.tensor(self.x.shape[1] * self.x.shape[3], device=self.x.device)
        return self.valid.sum(dim=(1, 3), keepdim=True)

    def add(self, v: torch.Tensor) -> torch.Tensor:
        """Σ of v over each group, without the padding, in float64."""
        v = v.double()
        return (v if self.valid is None else torch.where(self.valid, v, 0)).sum(dim=(1, 3), keepdim=True)

    def like(self, row: torch.Tensor) -> torch.Tensor:
        """A number a column, [cols], for every weight of the tiles."""
        full = row.expand(self.rows, -1)
        a, b, c, d = self.x.shape
        return torch.nn.functional.pad(full, (0, c * d - self.cols, 0, a * b - self.rows)).reshape(a, b, c, d)
