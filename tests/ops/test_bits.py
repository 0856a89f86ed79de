"""Random bits against the published vectors, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.ops.bits import bit_and, bit_xor, random_bits

# Counter, key, first word: kat_vectors of Random123, the code that belongs to Salmon et al. 2011.
KNOWN = [
    ((0, 0), 0, 0xFF1DAE59),
    ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, 0x2C3F628B),
    ((0x243F6A88, 0x85A308D3), 0x13198A2E, 0xDD7CE038),
]


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_known_answers(target: str) -> None:
    low, high, key = (sd.array(name, dtype="int64") for name in ("low", "high", "key"))
    fn = sd.compile(random_bits(low, high, key), [low, high, key], target=target)
    for (a, b), k, word in KNOWN:
        assert fn(a, b, k) == word
    lanes = np.array([[a, b, k] for (a, b), k, _ in KNOWN] * 7).T
    np.testing.assert_array_equal(fn(*lanes), [word for _, _, word in KNOWN] * 7)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    key, x = sd.array("key", dtype="int64"), sd.array("x", "n", dtype="int64")
    bits = random_bits(sd.arange("n"), 3, key) + x
    zeros = np.zeros(300_001, np.int64)
    values = [sd.compile(bits, [key, x], threads=threads)(k, zeros) for threads in (1, 2, 5) for k in (7, 8)]
    np.testing.assert_array_equal(values[0], values[2])
    np.testing.assert_array_equal(values[1], values[5])
    # Every bit is a fair coin, and streams of two keys have nothing in common: 5 standard deviations of 300 001 draws.
    bound = 5 * 0.5 / np.sqrt(len(values[0]))
    for x in (values[0], values[1], values[0] ^ values[1], values[0][1:] ^ values[0][:-1]):
        shares = [np.mean(x >> place & 1) for place in range(32)]
        np.testing.assert_allclose(shares, 0.5, rtol=0, atol=bound)


def test_numbers_that_are_not_integers_are_refused() -> None:
    x, n = sd.vector("x", 3), sd.array("n", 3, "int64")
    with pytest.raises(sd.DTypeError, match="bit_xor takes integers, got 'x' of dtype float64"):
        bit_xor(n, x)
    assert bit_and(n, n > 2).dtype == "int64"
