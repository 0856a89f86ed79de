"""Heat maps, plots and sparklines: what is drawn, not only that something is."""

import io

import numpy as np
import pytest
from rich.console import Console

from symdiff.draw.colours import LEVELS, MAPS, palette
from symdiff.draw.heatmap import HeatMap
from symdiff.draw.plot import LinePlot, Series, sparkline
from symdiff.ir.errors import DomainError, ShapeError


def draw(thing, width=80, colours=False):
    out = io.StringIO()
    options = {"force_terminal": True, "color_system": "truecolor"} if colours else {"color_system": None}
    Console(file=out, width=width, **options).print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("name", MAPS)
def test_lightness_of_a_palette_grows(name):
    # Rec. 709 luma of the colours.
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in palette(name)]
    assert len(light) == LEVELS
    assert np.all(np.diff(light) > -1.5)  # rounding of one step in each channel
    assert light[-1] - light[0] > 150


def test_an_unknown_map_is_named():
    with pytest.raises(DomainError, match="jet"):
        palette("jet")


def test_the_first_axis_goes_right_and_the_second_up():
    field = np.zeros((40, 20))
    field[30:, 15:] = 1.0  # right and above
    lines = draw(HeatMap(field, width=40))
    assert lines[0].endswith("@" * 10)
    assert lines[0][:30].strip() == ""
    assert "@" not in "".join(lines[3:-1])


def test_pixels_are_square():
    lines = draw(HeatMap(np.ones((200, 100)), width=60))
    assert len(lines) - 1 == 15  # 60 characters across, 30 pixels up, two a character


def test_means_are_taken_over_what_a_pixel_covers():
    field = np.indices((80, 8)).sum(axis=0) % 2.0  # a chessboard: grey from far
    lines = draw(HeatMap(field, width=20, low=0.0, high=1.0))
    assert set("".join(lines[:-1])) == {"+"}


def test_what_is_not_finite_stands_out():
    field = np.zeros((40, 20))
    field[:4, :] = np.nan
    lines = draw(HeatMap(field, width=40))
    assert all(line.startswith("????") for line in lines[:-1])
    assert "not finite" in lines[-1]
    coloured = "\n".join(draw(HeatMap(field, width=40), colours=True))
    assert "38;2;255;0;255" in coloured


def test_colours_are_those_of_the_palette():
    red, green, blue = palette("viridis")[-1]
    text = "\n".join(draw(HeatMap(np.ones((8, 4)), low=0.0, high=1.0), colours=True))
    assert f"38;2;{red};{green};{blue};48;2;{red};{green};{blue}" in text


@pytest.mark.parametrize(
    "field", [np.full((5, 5), 3.0), np.full((5, 5), np.nan), np.zeros((1, 1)), np.array([[np.inf, 1]])]
)
def test_odd_fields_are_drawn(field):
    assert draw(HeatMap(field))
    assert draw(HeatMap(field), width=10)


def test_a_field_with_three_axes_is_refused():
    with pytest.raises(ShapeError, match="one or two axes"):
        draw(HeatMap(np.zeros((2, 2, 2))))


def test_a_field_with_one_axis_is_a_curve():
    lines = draw(HeatMap(np.linspace(0, 1, 50)))
    assert any(0x2800 < ord(c) < 0x2900 for c in "".join(lines))


def test_a_rising_line_goes_from_lower_left_to_upper_right():
    lines = draw(LinePlot([Series("", np.arange(10.0), np.arange(10.0))], width=30, height=5))
    first = [line.split("│", 1)[1] for line in lines[:5]]
    starts = [len(line) - len(line.lstrip(" ")) for line in first]
    assert starts == sorted(starts, reverse=True)
    assert starts[-1] == 0


def test_logarithmic_axes_leave_out_what_has_no_logarithm():
    x, y = np.arange(5.0), np.array([1.0, 0.0, 10.0, np.nan, 100.0])
    assert "100" in draw(LinePlot([Series("s", x, y)], log_x=True, log_y=True))[0]


@pytest.mark.parametrize("y", [[], [1.0], [np.nan, np.nan], [2.0, 2.0]])
def test_plots_of_little(y):
    assert draw(LinePlot([Series("s", np.arange(len(y)), np.array(y, dtype=float))]))


def test_sparkline():
    assert sparkline([1, 2, np.nan, 8]) == "▁▂ █"
    assert len(sparkline(np.arange(1000), width=10)) == 10
    assert sparkline([]) == ""
