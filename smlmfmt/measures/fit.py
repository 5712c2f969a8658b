"""Least squares for a handful of parameters (Levenberg and Marquardt), with limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smlmfmt.measures.rows import Floats

__all__ = ["least_squares"]

STEPS_MAX = 200
STEP = 1e-6
TOLERANCE = 1e-10


def least_squares(
    residuals: Callable[[Floats], Floats], start: Floats, *, low: Floats, high: Floats
) -> tuple[Floats, float]:
    """Return the parameters that make the sum of squared residuals least, and that sum.

    Args:
        residuals: From parameters, shape (p,), to residuals, shape (n,), n >= p.
        start: Where to begin; clipped to the limits.
        low: Least values of the parameters.
        high: Greatest values.

    Source:
        Marquardt, J. SIAM 11, 431 (1963), scaling each step by the diagonal; parameters at a
        limit are held there by clipping.
    """
    found = np.clip(start, low, high)
    errors = residuals(found)
    cost, damping = float(errors @ errors), 1e-3
    for _ in range(STEPS_MAX):
        slopes = _slopes(residuals, found, errors)
        normal, downhill = slopes.T @ slopes, -slopes.T @ errors
        scale = np.diag(normal) + 1e-12 * max(float(np.trace(normal)), 1e-300)
        step = np.linalg.solve(normal + damping * np.diag(scale), downhill)
        trial = np.clip(found + step, low, high)
        trial_errors = residuals(trial)
        trial_cost = float(trial_errors @ trial_errors)
        if trial_cost < cost:
            is_settled = cost - trial_cost <= TOLERANCE * cost
            found, errors, cost, damping = trial, trial_errors, trial_cost, damping / 5
            if is_settled:
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return found, cost


def _slopes(residuals: Callable[[Floats], Floats], at: Floats, errors: Floats) -> Floats:
    columns = []
    for index in range(at.size):
        near = at.copy()
        near[index] += STEP
        columns.append((residuals(near) - errors) / STEP)
    return np.stack(columns, axis=1)
