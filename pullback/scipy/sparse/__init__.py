"""SciPy's solvers for large linear systems."""

from pullback.scipy.sparse import linalg as linalg
