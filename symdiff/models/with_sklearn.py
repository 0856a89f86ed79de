"""What scikit-learn asks an estimator for. Imported only where scikit-learn is in use.

Its error and warning classes are joined with ours, so that both `except` clauses catch them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sklearn.exceptions
from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags, TransformerTags

from symdiff.ir import errors
from symdiff.models import checks

if TYPE_CHECKING:
    from symdiff.models.estimator import Estimator


class NotFittedError(errors.NotFittedError, sklearn.exceptions.NotFittedError):
    """A model that is asked before `fit`."""


class DataConversionWarning(checks.DataConversionWarning, sklearn.exceptions.DataConversionWarning):
    """Data are read in another form than they were given in."""


def tags(who: Estimator) -> Tags:
    """Return scikit-learn's description of an estimator."""
    return Tags(
        estimator_type=who.kind,
        target_tags=TargetTags(required=who.kind in ("classifier", "regressor")),
        classifier_tags=ClassifierTags() if who.kind == "classifier" else None,
        regressor_tags=RegressorTags() if who.kind == "regressor" else None,
        transformer_tags=TransformerTags() if who.kind == "transformer" else None,
        input_tags=InputTags(sparse=who.takes_sparse, pairwise=who.is_pairwise),
    )
