"""All problems, in the order of the paper."""

from demos.mgh.small import SMALL
from demos.mgh.variable import VARIABLE

PROBLEMS = (*SMALL, *VARIABLE)
