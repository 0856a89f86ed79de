"""The tour runs to its end in a pipe, and its numbers are right."""

import io

import numpy as np
from rich.console import Console

from symdiff.terminal.tour import CHAPTERS, run_tour
from symdiff.terminal.tour_compile import inner_loop
from symdiff.terminal.tour_fit import breast_cancer
from symdiff.terminal.tour_heat import error, plate


def play(width=80, **options):
    out = io.StringIO()
    run_tour(Console(file=out, width=width, highlight=False, **options), fast=True)
    return out.getvalue()


def test_the_fast_tour_plays_every_chapter_without_control_codes():
    text = play()
    for title, _ in CHAPTERS:
        assert title in text
    for word in (
        "∂f",
        "50 digits",
        "stabilise",
        "phi",
        "Newton",
        "Adam",
        "largest error",
        "throughput",
        "the end, after",
    ):
        assert word in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_terminal_sees_moving_pictures_and_gets_its_cursor_back():
    text = play(width=100, force_terminal=True, color_system="truecolor")
    assert "\x1b[?25l" in text  # the cursor is hidden while a picture moves
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "▀" in text


def test_the_loss_of_the_tour_is_that_of_numpy():
    problem = breast_cancer()
    rng = np.random.default_rng(5)
    w, b = rng.normal(size=30), 0.3
    (X, features), (y, target) = problem.data.items()
    from symdiff.ir.interpret import interpret

    found = interpret([problem.loss], dict(zip(problem.unknowns, (w, b), strict=True)) | {X: features, y: target})[0]
    z = features @ w + b
    expected = np.mean(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - target * z) + 0.5e-4 * np.sum(w**2)
    # 400 terms up to 30 are added: 400 * 30 eps.
    np.testing.assert_allclose(found, expected, rtol=0, atol=12_000 * np.finfo(float).eps)


def test_the_heat_of_the_tour_converges_with_fourth_order():
    problem, u, k = plate()
    errors = []
    for n in (33, 65):
        sol = problem.discretize(shape=(2 * n - 1, n), order=4).run(
            until=0.02, parameters={k: 0.05}, target="reference"
        )
        errors.append(error(problem, sol, u, k))
    # Fourth order: the error falls by 16; the time step's error falls with it.
    assert 12 < errors[0] / errors[1] < 20


def test_inner_loop_is_the_block_that_jumps_to_itself():
    text = """define void @f() {
head:
  br label %loop

loop:                                             ; preds = %head, %loop
  %k = phi i64 [ 0, %head ], [ %l, %loop ]
  %v = load <4 x double>, ptr %p
  br i1 %c, label %loop, label %done

done:
  ret void
}"""
    lines = inner_loop(text).splitlines()
    assert lines[0] == "loop:"
    assert len(lines) == 4
