"""Problems 21 to 35: of any dimension."""

import numpy as np

import symdiff as sd
from demos.mgh.problem import Problem


def extended_rosenbrock(x):
    """Curved valleys, one for each pair of unknowns."""
    a, b = x[0::2], x[1::2]
    return sd.concatenate([10 * (b - a**2), 1 - a])


def extended_powell(x):
    """Singular roots, one for each four unknowns."""
    a, b, c, d = (x[k::4] for k in range(4))
    return sd.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def penalty_1(x):
    """A small pull to one point, a large penalty off a sphere."""
    return sd.concatenate([1e-5**0.5 * (x - 1), sd.stack([sd.sum(x**2) - 0.25])])


def penalty_2(x):
    """The same with exponentials."""
    n = x.shape[0]
    i, a = np.arange(2.0, n + 1), 1e-5**0.5
    chain = sd.exp(x[1:] / 10) + sd.exp(x[:-1] / 10) - (np.exp(i / 10) + np.exp((i - 1) / 10))
    ends = sd.stack([x[0] - 0.2, sd.sum(np.arange(n, 0, -1.0) * x**2) - 1])
    return sd.concatenate([ends, a * chain, a * (sd.exp(x[1:] / 10) - np.exp(-0.1))])


def variably_dimensioned(x):
    """A quartic along one direction."""
    along = sd.sum(np.arange(1.0, x.shape[0] + 1) * (x - 1))
    return sd.concatenate([x - 1, sd.stack([along, along**2])])


def trigonometric(x):
    """A root among local minima."""
    n = x.shape[0]
    return n - sd.sum(sd.cos(x)) + np.arange(1.0, n + 1) * (1 - sd.cos(x)) - sd.sin(x)


def brown_almost_linear(x):
    """All equations but one are linear."""
    return sd.concatenate([x[:-1] + sd.sum(x) - (x.shape[0] + 1), sd.stack([sd.prod(x) - 1])])


def discrete_boundary_value(x):
    """A nonlinear boundary value problem by differences."""
    n = x.shape[0]
    h = 1 / (n + 1)
    around = sd.pad(x, 1)
    return 2 * x - around[:-2] - around[2:] + h**2 * (x + h * np.arange(1.0, n + 1) + 1) ** 3 / 2


def discrete_integral_equation(x):
    """The same as an integral equation: every unknown in every equation."""
    n = x.shape[0]
    h = 1 / (n + 1)
    t = h * np.arange(1.0, n + 1)
    kernel = np.minimum.outer(t, t) * (1 - np.maximum.outer(t, t))
    return x + h / 2 * sd.matmul(kernel, (x + t + 1) ** 3)


def broyden_tridiagonal(x):
    """Three unknowns in each equation."""
    around = sd.pad(x, 1)
    return (3 - 2 * x) * x - around[:-2] - 2 * around[2:] + 1


def broyden_banded(x):
    """Seven unknowns in each equation: five before, one after."""
    i = np.arange(x.shape[0])
    ahead = i - i[:, None]
    near = ((ahead >= -5) & (ahead <= 1) & (ahead != 0)).astype(float)
    return x * (2 + 5 * x**2) + 1 - sd.matmul(near, x * (1 + x))


def linear_full_rank(x):
    """20 linear equations."""
    m = 20
    mean = 2 / m * sd.sum(x)
    return sd.concatenate([x - mean - 1, sd.zeros(m - x.shape[0]) - mean - 1])


def linear_rank_1(x):
    """20 linear equations of rank one."""
    return np.arange(1.0, 21) * sd.sum(np.arange(1.0, x.shape[0] + 1) * x) - 1


def linear_rank_1_zeros(x):
    """The same with columns and rows of zeros."""
    n, m = x.shape[0], 20
    inner = sd.sum(np.arange(2.0, n) * x[1:-1])
    row = np.arange(0.0, m)
    row[-1] = 0
    return row * inner - 1


def chebyquad(x):
    """Points whose means of Chebyshev polynomials are the integrals."""
    before, now, means = sd.ones_like(x), 2 * x - 1, []
    for i in range(1, x.shape[0] + 1):
        means.append(sd.mean(now) + (1 / (i * i - 1) if i % 2 == 0 else 0.0))
        before, now = now, 2 * (2 * x - 1) * now - before
    return sd.stack(means)


_N = 10
_i = np.arange(1.0, _N + 1)
_t = _i / (_N + 1)
_M = 20

VARIABLE = (
    Problem(21, "Extended Rosenbrock", extended_rosenbrock, np.tile([-1.2, 1.0], _N // 2), (0.0,)),
    Problem(22, "Extended Powell singular", extended_powell, np.tile([3.0, -1.0, 0.0, 1.0], 3), (0.0,)),
    Problem(23, "Penalty I", penalty_1, _i[:4], (2.24997e-5,)),
    Problem(23, "Penalty I", penalty_1, _i, (7.08765e-5,)),
    Problem(24, "Penalty II", penalty_2, np.full(4, 0.5), (9.37629e-6,)),
    Problem(24, "Penalty II", penalty_2, np.full(_N, 0.5), (2.93660e-4,)),
    Problem(25, "Variably dimensioned", variably_dimensioned, 1 - _i / _N, (0.0,)),
    Problem(26, "Trigonometric", trigonometric, np.full(_N, 1 / _N), (0.0, 2.79506e-5)),
    Problem(27, "Brown almost-linear", brown_almost_linear, np.full(_N, 0.5), (0.0, 1.0)),
    Problem(28, "Discrete boundary value", discrete_boundary_value, _t * (_t - 1), (0.0,)),
    Problem(29, "Discrete integral equation", discrete_integral_equation, _t * (_t - 1), (0.0,)),
    Problem(30, "Broyden tridiagonal", broyden_tridiagonal, np.full(_N, -1.0), (0.0,)),
    Problem(31, "Broyden banded", broyden_banded, np.full(_N, -1.0), (0.0,)),
    Problem(32, "Linear, full rank", linear_full_rank, np.ones(_N), (float(_M - _N),)),
    Problem(33, "Linear, rank 1", linear_rank_1, np.ones(_N), (_M * (_M - 1) / (2 * (2 * _M + 1)),)),
    Problem(
        34, "Linear, rank 1, zeros", linear_rank_1_zeros, np.ones(_N), ((_M**2 + 3 * _M - 6) / (2 * (2 * _M - 3)),)
    ),
    Problem(35, "Chebyquad", chebyquad, np.arange(1.0, 9) / 9, (3.51687e-3,)),
    Problem(35, "Chebyquad", chebyquad, np.arange(1.0, 10) / 10, (0.0,)),
    Problem(35, "Chebyquad", chebyquad, _t, (6.50395e-3,)),
)
