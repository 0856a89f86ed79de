"""Orthogonal factors: QR by Householder's reflections, symmetric eigenvalues by Jacobi's rotations.

A block does one matrix. Matrices lie column by column. Signs that mathematics leaves open are fixed as the
primitives say.
"""

from __future__ import annotations

from typing import Any

from backends.cuda.calls import CallFunctions
from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton
from symdiff.ops.spectral import LARGE
from symdiff.program.ir import Call

_NAN = float("nan")
# Jacobi's method converges quadratically; ten sweeps do for the largest matrices that one block can hold.
_MOST_SWEEPS = 40


def qr(f: CallFunctions, call: Call) -> Skeleton:
    """Q over A in the first m rows of an (m + n)×n matrix, R with a non-negative diagonal in the others.

    A thread applies a reflection to a column (Golub & Van Loan 2013, algorithms 5.2.1 and 5.1.5); the vectors take
    the place of A's lower part until Q is formed there, their factors are in the scratch.
    """
    count, height, width = f.extents
    get, put, number, root, note, noted = f.get[0], f.put[0], f.number, f.root, f.note, f.noted
    share, shared = f.share, f.shared

    def qr(turn: int, words: Any, tile: Any) -> None:
        m, n, t, step = height(words), width(words), cuda.threadIdx.x, cuda.blockDim.x
        job = cuda.blockIdx.x
        while job < count(words):
            rows = m + n
            a, taus = job * rows * n, job * n
            if t == 0:
                share(tile, 0, number(0.0))
            cuda.syncthreads()
            e = t
            while e < m * n:
                entry = get(words, a + (e // m) * rows + e % m)
                if entry * number(0.0) != 0.0:  # an infinity or NaN
                    share(tile, 0, number(1.0))
                e += step
            for j in range(n):
                column = a + j * rows
                head = get(words, column + j)
                below = number(0.0)
                for i in range(j + 1, m):
                    below += get(words, column + i) * get(words, column + i)
                norm = root(head * head + below)
                beta = norm if head < 0.0 else -norm
                # All below is zero: nothing to reflect.
                plain = below == 0.0
                tau = number(0.0) if plain else (beta - head) / beta
                scale = number(1.0) if plain else head - beta
                cuda.syncthreads()
                i = j + 1 + t
                while i < m:
                    put(words, column + i, get(words, column + i) / scale)
                    i += step
                if t == 0:
                    put(words, column + j, head if plain else beta)
                    note(words, taus + j, tau)
                cuda.syncthreads()
                c = j + 1 + t
                while c < n:
                    total = get(words, a + c * rows + j)
                    for i in range(j + 1, m):
                        total += get(words, column + i) * get(words, a + c * rows + i)
                    total *= tau
                    put(words, a + c * rows + j, get(words, a + c * rows + j) - total)
                    for i in range(j + 1, m):
                        put(words, a + c * rows + i, get(words, a + c * rows + i) - get(words, column + i) * total)
                    c += step
                cuda.syncthreads()
            c = t
            while c < n:
                for i in range(n):
                    put(words, a + c * rows + m + i, get(words, a + c * rows + i) if i <= c else number(0.0))
                c += step
            cuda.syncthreads()
            for back in range(n):
                j = n - 1 - back
                column = a + j * rows
                tau = noted(words, taus + j)
                c = j + 1 + t
                while c < n:
                    total = number(0.0)
                    for i in range(j + 1, m):
                        total += get(words, column + i) * get(words, a + c * rows + i)
                    total *= tau
                    put(words, a + c * rows + j, -total)
                    for i in range(j + 1, m):
                        put(words, a + c * rows + i, get(words, a + c * rows + i) - get(words, column + i) * total)
                    c += step
                cuda.syncthreads()
                i = t
                while i < m:
                    if i > j:
                        put(words, column + i, -tau * get(words, column + i))
                    else:
                        put(words, column + i, number(1.0) - tau if i == j else number(0.0))
                    i += step
                cuda.syncthreads()
            lost = shared(tile, 0) != 0.0
            j = t
            while j < n:
                column = a + j * rows
                if get(words, column + m + j) < 0.0:
                    for i in range(m):
                        put(words, column + i, -get(words, column + i))
                    for c in range(j, n):
                        put(words, a + c * rows + m + j, -get(words, a + c * rows + m + j))
                j += step
            cuda.syncthreads()
            e = t
            while lost and e < rows * n:
                put(words, a + e, number(_NAN))
                e += step
            cuda.syncthreads()
            job += cuda.gridDim.x

    return qr


def eigh(f: CallFunctions, call: Call) -> Skeleton:
    """Eigenvalues into the first row of an (n + 1)×n matrix whose others hold A and get the vectors.

    Cyclic Jacobi in rounds of n/2 disjoint rotations (Golub & Van Loan 2013, section 8.5.5): a thread finds a
    rotation, then all apply them to columns, then to rows. A, the vectors and the rotations are in the scratch.
    """
    count, size = f.extents
    get, put, number, root, note, noted = f.get[0], f.put[0], f.number, f.root, f.note, f.noted
    share, shared = f.share, f.shared
    tiny = 2.0**-52 if call.dtype == "float64" else 2.0**-23

    def eigh(turn: int, words: Any, tile: Any) -> None:
        n, t, step = size(words), cuda.threadIdx.x, cuda.blockDim.x
        job = cuda.blockIdx.x
        while job < count(words):
            rows = n + 1
            out = job * rows * n
            a = job * (2 * n * n + n + 1)
            v, turns = a + n * n, a + 2 * n * n
            e = t
            while e < n * n:
                i, j = e % n, e // n
                low, high = max(i, j), min(i, j)
                note(words, a + e, get(words, out + high * rows + 1 + low))
                note(words, v + e, number(1.0) if i == j else number(0.0))
                e += step
            cuda.syncthreads()
            players = n + n % 2
            converged = n < 2
            sweep = 0
            while sweep <= _MOST_SWEEPS and not converged:
                off, whole = number(0.0), number(0.0)
                e = t
                while e < n * n:
                    square = noted(words, a + e) * noted(words, a + e)
                    whole += square
                    if e % n != e // n:
                        off += square
                    e += step
                share(tile, 2 * t, off)
                share(tile, 2 * t + 1, whole)
                cuda.syncthreads()
                off, whole = number(0.0), number(0.0)
                for k in range(step):
                    off += shared(tile, 2 * k)
                    whole += shared(tile, 2 * k + 1)
                # Squares of what rounding leaves: the last sweep has squared a small error away.
                converged = off <= whole * number(tiny * tiny)
                for r in range(players - 1):
                    if converged:
                        break
                    cuda.syncthreads()
                    k = t
                    while k < players // 2:
                        p = r if k == 0 else (r + k) % (players - 1)
                        q = players - 1 if k == 0 else (r - k + players - 1) % (players - 1)
                        cosine, sine = number(1.0), number(0.0)
                        if p < n and q < n:
                            apq = noted(words, a + p * n + q)
                            if apq != 0.0:
                                theta = (noted(words, a + q * n + q) - noted(words, a + p * n + p)) / (apq + apq)
                                slope = number(1.0) / (abs(theta) + root(theta * theta + number(1.0)))
                                slope = -slope if theta < 0.0 else slope
                                cosine = number(1.0) / root(slope * slope + number(1.0))
                                sine = slope * cosine
                        note(words, turns + 2 * k, cosine)
                        note(words, turns + 2 * k + 1, sine)
                        k += step
                    for side in range(2):
                        cuda.syncthreads()
                        e = t
                        while e < (players // 2) * n:
                            k, i = e // n, e % n
                            p = r if k == 0 else (r + k) % (players - 1)
                            q = players - 1 if k == 0 else (r - k + players - 1) % (players - 1)
                            if p < n and q < n:
                                cosine, sine = noted(words, turns + 2 * k), noted(words, turns + 2 * k + 1)
                                x = a + p * n + i if side == 0 else a + i * n + p
                                y = a + q * n + i if side == 0 else a + i * n + q
                                one, two = noted(words, x), noted(words, y)
                                note(words, x, cosine * one - sine * two)
                                note(words, y, sine * one + cosine * two)
                                if side == 0:
                                    x, y = v + p * n + i, v + q * n + i
                                    one, two = noted(words, x), noted(words, y)
                                    note(words, x, cosine * one - sine * two)
                                    note(words, y, sine * one + cosine * two)
                            e += step
                cuda.syncthreads()
                sweep += 1
            # NaN and infinities never converge.
            j = t
            while j < n:
                value = noted(words, a + j * n + j)
                place = 0
                for k in range(n):
                    other = noted(words, a + k * n + k)
                    if other < value or (other == value and k < j):
                        place += 1
                largest, sign = number(0.0), number(1.0)
                for i in range(n):
                    largest = max(largest, abs(noted(words, v + j * n + i)))
                found = False
                for i in range(n):
                    entry = noted(words, v + j * n + i)
                    if not found and abs(entry) > number(LARGE) * largest:
                        found = True
                        sign = number(-1.0) if entry < 0.0 else number(1.0)
                # Without convergence values may be NaN, and places not all different.
                place = place if converged else j
                finite = converged and value * number(0.0) == 0.0
                put(words, out + place * rows, value if finite else number(_NAN))
                for i in range(n):
                    entry = sign * noted(words, v + j * n + i)
                    put(words, out + place * rows + 1 + i, entry if finite else number(_NAN))
                j += step
            cuda.syncthreads()
            job += cuda.gridDim.x

    return eigh
