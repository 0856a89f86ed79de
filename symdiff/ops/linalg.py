"""Dense linear algebra: the primitives in one list. All take stacks of matrices, (…, n, n)."""

from __future__ import annotations

from symdiff.ops.banded import banded_solve
from symdiff.ops.determinant import adjugate, det, detsign, inverse, logabsdet, trace
from symdiff.ops.factor import cholesky, qr, qr_q, qr_r
from symdiff.ops.matmul import floats, matmul, matrix_transpose
from symdiff.ops.solve import lu, lu_solve, solve, triangular_solve
from symdiff.ops.spectral import eigh, eigvalsh, eigvecsh
from symdiff.ops.square import require_square

# What users build, with all derivatives.
OUTER = (
    matmul, solve, triangular_solve, banded_solve, cholesky, qr_q, qr_r, det, adjugate, logabsdet, detsign, eigvalsh,
    eigvecsh,
)  # fmt: skip
# What `passes.factorise` makes of them.
INNER = (lu, lu_solve, qr, eigh)
LINALG = (*OUTER, *INNER)

__all__ = [
    "INNER",
    "LINALG",
    "OUTER",
    "adjugate",
    "banded_solve",
    "cholesky",
    "det",
    "detsign",
    "eigh",
    "eigvalsh",
    "eigvecsh",
    "floats",
    "inverse",
    "logabsdet",
    "lu",
    "lu_solve",
    "matmul",
    "matrix_transpose",
    "qr",
    "qr_q",
    "qr_r",
    "require_square",
    "solve",
    "trace",
    "triangular_solve",
]
