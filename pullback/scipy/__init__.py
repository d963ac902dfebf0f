"""SciPy's special functions, linear algebra and normal distribution."""

from pullback.scipy import linalg as linalg
from pullback.scipy import sparse as sparse
from pullback.scipy import special as special
from pullback.scipy import stats as stats
