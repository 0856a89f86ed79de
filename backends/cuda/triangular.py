"""Triangular factors: Cholesky, LU, solves with them, and the adjugate. A block does one matrix, column by column.

Matrices lie column by column, except that `cholesky` and the triangle of `triangular_solve` lie row by row.
"""

from __future__ import annotations

from typing import Any

from backends.cuda.calls import CallFunctions
from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton
from symdiff.program.ir import Call

_NAN = float("nan")


def cholesky(f: CallFunctions, call: Call) -> Skeleton:
    """Factor in place and clear the strict upper half; NaN if the matrix is not positive definite.

    Column j needs the rows above j only (Golub & Van Loan 2013, section 4.2.5), each entry of it one thread.
    """
    count, size = f.extents
    get, put, number, root_of = f.get[0], f.put[0], f.number, f.root

    def cholesky(turn: int, words: Any, tile: Any) -> None:
        n, t, step = size(words), cuda.threadIdx.x, cuda.blockDim.x
        job = cuda.blockIdx.x
        while job < count(words):
            a = job * n * n
            failed = False
            for j in range(n):
                pivot = get(words, a + j * n + j)
                for k in range(j):
                    pivot -= get(words, a + j * n + k) * get(words, a + j * n + k)
                # All threads find the same pivot, so all know whether it is one.
                failed = failed or not pivot > 0.0
                root = number(_NAN) if failed else root_of(pivot)
                i = j + 1 + t
                while i < n:
                    total = get(words, a + i * n + j)
                    for k in range(j):
                        total -= get(words, a + i * n + k) * get(words, a + j * n + k)
                    put(words, a + i * n + j, total / root)
                    put(words, a + j * n + i, number(0.0))
                    i += step
                cuda.syncthreads()
                if t == 0:
                    put(words, a + j * n + j, root)
                cuda.syncthreads()
            i = t
            while failed and i < n * n:
                put(words, a + i, number(_NAN))
                i += step
            cuda.syncthreads()
            job += cuda.gridDim.x

    return cholesky


def lu(f: CallFunctions, call: Call) -> Skeleton:
    """P A = L U in place with partial pivoting; each row's partner goes to the row behind, or to the scratch.

    Right-looking (Golub & Van Loan 2013, algorithm 3.4.1); a zero pivot leaves its column as it is.
    """
    count, size = f.extents[0], f.extents[1]
    get, put, number, note = f.get[0], f.put[0], f.number, f.note_word
    extra = 1 if call.name == "lu" else 0

    def lu(turn: int, words: Any, tile: Any) -> None:
        n, t, step = size(words), cuda.threadIdx.x, cuda.blockDim.x
        rows = n + extra
        job = cuda.blockIdx.x
        while job < count(words):
            a = job * rows * n
            for j in range(n):
                partner, largest = j, abs(get(words, a + j * rows + j))
                for i in range(j + 1, n):
                    entry = abs(get(words, a + j * rows + i))
                    if entry > largest:
                        partner, largest = i, entry
                cuda.syncthreads()
                c = t
                while c < n and partner != j:
                    here, there = a + c * rows + j, a + c * rows + partner
                    kept = get(words, here)
                    put(words, here, get(words, there))
                    put(words, there, kept)
                    c += step
                if t == 0 and extra == 1:
                    put(words, a + j * rows + n, number(partner))
                if t == 0 and extra == 0:
                    note(words, job * n + j, partner)
                cuda.syncthreads()
                pivot = get(words, a + j * rows + j)
                i = j + 1 + t
                while i < n and pivot != 0.0:
                    put(words, a + j * rows + i, get(words, a + j * rows + i) / pivot)
                    i += step
                cuda.syncthreads()
                left = n - j - 1
                e = t
                while e < left * left:
                    c = e // left
                    i, c = j + 1 + e - c * left, j + 1 + c
                    update = get(words, a + j * rows + i) * get(words, a + c * rows + j)
                    put(words, a + c * rows + i, get(words, a + c * rows + i) - update)
                    e += step
                cuda.syncthreads()
            job += cuda.gridDim.x

    return lu


def substitution(f: CallFunctions, call: Call) -> Skeleton:
    """Solve in place with one triangle, or with the factors of `lu`; a block takes one right-hand side.

    Half 0 goes forwards through a lower triangle, half 1 backwards through an upper one. Of A' = U' L' the lower
    one is U', so transposing exchanges which has the unit diagonal. NaN where a diagonal has a zero.
    """
    count, size, width = f.extents
    get, get_x, put_x, number = f.get[0], f.get[1], f.put[1], f.number
    factored = call.name == "lu_solve"
    transposed = "transposed" in call.flags
    has_unit = "unit" in call.flags
    is_lower = ("lower" in call.flags) != transposed
    first, last = (0, 2) if factored else (0, 1) if is_lower else (1, 2)
    extra = 1 if factored else 0
    by_rows = factored == transposed

    def substitution(turn: int, words: Any, tile: Any) -> None:
        n, columns, t, step = size(words), width(words), cuda.threadIdx.x, cuda.blockDim.x
        rows = n + extra
        down, right = (rows, 1) if by_rows else (1, rows)
        job = cuda.blockIdx.x
        while job < count(words) * columns:
            a, x = (job // columns) * rows * n, job * n
            singular = False
            for i in range(n):
                if not has_unit and get(words, a + i * (rows + 1)) == 0.0:
                    singular = True
            if factored and not transposed and t == 0:
                for i in range(n):
                    partner = int(get(words, a + i * rows + n))
                    kept = get_x(words, x + i)
                    put_x(words, x + i, get_x(words, x + partner))
                    put_x(words, x + partner, kept)
            for half in range(first, last):
                unit = (half == 0) != transposed if factored else has_unit
                for k in range(n):
                    j = k if half == 0 else n - 1 - k
                    cuda.syncthreads()
                    if t == 0 and not unit:
                        put_x(words, x + j, get_x(words, x + j) / get(words, a + j * (rows + 1)))
                    cuda.syncthreads()
                    value = get_x(words, x + j)
                    i, stop = (j + 1 + t, n) if half == 0 else (t, j)
                    while i < stop:
                        update = get(words, a + i * down + j * right) * value
                        put_x(words, x + i, get_x(words, x + i) - update)
                        i += step
            cuda.syncthreads()
            if factored and transposed and t == 0:
                for k in range(n):
                    i = n - 1 - k
                    partner = int(get(words, a + i * rows + n))
                    kept = get_x(words, x + i)
                    put_x(words, x + i, get_x(words, x + partner))
                    put_x(words, x + partner, kept)
            cuda.syncthreads()
            i = t
            while singular and i < n:
                put_x(words, x + i, number(_NAN))
                i += step
            job += cuda.gridDim.x

    return substitution


def adjugate(f: CallFunctions, call: Call) -> Skeleton:
    """adj(A) = det(P) adj(U) L^-1 P from P A = L U, whose partners are in the scratch; no division.

    A thread makes a column of adj(U) by the recurrence of `symdiff.ops.determinant._adjugate_upper`, then a row of
    the rest.
    """
    count, size = f.extents
    get, get_out, put_out, number, noted = f.get[0], f.get[1], f.put[1], f.number, f.noted_word

    def adjugate(turn: int, words: Any, tile: Any) -> None:
        n, t, step = size(words), cuda.threadIdx.x, cuda.blockDim.x
        job = cuda.blockIdx.x
        while job < count(words):
            a = job * n * n
            sign = number(1.0)
            for i in range(n):
                if noted(words, job * n + i) != i:
                    sign = -sign
            j = t
            while j < n:
                column = a + j * n
                for i in range(n):
                    put_out(words, column + i, number(0.0))
                put_out(words, column + j, number(1.0))
                for back in range(j):
                    i = j - 1 - back
                    total = get(words, a + j * n + i)
                    for k in range(back):
                        c = j - 1 - k
                        total = get(words, a + c * n + i) * get_out(words, column + c) + get(
                            words, a + c * n + c
                        ) * total  # fmt: skip
                    put_out(words, column + i, -total)
                product = sign
                for i in range(j + 1, n):
                    product *= get(words, a + i * n + i)
                for i in range(j + 1):
                    put_out(words, column + i, get_out(words, column + i) * product)
                    product *= get(words, a + i * n + i)
                j += step
            cuda.syncthreads()
            row = t
            while row < n:
                # X L = adj(U), the last column first.
                for back in range(n):
                    c = n - 1 - back
                    total = get_out(words, a + c * n + row)
                    for k in range(c + 1, n):
                        total -= get_out(words, a + k * n + row) * get(words, a + c * n + k)
                    put_out(words, a + c * n + row, total)
                for back in range(n):
                    i = n - 1 - back
                    here, there = a + i * n + row, a + noted(words, job * n + i) * n + row
                    kept = get_out(words, here)
                    put_out(words, here, get_out(words, there))
                    put_out(words, there, kept)
                row += step
            job += cuda.gridDim.x

    return adjugate
