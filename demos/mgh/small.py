"""Problems 1 to 20: each has a dimension of its own."""

import numpy as np

import symdiff as sd
from demos.mgh import data
from demos.mgh.problem import Problem


def rosenbrock(x):
    """A curved valley."""
    return sd.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def freudenstein_roth(x):
    """Two equations; the standard start leads to the minimum that is no root."""
    a, b = x[0], x[1]
    return sd.stack([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def powell_badly_scaled(x):
    """Unknowns of sizes 1e-5 and 9."""
    return sd.stack([1e4 * x[0] * x[1] - 1, sd.exp(-x[0]) + sd.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):
    """Unknowns of sizes 1e6 and 2e-6."""
    return sd.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    """Three equations that agree."""
    y = (1.5, 2.25, 2.625)
    return sd.stack([y[i] - x[0] * (1 - x[1] ** (i + 1)) for i in range(3)])


def jennrich_sampson(x):
    """Two exponentials fitted to a line; large residuals."""
    i = np.arange(1.0, 11)
    return 2 + 2 * i - (sd.exp(i * x[0]) + sd.exp(i * x[1]))


def helical_valley(x):
    """A valley that winds around an axis."""
    turn = sd.arctan(x[1] / x[0]) / (2 * np.pi) + sd.where(x[0] > 0, 0.0, 0.5)
    return sd.stack([10 * (x[2] - 10 * turn), 10 * (sd.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def bard(x):
    """A rational function fitted to 15 points."""
    u = np.arange(1.0, 16)
    v = 16 - u
    return data.BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gaussian(x):
    """A bell fitted to 15 points."""
    t = (8 - np.arange(1.0, 16)) / 2
    return x[0] * sd.exp(-x[1] * (t - x[2]) ** 2 / 2) - data.GAUSSIAN


def meyer(x):
    """The resistance of a thermistor; a narrow valley."""
    t = 45 + 5 * np.arange(1.0, 17)
    return x[0] * sd.exp(x[1] / (t + x[2])) - data.MEYER


def gulf(x):
    """Gulf research and development, with the sign that makes the published solution a root."""
    t = np.arange(1.0, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return sd.exp(-(sd.absolute(y - x[1]) ** x[2]) / x[0]) - t


def box(x):
    """Three exponentials at ten points."""
    t = np.arange(1.0, 11) / 10
    return sd.exp(-t * x[0]) - sd.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):
    """A root with a singular Jacobian."""
    return sd.stack([x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2])


def wood(x):
    """Two curved valleys, coupled."""
    return sd.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            90**0.5 * (x[3] - x[2] ** 2),
            1 - x[2],
            10**0.5 * (x[1] + x[3] - 2),
            (x[1] - x[3]) / 10**0.5,
        ]
    )


def kowalik_osborne(x):
    """The kinetics of an enzyme."""
    u = data.KOWALIK_U
    return data.KOWALIK_Y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    """Large residuals: Gauss-Newton does badly."""
    t = np.arange(1.0, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def osborne_1(x):
    """Two exponentials and a constant, 33 points."""
    t = 10 * np.arange(33.0)
    return data.OSBORNE_1 - (x[0] + x[1] * sd.exp(-t * x[3]) + x[2] * sd.exp(-t * x[4]))


def biggs(x):
    """Biggs' EXP6: three exponentials at 13 points."""
    t = np.arange(1.0, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * sd.exp(-t * x[0]) - x[3] * sd.exp(-t * x[1]) + x[5] * sd.exp(-t * x[4]) - y


def osborne_2(x):
    """An exponential and three bells, 65 points."""
    t = np.arange(65.0) / 10
    bells = [x[k + 1] * sd.exp(-((t - x[k + 8]) ** 2) * x[k + 5]) for k in range(3)]
    return data.OSBORNE_2 - (x[0] * sd.exp(-t * x[4]) + bells[0] + bells[1] + bells[2])


def watson(x):
    """A polynomial that solves a differential equation, nearly."""
    j, t = np.arange(x.shape[0]), np.arange(1.0, 30)[:, None] / 29
    slope = np.where(j > 0, j * t ** np.maximum(j - 1, 0), 0.0)
    equations = sd.matmul(slope, x) - sd.matmul(t**j, x) ** 2 - 1
    return sd.concatenate([equations, sd.stack([x[0], x[1] - x[0] ** 2 - 1])])


def _start(*values):
    return np.array(values, dtype=float)


SMALL = (
    Problem(1, "Rosenbrock", rosenbrock, _start(-1.2, 1), (0.0,)),
    Problem(2, "Freudenstein and Roth", freudenstein_roth, _start(0.5, -2), (0.0, 48.9842)),
    Problem(3, "Powell badly scaled", powell_badly_scaled, _start(0, 1), (0.0,)),
    Problem(4, "Brown badly scaled", brown_badly_scaled, _start(1, 1), (0.0,)),
    Problem(5, "Beale", beale, _start(1, 1), (0.0,)),
    Problem(6, "Jennrich and Sampson", jennrich_sampson, _start(0.3, 0.4), (124.362,)),
    Problem(7, "Helical valley", helical_valley, _start(-1, 0, 0), (0.0,)),
    Problem(8, "Bard", bard, _start(1, 1, 1), (8.21487e-3, 17.4286)),
    Problem(9, "Gaussian", gaussian, _start(0.4, 1, 0), (1.12793e-8,)),
    Problem(10, "Meyer", meyer, _start(0.02, 4000, 250), (87.9458,)),
    Problem(11, "Gulf research", gulf, _start(5, 2.5, 0.15), (0.0,)),
    Problem(12, "Box three-dimensional", box, _start(0, 10, 20), (0.0,)),
    Problem(13, "Powell singular", powell_singular, _start(3, -1, 0, 1), (0.0,)),
    Problem(14, "Wood", wood, _start(-3, -1, -3, -1), (0.0,)),
    Problem(15, "Kowalik and Osborne", kowalik_osborne, _start(0.25, 0.39, 0.415, 0.39), (3.07505e-4, 1.02734e-3)),
    Problem(16, "Brown and Dennis", brown_dennis, _start(25, 5, -5, -1), (85822.2,)),
    Problem(17, "Osborne 1", osborne_1, _start(0.5, 1.5, -1, 0.01, 0.02), (5.46489e-5,)),
    Problem(18, "Biggs EXP6", biggs, _start(1, 2, 1, 1, 1, 1), (0.0, 5.65565e-3)),
    Problem(19, "Osborne 2", osborne_2, _start(1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), (4.01377e-2,)),
    Problem(20, "Watson", watson, np.zeros(6), (2.28767e-3,)),
    Problem(20, "Watson", watson, np.zeros(9), (1.39976e-6,)),
    Problem(20, "Watson", watson, np.zeros(12), (4.72238e-10,)),
)
