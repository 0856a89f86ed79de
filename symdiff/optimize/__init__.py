"""Minimisation: update rules as expressions, run by compiled loops."""

from symdiff.optimize.adam import Adam
from symdiff.optimize.gradient_descent import GradientDescent
from symdiff.optimize.methods import METHODS
from symdiff.optimize.minimize import minimize
from symdiff.optimize.newton import Newton
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.progress import Progress
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import FirstOrder, Move, Rule

__all__ = [
    "METHODS",
    "Adam",
    "FirstOrder",
    "GradientDescent",
    "Move",
    "Newton",
    "Objective",
    "OptimizeResult",
    "Point",
    "Progress",
    "Rule",
    "minimize",
]
