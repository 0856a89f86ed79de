"""Bundle adjustment: where cameras see points of space, against where the points were found in the pictures.

Shapes: a camera is [r1 r2 r3 C1 C2 C3 f u0 v0 k1 k2]: rotation vector, place, focal length, centre of the picture and
radial distortion. Axes before the last are observations.
"""

import math

import symdiff as sd


def symbols():
    """Return cameras, points, weights, observations (camera and point of each) and the features found."""
    cameras, points = sd.matrix("cameras", "p", 11), sd.matrix("points", "m", 3)
    seen = sd.array("seen", ("n", 2), dtype="int64")
    return cameras, points, sd.vector("weights", "n"), seen, sd.matrix("features", "n", 2)


def dot(a, b):
    """Return the inner products of vectors along the last axis."""
    return sd.sum(a * b, axis=-1, keepdims=True)


def cross(a, b):
    """Return the vector products of vectors along the last axis."""
    left, right = [1, 2, 0], [2, 0, 1]
    return a[..., left] * b[..., right] - a[..., right] * b[..., left]


def even_series(s, first):
    """Return sum_k (-s)^k / (2 k + first)!, to rounding for s < 0.01."""
    return sum((-s) ** k / math.factorial(2 * k + first) for k in range(6))


def rotate(r, y):
    """Return y rotated by the angle |r| about r: Rodrigues' formula.

    sin(t) / t and (1 - cos(t)) / t^2 are analytic in s = t^2; near 0 their series keep all digits, in derivatives too.
    """
    s = dot(r, r)
    t, small = sd.sqrt(s), s < 0.01
    sin_t = sd.where(small, even_series(s, 1), sd.sin(t) / t)
    cos_t = sd.where(small, even_series(s, 2), (1 - sd.cos(t)) / s)
    return y * (1 - s * cos_t) + cross(r, y) * sin_t + r * dot(r, y) * cos_t


def project(camera, point):
    """Return where cameras see points."""
    z = rotate(camera[..., :3], point - camera[..., 3:6])
    xy = z[..., :2] / z[..., 2:]
    q = dot(xy, xy)
    distortion = 1 + camera[..., 9:10] * q + camera[..., 10:] * q**2
    return camera[..., 6:7] * distortion * xy + camera[..., 7:9]


def errors(cameras, points, weights, seen, features):
    """Return the weighted errors of reprojection (n, 2) and the errors of the weights (n,)."""
    found = project(cameras[seen[:, 0]], points[seen[:, 1]])
    return weights[:, None] * (found - features), 1 - weights**2
