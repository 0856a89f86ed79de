"""Every demo runs, small, and says what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMOS = Path(__file__).parents[2] / "demos"
RUNS = {
    "01_derivatives": ([], ["complex step", "Hessian"]),
    "02_compile": (["1000"], ["load", "ns a point"]),
    "03_logistic_regression": (["100"], ["Newton", "accuracy"]),
    "04_heat_equation": (["16"], ["crank-nicolson", "order"]),
    "05_structure": (["200"], ["cross-country", "states", "by hand"]),
    "06_network": (["30"], ["zalandoresearch", "64-512-512-10", "unseen"]),
    "07_convergence": (["2000"], ["heavy ball", "1 - factor", "holds"]),
    "08_hypergradients": (["200"], ["implicit function theorem", "reverse mode", "Tuned in"]),
    "09_inverse_problem": ([], ["slope 2.00", "true q", "found", "relative error"]),
}


def test_every_script_is_tested():
    assert {path.stem for path in DEMOS.glob("[0-9]*.py")} == set(RUNS)


# They train or differentiate whole runs, which other tests do too.
SLOW = ("03_logistic_regression", "06_network", "07_convergence", "08_hypergradients", "09_inverse_problem")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in RUNS])
def test_demo(name):
    path, (arguments, words) = DEMOS / f"{name}.py", RUNS[name]
    assert len(path.read_text().splitlines()) < 80
    env = {**os.environ, "PYTHONPATH": str(DEMOS.parent), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(path), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    for word in words:
        assert word in result.stdout
