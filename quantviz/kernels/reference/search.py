"""Choosing the parameters of groups: from their extremes, or by a search for a better range."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch

from ...schemes import Scheme
from ...schemes.nested import nest
from ..searching import (
    COARSE_SHRINKS,
    HOPELESS,
    HQQ_BETA,
    HQQ_EXPONENT,
    HQQ_ITERATIONS,
    NEARER_SHRINKS,
    percentile_rank,
)
from ..tiles import Tiles
from .rules import Params, decode, encode, four_over_six, make_params, store_minimum


def choose_params(tiles: Tiles, scheme: Scheme, importance: torch.Tensor | None = None) -> Params:
    """The parameters of every group as the scheme's options have it; importance [cols] weighs clip=mse."""
    if scheme.sixes == 4:
        low, high = tiles.min_max()
        return four_over_six(tiles.x, torch.maximum(-low, high).abs())
    p = make_params(*choose_range(tiles, scheme, importance), tiles.mean_abs(), scheme)
    return replace(p, minimum=choose_minimum(tiles, p, scheme)) if scheme.solver else p


def choose_range(tiles: Tiles, scheme: Scheme, importance: torch.Tensor | None = None):
    """(low, high) of every group: its extremes, or what the option clip makes of them."""
    low, high = tiles.min_max()
    if scheme.clip == "mse":
        return _least_squares(tiles, scheme, low, high, importance)
    return (low, high) if scheme.clip == "absmax" else _percentiles(tiles, scheme, Fraction(scheme.clip))


def nested(p: Params, scheme: Scheme):
    """(what is stored of nested scales, parameters with the restored scales); codes stand on the exact ones."""
    if not scheme.double:
        return None, p
    n = nest(p.stored.cpu().numpy())
    return n, replace(p, stored=torch.from_numpy(n.restored).to(p.stored.device))


def shrink(low: torch.Tensor, high: torch.Tensor, factor: torch.Tensor, scheme: Scheme):
    """A range made `factor` times as wide (at most 1): about 0, or about its middle for `offset`."""
    if scheme.rule == "asym":
        return low.clamp(max=0) * factor, high.clamp(min=0) * factor
    if scheme.rule == "offset":
        cut = (1 - factor) * 0.5 * (high - low)
        return torch.where(factor == 1, low, low + cut), torch.where(factor == 1, high, high - cut)
    largest = torch.maximum(-low, high) * factor
    return -largest, largest


def _least_squares(tiles: Tiles, scheme: Scheme, low, high, importance):
    """The range of each group with the least Σ e² (weighted by importance) among the factors tried."""
    mean = tiles.mean_abs()
    h = None if importance is None else tiles.like(torch.as_tensor(importance, device=tiles.x.device).double())

    def errors(factor: torch.Tensor) -> torch.Tensor:
        p = make_params(*shrink(low, high, factor, scheme), mean, scheme)
        e = (decode(encode(tiles.x, p, scheme), p, scheme) - tiles.x).double()
        return tiles.add(e * e if h is None else e * e * h)

    best = torch.ones_like(low)
    least = errors(best)
    for factors in (COARSE_SHRINKS, *NEARER_SHRINKS):
        centre, going = best, torch.ones_like(best, dtype=torch.bool)
        for each in factors:
            factor = (centre * float(each)).clamp(max=1)
            error = errors(factor)
            better = going & (error < least)
            best, least = torch.where(better, factor, best), torch.where(better, error, least)
            if factors is COARSE_SHRINKS:
                going = going & ~(error > HOPELESS * least)
    return shrink(low, high, best, scheme)


def _percentiles(tiles: Tiles, scheme: Scheme, percentile: Fraction):
    """Order statistics of each group, by nearest rank: of the magnitudes, or of both ends without a symmetry."""
    sizes = tiles.sizes()
    rank = torch.as_tensor(percentile_rank(percentile, sizes.cpu().numpy())).to(tiles.x.device)
    if scheme.rule in ("asym", "offset"):
        return _order_statistic(tiles, tiles.x, sizes - rank + 1), _order_statistic(tiles, tiles.x, rank)
    largest = _order_statistic(tiles, tiles.x.abs(), rank)
    return -largest, largest


def _order_statistic(tiles: Tiles, v: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
    """The rank-th smallest, from 1, of each group."""
    if tiles.valid is not None:
        v = torch.where(tiles.valid, v, torch.inf)
    a, b, c, d = v.shape
    rising = v.transpose(1, 2).reshape(a, c, b * d).sort(dim=2).values
    place = (rank - 1).expand(a, 1, c, 1).reshape(a, c, 1)
    return rising.gather(2, place).reshape(a, 1, c, 1)


def choose_minimum(tiles: Tiles, p: Params, scheme: Scheme) -> torch.Tensor:
    """HQQ's proximal solver: each group's minimum moves, its scale stays.

    Source: Badri and Shaji, Half-Quadratic Quantization (2023); the package's default settings. The package stops
    early when the mean |e| of the whole tensor no longer falls; here every group takes all iterations.
    """
    x, minimum = tiles.x, p.minimum
    divisor = torch.where(p.scale > 0, p.scale, torch.inf)
    for _ in range(HQQ_ITERATIONS):
        steps = torch.round((x - minimum) / divisor).clamp(0, scheme.fmt.max_unsigned) * p.stored
        e = x - (minimum + steps)
        shrunk = e.sign() * (e.abs() - (1 / HQQ_BETA) * e.abs() ** (HQQ_EXPONENT - 1)).clamp(min=0)
        minimum = (tiles.add((x - shrunk) - steps) / tiles.sizes()).float()
    return store_minimum(minimum, scheme)
