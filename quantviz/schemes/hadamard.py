"""Orthonormal Hadamard rotations of rows: which sizes there are, the matrices, and the random signs.

A row x of n = m·2^k weights becomes y = H · (signs · x) / √n with H = Hm ⊗ S, where S is Sylvester's matrix of
order 2^k and Hm one of Paley's of order m, so that weight number i·2^k + j meets row i of Hm and row j of S. The
way back is x = signs · (Hᵀ · y) / √n. QuaRot (arXiv 2404.00456) splits its sizes alike.

The engines agree to the last bit because the float32 operations and their order are fixed:
1. every weight times its sign (only on the way there),
2. for stride 1, 2, 4, ... 2^(k-1): each pair (a, b) that lies a stride apart becomes (a + b, a - b),
3. if m > 1: weight (i, j) becomes the sum over l of ±x(l, j) with the signs of row i of Hm (of Hmᵀ on the way back),
   taken in fours: (±x(0, j) ± x(1, j)) + (±x(2, j) ± x(3, j)), to which the next four are added, and so on,
4. every weight times `scale(n)`, and its sign on the way back.
"""

from __future__ import annotations

import itertools
import math
from functools import cache, lru_cache

import numpy as np

from ..errors import QuantvizError
from ..randomness import random_bits, stream_key, with_random_sign

MAX_ORDER = 512  # of a matrix that is no power of two; its share of the work grows with its order
_STREAM = 1 << 20  # of random words; far from those that random tensors are made from


@cache
def order(n: int) -> tuple[int, int]:
    """(m, k) with n = m·2^k and the smallest m for which there is a `matrix(m)`; m = 1 for a power of two.

    Raises QuantvizError for a size without one.

    >>> order(4096), order(768), order(11008)
    ((1, 12), (12, 6), (344, 5))
    """
    if n < 1:
        raise QuantvizError(f"A row of {n} weights cannot be rotated; rotate=hadamard needs at least 1.")
    twos = (n & -n).bit_length() - 1
    odd = n >> twos
    if odd == 1:
        return 1, twos
    for k in range(twos - 2, -1, -1):
        m = n >> k
        if m <= MAX_ORDER and _paley(m):
            return m, k
    raise QuantvizError(
        f"rotate=hadamard cannot rotate rows of {n:,} weights, because {_why_not(odd, twos)}; "
        "leave the rotation out, or choose a tensor whose rows are a power of two long, or 12, 20, 28, ... times one."
    )


def _why_not(odd: int, twos: int) -> str:
    if twos < 2:
        return "a Hadamard matrix has an order of 1, 2 or a multiple of 4"
    if 4 * odd > MAX_ORDER:
        return f"that takes a Hadamard matrix of order {4 * odd:,} or more, and those used here end at {MAX_ORDER}"
    tried = [odd << j for j in range(2, twos + 1) if odd << j <= MAX_ORDER]
    return f"Paley's constructions give no Hadamard matrix of order {' or '.join(map(str, tried))}"


def scale(n: int) -> np.float32:
    """1/√n as the float32 that rotated weights are multiplied by."""
    return np.float32(1 / math.sqrt(n))


@lru_cache(maxsize=8)
def signs(n: int, seed: int = 0) -> np.ndarray:
    """n random signs, float32 ±1, read-only. The same on every machine; the sign of weight i depends on seed and i.

    >>> signs(8).astype(int)
    array([-1,  1, -1,  1,  1,  1, -1, -1])
    """
    ones = np.ones(n)
    return _frozen(with_random_sign(ones, random_bits(stream_key(seed, _STREAM), 0, n)).astype(np.float32))


@cache
def matrix(m: int) -> np.ndarray:
    """Paley's Hadamard matrix of order m, int8 ±1 [m, m], read-only; [[1]] for m = 1.

    Of order q + 1 for a prime power q = 3 mod 4, else of order 2(q + 1) for a prime power q = 1 mod 4.
    Raises QuantvizError where neither applies.

    >>> matrix(4)
    array([[ 1,  1,  1,  1],
           [-1,  1, -1,  1],
           [-1,  1,  1, -1],
           [-1, -1,  1,  1]], dtype=int8)
    """
    if m == 1:
        return _frozen(np.ones((1, 1), np.int8))
    found = _paley(m)
    if not found:
        raise QuantvizError(f"Paley's constructions give no Hadamard matrix of order {m}; try 12, 20, 24 or 28.")
    p, k = found
    q = p**k
    bordered = np.ones((q + 1, q + 1), np.int8)
    bordered[0, 0] = 0
    bordered[1:, 1:] = _jacobsthal(p, k)
    one = np.eye(q + 1, dtype=np.int8)
    if q % 4 == 3:
        bordered[1:, 0] = -1  # skew-symmetric, so that adding the identity leaves the rows orthogonal
        return _frozen(bordered + one)
    return _frozen(np.kron(bordered, np.int8([[1, 1], [1, -1]])) + np.kron(one, np.int8([[1, -1], [-1, -1]])))


def _frozen(a: np.ndarray) -> np.ndarray:
    a.setflags(write=False)
    return a


def _paley(m: int) -> tuple[int, int] | None:
    """(p, k) of the prime power that a matrix of order m is built from, if there is one."""
    if m % 4:
        return None
    return _prime_power(m - 1) or (_prime_power(m // 2 - 1) if m % 8 == 4 else None)


def _prime_power(q: int) -> tuple[int, int] | None:
    """(p, k) with q = p^k and p prime, or None."""
    if q < 2:
        return None
    p = next((d for d in range(2, math.isqrt(q) + 1) if q % d == 0), q)
    k = round(math.log(q, p))
    return (p, k) if p**k == q else None


def _jacobsthal(p: int, k: int) -> np.ndarray:
    """int8 [q, q] of χ(a - b) over the field of q = p^k: 0 for 0, 1 for a square, -1 for any other element."""
    q = p**k
    places = p ** np.arange(k)
    digits = np.arange(q)[:, None] // places % p
    character = np.full(q, -1, np.int8)
    character[0] = 0
    character[_powers_of_a_generator(p, k)[::2] @ places] = 1
    return character[(digits[:, None] - digits[None, :]) % p @ places]


def _powers_of_a_generator(p: int, k: int) -> np.ndarray:
    """1, x, x², ... x^(q-2) in the field of q = p^k elements, each the k coefficients of a polynomial modulo p.

    x is a generator where x^k = tail(x) is a primitive polynomial: when its powers meet 1 again only after q - 1.
    """
    one = (1, *(0,) * (k - 1))
    for tail in itertools.product(range(p), repeat=k):
        powers = [one]
        while len(powers) < p**k:
            *low, top = powers[-1]
            following = tuple((c + top * t) % p for c, t in zip((0, *low), tail, strict=True))
            if following == one or not any(following):
                break
            powers.append(following)
        if len(powers) == p**k - 1 and following == one:
            return np.array(powers)
    raise AssertionError(f"a field of {p}^{k} elements has a generator")
