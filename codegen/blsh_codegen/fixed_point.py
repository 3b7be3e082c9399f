"""Integer arithmetic that the references of both kinds of model share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


def bit_length(values: Int64Array) -> Int64Array:
    """Position of the highest set bit plus one, of values below 2**53; 0 for 0."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
