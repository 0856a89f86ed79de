"""Hand tracking: a skinned mesh of a hand, posed by the angles of its joints, against measured points.

Shapes: theta (26,) holds the hand's rotation vector and translation, then flexion and abduction of the first joint and
flexion of the second and third of each finger. The model's transforms are 4 by 4, one for each of the 22 bones.
"""

from dataclasses import dataclass

import numpy as np

import symdiff as sd
from demos.adbench.ba import rotate


@dataclass(frozen=True, slots=True)
class Model:
    """Each bone's parent and transform to it at rest, the inverse of that to the hand, and the mesh hung on the bones.

    `base_positions` (3, v) are vertices, `weights` (22, v) how much each bone moves each of them, `triangles` (t, 3).
    """

    parents: np.ndarray
    base_relatives: np.ndarray
    inverse_base_absolutes: np.ndarray
    base_positions: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray


def symbols():
    """Return theta, the places in the mesh that n measured points belong to, the points, and weights in triangles."""
    places = sd.array("places", ("n",), dtype="int64")
    return sd.vector("theta", 26), places, sd.matrix("points", "n", 3), sd.matrix("us", "n", 2)


def bend(flexion, abduction):
    """Return the transform that turns by `flexion` about x, then by `abduction` about z."""
    (cx, sx), (cz, sz) = ((sd.cos(a), sd.sin(a)) for a in (flexion, abduction))
    rows = [[cz, -sz * cx, sz * sx, 0], [sz, cz * cx, -cz * sx, 0], [0, sx, cx, 0], [0, 0, 0, 1]]
    return sd.stack([sd.stack(row) for row in rows])


def transforms(model, joints):
    """Return how each bone moves its part of the mesh, shape (22, 4, 4), for the angles (5, 4) of the fingers."""
    bends = {}
    for f in range(5):
        flexion, abduction, *others = joints[f]
        bends[4 * f + 2] = bend(flexion, abduction)
        bends[4 * f + 3], bends[4 * f + 4] = (bend(angle, 0) for angle in others)
    absolute: list[sd.Expr] = []
    for bone, (parent, relative) in enumerate(zip(model.parents, model.base_relatives, strict=True)):
        turned = relative @ bends[bone] if bone in bends else relative
        absolute.append(absolute[parent] @ turned if parent >= 0 else sd.stack(list(turned)))
    return sd.stack(absolute) @ model.inverse_base_absolutes


def posed(model, theta):
    """Return the places of the vertices, shape (v, 3)."""
    rest = np.vstack([model.base_positions, np.ones(model.base_positions.shape[1])])
    moved = sd.einsum("bv,bij,jv->vi", model.weights, transforms(model, sd.reshape(theta[6:], (5, 4))), rest)
    return rotate(theta[:3], moved[:, :3]) + theta[3:6]


def errors(model, theta, vertices, points):
    """Return how far measured points (n, 3) are from the vertices (n,) that they belong to."""
    return points - posed(model, theta)[vertices]


def errors_on_triangles(model, theta, us, triangles, points):
    """Return how far measured points (n, 3) are from places in triangles (n,), given by two weights each: us (n, 2)."""
    corners = sd.take(posed(model, theta), sd.take(model.triangles, triangles, axis=0), axis=0)
    weights = sd.concatenate([us, 1 - sd.sum(us, axis=1, keepdims=True)], axis=1)
    return points - sd.sum(weights[:, :, None] * corners, axis=1)
