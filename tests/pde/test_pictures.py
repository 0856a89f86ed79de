"""Pictures and films: the right kinds of files, the right axes, and what is said where they cannot be."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

pytest.importorskip("matplotlib")
u, v = pde.field("u"), pde.field("v")


def solved(*axes: str) -> pde.Solution:
    """Two fields over some axes, with three saved states."""
    box = pde.Box(**{axis: (0, 1 + n) for n, axis in enumerate(axes)})
    start = sum(pde.coordinates(axis) for axis in axes)
    equations = [pde.Eq(pde.dt(u), -u), pde.Eq(pde.dt(v), 0)]
    problem = pde.Problem(equations, box, {axis: pde.Neumann(0) for axis in axes}, {u: start, v: 2})
    return problem.discretize(tuple(4 + n for n in range(len(axes)))).run(0.1, save_every=0.05, target="reference")


@pytest.mark.parametrize("axes", ["x", "xy", "xyz"])
def test_a_picture_shows_every_field(axes: str, tmp_path: pathlib.Path) -> None:
    sol = solved(*axes)
    figure = sol.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [ax.get_title() for ax in figure.axes[:2]] == [
        f"{name} at t = 0.1{', z = 1.8' if axes == 'xyz' else ''}" for name in "uv"
    ]
    if axes == "x":
        assert len(figure.axes[0].lines) == 3
        np.testing.assert_array_equal(figure.axes[0].lines[-1].get_ydata(), sol[u])
    else:
        # The first axis goes to the right, the second one upwards.
        shown = sol[u][:, :, 3] if axes == "xyz" else sol[u]
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), shown.T)
        assert figure.axes[0].images[0].get_extent() == [0, 1, 0, 2]


@pytest.mark.parametrize("axes", ["x", "xyz"])
def test_a_film_has_a_picture_for_every_state(axes: str, tmp_path: pathlib.Path) -> None:
    from PIL import Image

    solved(*axes).animate(tmp_path / "a.gif", rate=5)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 3
        assert film.info["duration"] == 200
    assert os.listdir(tmp_path) == ["a.gif"]


def test_what_cannot_be_drawn_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, heat: Any) -> None:
    sol = solved("x")
    for path, match in (
        (tmp_path / "none" / "a.png", "cannot be written: .*No such file"),
        (tmp_path / "a.xyz", "cannot be written: .*xyz"),
    ):
        with pytest.raises(sd.DomainError, match=match):
            sol.plot(path)
    with pytest.raises(sd.DomainError, match=r"animate writes \.gif and \.mp4 files"):
        sol.animate(tmp_path / "a.avi")
    with pytest.raises(sd.DomainError, match="cannot be written"):
        sol.animate(tmp_path / "none" / "a.gif")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sd.DomainError, match=r"in MP4 needs the program ffmpeg; install it, or write a \.gif"):
        sol.animate(tmp_path / "a.mp4")
    steady = pde.Problem(pde.Eq(pde.laplacian(u), 1), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}).discretize(5)
    with pytest.raises(sd.DomainError, match="there is one; run with save_every"):
        steady.steady(target="reference").animate(tmp_path / "a.gif")
    assert os.listdir(tmp_path) == []
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(sd.DomainError, match=r"pip install 'symdiff\[plot\]'"):
        sol.plot()
