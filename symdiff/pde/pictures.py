"""Pictures and films of solutions, through matplotlib where it is installed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.checkpoint import replaced
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node

if TYPE_CHECKING:
    from symdiff.pde.solution import Solution

_CURVES = 5  # of one field over its only axis, from the first to the last state
_WIDTH, _HEIGHT, _DPI = 5.0, 4.0, 120
_FILMS = (".gif", ".mp4")


def plane(values: np.ndarray) -> np.ndarray:
    """Return a field with at most two axes: of one with three, the slice in the middle of the last."""
    return values[:, :, values.shape[2] // 2] if values.ndim == 3 else values


def middle(points: np.ndarray) -> float:
    """Return where this slice is, among the points of its axis."""
    return float(points[len(points) // 2])


def plot(sol: Solution, path: str | os.PathLike[str] | None = None) -> Any:
    """Return a matplotlib figure of all fields; see `Solution.plot`."""
    fields = list(sol.arrays)
    figure, axes = panels(len(fields))
    for u, ax in zip(fields, axes, strict=True):
        if len(sol.grid.axes) == 1:
            for k in _chosen(len(sol.times)):
                ax.plot(sol.grid.points[0], sol.saved[u][k], label=f"t = {sol.times[k]:.4g}")
            ax.set_xlabel(sol.grid.axes[0])
            ax.legend()
        else:
            image = _map(ax, sol, sol[u], *_range([sol[u]]))
            figure.colorbar(image, ax=ax)
        ax.set_title(_title(sol, u, sol.t))
    write(figure, path)
    return figure


def write(figure: Any, path: str | os.PathLike[str] | None) -> None:
    """Write a figure, if there is a path. Raises DomainError where it cannot be."""
    if path is not None:
        kind = Path(path).suffix.removeprefix(".") or "png"
        with _named_errors(path), replaced(path) as file:
            figure.savefig(file, format=kind, dpi=_DPI)


def animate(sol: Solution, path: str | os.PathLike[str], rate: int) -> None:
    """Write the saved states as a film; see `Solution.animate`."""
    target = Path(path)
    if target.suffix not in _FILMS:
        raise DomainError(f"animate writes {' and '.join(_FILMS)} files, got {os.fspath(path)!r}.")
    if len(sol.times) < 2:
        raise DomainError("A film shows saved states, and there is one; run with save_every=….")
    matplotlib = _matplotlib()
    from matplotlib import animation

    if target.suffix == ".mp4" and not animation.writers.is_available("ffmpeg"):
        raise DomainError("A film in MP4 needs the program ffmpeg; install it, or write a .gif.")
    writer = animation.PillowWriter(rate) if target.suffix == ".gif" else animation.FFMpegWriter(rate)
    figure, draw = _film(sol)
    new = target.with_name(f".unfinished-{os.getpid()}-{target.name}")
    with _named_errors(path), matplotlib.rc_context({"savefig.bbox": None}):
        try:
            with writer.saving(figure, new, dpi=_DPI):
                for k in range(len(sol.times)):
                    draw(k)
                    writer.grab_frame()
            os.replace(new, target)
        finally:
            new.unlink(missing_ok=True)


def _film(sol: Solution) -> tuple[Any, Any]:
    """Return a figure, and what draws the k-th saved state in it; all states have one scale."""
    fields = list(sol.arrays)
    figure, axes = panels(len(fields))
    shown = []
    for u, ax in zip(fields, axes, strict=True):
        low, high = _range(sol.saved[u])
        if len(sol.grid.axes) == 1:
            (curve,) = ax.plot(sol.grid.points[0], sol.saved[u][0])
            margin = 0.05 * (high - low)
            ax.set_ylim(low - margin, high + margin)
            ax.set_xlabel(sol.grid.axes[0])
            shown.append(curve.set_ydata)
        else:
            image = _map(ax, sol, sol.saved[u][0], low, high)
            figure.colorbar(image, ax=ax)
            shown.append(lambda state, image=image: image.set_data(plane(state).T))

    def draw(k: int) -> None:
        for u, ax, show in zip(fields, axes, shown, strict=True):
            show(sol.saved[u][k])
            ax.set_title(_title(sol, u, sol.times[k]))

    return figure, draw


def panels(count: int) -> tuple[Any, Sequence[Any]]:
    """Return a figure with `count` axes beside each other. Raises DomainError where matplotlib is not installed."""
    _matplotlib()
    # Not pyplot, which keeps every figure and may want a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH * count, _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _map(ax: Any, sol: Solution, state: np.ndarray, low: float, high: float) -> Any:
    (left, right), (lower, upper) = sol.grid.box.intervals[:2]
    image = ax.imshow(
        plane(state).T, origin="lower", extent=(left, right, lower, upper), vmin=low, vmax=high, interpolation="nearest"
    )
    ax.set_xlabel(sol.grid.axes[0])
    ax.set_ylabel(sol.grid.axes[1])
    return image


def _title(sol: Solution, u: Node, t: float) -> str:
    place = ""
    if len(sol.grid.axes) == 3:
        place = f", {sol.grid.axes[2]} = {middle(sol.grid.points[2]):.4g}"
    return f"{u.params['name']} at t = {t:.4g}{place}"


def _range(states: Any) -> tuple[float, float]:
    """Return the smallest and the largest value, a little apart."""
    low, high = min(float(np.min(s)) for s in states), max(float(np.max(s)) for s in states)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _chosen(count: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, _CURVES))})


@contextlib.contextmanager
def _named_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DomainError(f"The picture {os.fspath(path)} cannot be written: {error}.") from None


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise DomainError("Pictures need matplotlib; run: pip install 'symdiff[plot]'.") from None
    return matplotlib
