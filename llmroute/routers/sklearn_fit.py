"""Fitting scikit-learn's estimators: on one thread, for a fixed number of rounds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy.typing as npt


def fitted(estimator: Any, inputs: npt.NDArray[Any], target: npt.NDArray[Any]) -> Any:
    """The estimator, fitted; near enough after its rounds, converged or not."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # The products are so small that threads wait for one another longer than they work.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(inputs, target)
