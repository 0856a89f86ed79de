"""The loops of the colourings, compiled by Numba. Loaded when a matrix is coloured.

Matrices come as the index arrays of CSR. All loops take time proportional to entries times colours, also where some
rows are full: a vertex keeps the distinct colours of its neighbours, not the neighbours.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def column_colours(row_begin, row_cols, col_begin, col_rows, order):
    """Colour columns so that no two columns of one colour meet in a row: greedy, in the given order."""
    n = len(col_begin) - 1
    colours = np.full(n, -1, np.int64)
    mark = np.full(n + 1, -1, np.int64)
    for j in order:
        for p in range(col_begin[j], col_begin[j + 1]):
            i = col_rows[p]
            for q in range(row_begin[i], row_begin[i + 1]):
                c = colours[row_cols[q]]
                if c >= 0:
                    mark[c] = j
        c = 0
        while mark[c] == j:
            c += 1
        colours[j] = c
    return colours


@njit(cache=True)
def _slot(begin, used, shades, v, c):
    """Return where vertex v keeps what it knows of its neighbours of colour c."""
    for t in range(begin[v], begin[v] + used[v]):
        if shades[t] == c:
            return t
    t = begin[v] + used[v]
    used[v] += 1
    shades[t] = c
    return t


@njit(cache=True)
def star_colours(begin, near, order, most):
    """Colour vertices so that neighbours differ and every path on four vertices has three colours.

    For a vertex v these colours are forbidden: those of its neighbours w; those around w, if another neighbour has
    w's colour; and those of neighbours x of w that have a second neighbour of w's colour ("hubs" for w). Gives up,
    with no colours, when it needs more than `most`.
    """
    n = len(begin) - 1
    colours = np.full(n, -1, np.int64)
    mark, seen = np.full(n + 1, -1, np.int64), np.full(n + 1, -1, np.int64)
    first_seen, treated = np.full(n + 1, -1, np.int64), np.full(n + 1, -1, np.int64)
    used, hubs = np.zeros(n, np.int64), np.zeros(n, np.int64)
    shades, counts = np.zeros(len(near), np.int64), np.zeros(len(near), np.int64)
    first, hub_shades = np.zeros(len(near), np.int64), np.zeros(len(near), np.int64)
    for v in order:
        for p in range(begin[v], begin[v + 1]):
            w = near[p]
            c = colours[w]
            if c < 0:
                continue
            mark[c] = v
            for t in range(begin[w], begin[w] + hubs[w]):
                mark[hub_shades[t]] = v
            if seen[c] != v:
                seen[c] = v
                first_seen[c] = w
                continue
            for u in (first_seen[c], w):
                if treated[u] != v:
                    treated[u] = v
                    for t in range(begin[u], begin[u] + used[u]):
                        mark[shades[t]] = v
        c = 0
        while mark[c] == v:
            c += 1
        if c >= most:
            return colours[:0]
        colours[v] = c
        for p in range(begin[v], begin[v + 1]):
            w = near[p]
            if colours[w] < 0:
                continue
            for hub, spoke in ((w, v), (v, w)):
                t = _slot(begin, used, shades, hub, colours[spoke])
                counts[t] += 1
                if counts[t] == 1:
                    first[t] = spoke
                    continue
                if counts[t] == 2:
                    u = first[t]
                    hub_shades[begin[u] + hubs[u]] = colours[hub]
                    hubs[u] += 1
                hub_shades[begin[spoke] + hubs[spoke]] = colours[hub]
                hubs[spoke] += 1
    return colours


@njit(cache=True)
def _root(parent, t):
    while parent[t] != t:
        parent[t] = parent[parent[t]]
        t = parent[t]
    return t


@njit(cache=True)
def acyclic_colours(begin, near, order):
    """Colour vertices so that neighbours differ and every cycle has three colours.

    The edges between two colours form trees; a colour is forbidden for v if two neighbours of v are in one tree of it.
    """
    n = len(begin) - 1
    colours = np.full(n, -1, np.int64)
    mark = np.full(n + 1, -1, np.int64)
    used = np.zeros(n, np.int64)
    shades = np.zeros(len(near), np.int64)
    parent = np.arange(len(near))
    visit, visitor = np.full(len(near), -1, np.int64), np.full(len(near), -1, np.int64)
    for v in order:
        for p in range(begin[v], begin[v + 1]):
            w = near[p]
            if colours[w] < 0:
                continue
            mark[colours[w]] = v
            for t in range(begin[w], begin[w] + used[w]):
                tree = _root(parent, t)
                if visit[tree] == v and visitor[tree] != w:
                    mark[shades[t]] = v
                visit[tree] = v
                visitor[tree] = w
        c = 0
        while mark[c] == v:
            c += 1
        colours[v] = c
        for p in range(begin[v], begin[v + 1]):
            w = near[p]
            if colours[w] >= 0:
                a = _root(parent, _slot(begin, used, shades, w, c))
                b = _root(parent, _slot(begin, used, shades, v, colours[w]))
                parent[a] = b
    return colours


@njit(cache=True)
def elimination_order(slots, mirror, counts):
    """Return the entries in the order in which the trees of an acyclic colouring give them up, leaves first.

    Entry p is one of `counts[slots[p]]` that are known as a sum only. One that is left alone is known, and is taken
    off the sum that holds its mirror image.
    """
    n, left = len(counts), counts.copy()
    held = np.zeros(n, np.int64)
    for p in range(len(slots)):
        held[slots[p]] ^= p
    queue = np.empty(n, np.int64)
    size = 0
    for s in range(n):
        if left[s] == 1:
            queue[size] = s
            size += 1
    order = np.empty(len(slots) // 2, np.int64)
    done, at = 0, 0
    while at < size:
        s = queue[at]
        at += 1
        if left[s] != 1:
            continue
        p = held[s]
        q = mirror[p]
        t = slots[q]
        order[done] = p
        done += 1
        left[s] = 0
        left[t] -= 1
        held[t] ^= q
        if left[t] == 1:
            queue[size] = t
            size += 1
    return order[:done]


@njit(cache=True)
def substitute(sums, order, slots, mirror, out):
    """Take the entries off their sums, in order."""
    for p in order:
        q = mirror[p]
        value = sums[slots[p]]
        sums[slots[q]] -= value
        out[p] = value
        out[q] = value
