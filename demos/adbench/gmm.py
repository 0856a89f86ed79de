"""Gaussian mixture model: the log-likelihood of n points in d dimensions for K components with a Wishart prior.

Shapes: alphas (K,), means (K, d), icf (K, d (d + 1) / 2), x (n, d). Row k of `icf` holds the factor Q_k of an inverse
covariance: the logarithms of its diagonal, then what is below the diagonal, column by column.
"""

import numpy as np

import symdiff as sd


def symbols(K, d):
    """Return alphas, means, icf, the points x, whose number is a run-time size, and the prior's gamma and m."""
    alphas, means, icf = sd.vector("alphas", K), sd.matrix("means", K, d), sd.matrix("icf", K, d * (d + 1) // 2)
    return alphas, means, icf, sd.matrix("x", "n", d), *sd.symbols("gamma m")


def factors(icf, d):
    """Return the lower triangular matrices Q_k, shape (K, d, d)."""
    column, row = np.triu_indices(d, k=1)
    place = np.zeros((d, d), dtype=int)
    place[row, column] = np.arange(d, d * (d + 1) // 2)
    return sd.where(np.eye(d) > 0, sd.exp(icf[:, :d])[:, None, :], sd.where(place > 0, icf[:, place], 0.0))


def log_wishart_prior(icf, d, gamma, m):
    """Return the logarithm of the prior of all components."""
    K, N = icf.shape[0], d + m + 1
    log_diagonal, below = icf[:, :d], icf[:, d:]
    log_gamma_d = d * (d - 1) / 4 * np.log(np.pi) + sum(sd.gammaln((N - j) / 2) for j in range(d))
    normaliser = N * d * (sd.log(gamma) - np.log(2) / 2) - log_gamma_d
    squares = sd.sum(sd.exp(log_diagonal) ** 2) + sd.sum(below**2)
    return gamma**2 / 2 * squares - m * sd.sum(log_diagonal) - K * normaliser


def objective(alphas, means, icf, x, gamma, m):
    """Return the log-likelihood of the points with the prior."""
    n, d = x.shape
    whitened = sd.einsum("kij,nkj->nki", factors(icf, d), x[:, None, :] - means)
    exponents = alphas + sd.sum(icf[:, :d], axis=1) - sd.sum(whitened**2, axis=2) / 2
    likelihood = sd.sum(sd.logsumexp(exponents, axis=1)) - n * sd.logsumexp(alphas) - n * d / 2 * np.log(2 * np.pi)
    return likelihood + log_wishart_prior(icf, d, gamma, m)
