"""Model selection: cross-validation, grid and random search, Bayesian optimisation, early stopping."""

from symdiff.models.selection.bayes import (
    BayesResult,
    BayesSearchCV,
    bayes_minimize,
    expected_improvement,
    lower_confidence_bound,
    probability_of_improvement,
)
from symdiff.models.selection.early_stopping import EarlyStopping
from symdiff.models.selection.folds import Folds, KFold, StratifiedKFold
from symdiff.models.selection.search import GridSearchCV, RandomizedSearchCV, Search
from symdiff.models.selection.space import Choice, Integer, Real
from symdiff.models.selection.validation import clone, cross_val_score, cross_validate

__all__ = [
    "BayesResult",
    "BayesSearchCV",
    "Choice",
    "EarlyStopping",
    "Folds",
    "GridSearchCV",
    "Integer",
    "KFold",
    "RandomizedSearchCV",
    "Real",
    "Search",
    "StratifiedKFold",
    "bayes_minimize",
    "clone",
    "cross_val_score",
    "cross_validate",
    "expected_improvement",
    "lower_confidence_bound",
    "probability_of_improvement",
]
