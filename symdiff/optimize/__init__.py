"""Minimisation: update rules as expressions, run by compiled loops."""

from symdiff.optimize.adagrad import Adagrad
from symdiff.optimize.adam import Adam, AdamW
from symdiff.optimize.augmented_lagrangian import AugmentedLagrangian, QuadraticPenalty
from symdiff.optimize.averaged import Averaged
from symdiff.optimize.bfgs import BFGS, LBFGS
from symdiff.optimize.clip import Clip
from symdiff.optimize.constrained import ConstrainedResult
from symdiff.optimize.coordinate_descent import CoordinateDescent
from symdiff.optimize.gauss_newton import GaussNewton
from symdiff.optimize.gradient_descent import GradientDescent
from symdiff.optimize.lbfgs_b import LBFGSB
from symdiff.optimize.least_squares import least_squares
from symdiff.optimize.levenberg_marquardt import LevenbergMarquardt
from symdiff.optimize.methods import METHODS
from symdiff.optimize.minimize import minimize
from symdiff.optimize.newton import Newton
from symdiff.optimize.newton_cg import NewtonCG
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.progress import Progress
from symdiff.optimize.projected_gradient import ProjectedGradient
from symdiff.optimize.proximal import FISTA, ProximalGradient
from symdiff.optimize.random_search import RandomSearch
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rmsprop import RMSprop
from symdiff.optimize.rule import FirstOrder, Move, Rule
from symdiff.optimize.schedules import Cosine, InverseSqrt, InverseTime, Schedule, StepDecay, WarmUp
from symdiff.optimize.sgd import SGD
from symdiff.optimize.solver import Solver, solver
from symdiff.optimize.sparse_newton import SparseNewton
from symdiff.optimize.starts import MultiResult
from symdiff.optimize.svrg import SVRG
from symdiff.optimize.trust_region import TrustRegion
from symdiff.optimize.unroll import unroll

__all__ = [
    "BFGS",
    "FISTA",
    "LBFGS",
    "LBFGSB",
    "METHODS",
    "SGD",
    "SVRG",
    "Adagrad",
    "Adam",
    "AdamW",
    "AugmentedLagrangian",
    "Averaged",
    "Clip",
    "ConstrainedResult",
    "CoordinateDescent",
    "Cosine",
    "FirstOrder",
    "GaussNewton",
    "GradientDescent",
    "InverseSqrt",
    "InverseTime",
    "LevenbergMarquardt",
    "Move",
    "MultiResult",
    "Newton",
    "NewtonCG",
    "Objective",
    "OptimizeResult",
    "Point",
    "Progress",
    "ProjectedGradient",
    "ProximalGradient",
    "QuadraticPenalty",
    "RMSprop",
    "RandomSearch",
    "Rule",
    "Schedule",
    "Solver",
    "SparseNewton",
    "StepDecay",
    "TrustRegion",
    "WarmUp",
    "least_squares",
    "minimize",
    "solver",
    "unroll",
]
