"""How a column's values become small whole numbers (codes), and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError

__all__ = ["BITS", "Carry", "Encoding", "Survey", "choose", "log_steps"]

Codes: TypeAlias = npt.NDArray[np.uint32]
Floats: TypeAlias = npt.NDArray[np.float64]
Scale: TypeAlias = Literal["linear", "log"]

BITS = (8, 16, 24, 32)
LOG_BITS_MAX = 16
LOG_FROM_RATIO = 100.0  # Positive values that span more than this are carried by their logarithm.
STEP_LEAST = 1e-290  # Finer steps lose bits to denormal numbers.
MISSING = 0
NOT_POSITIVE = 1  # Only under a logarithm.
KEY_SHIFT = 42  # Leaves sign, exponent and ten bits of a float64 (also in kernels.encode_log).


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """How to carry a column: None leaves the choice to what the column holds."""

    scale: Scale | None = None
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.scale not in (None, "linear", "log") or self.bits not in (None, *BITS):
            raise FormatError(f"a column is carried linear or log in 8, 16, 24 or 32 bits: {self}")
        if self.scale == "log" and self.bits not in (None, 8, 16):
            raise FormatError(f"a logarithm is carried in 8 or 16 bits, got {self.bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a first reading finds in a column; beyond 1e150 a value counts as missing."""

    rows: int
    finite: int = 0
    nonpositive: int = 0
    low: float = math.inf
    low_positive: float = math.inf
    high: float = -math.inf
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Codes of one column: 0 is missing, `codes` codes from `first` on are values from lo to hi.

    Attributes:
        scale: "linear": equal steps. "log": equal factors; code 1 then stands for all values that
            are not positive.
        codes: 1 if all values are equal, but for differences of less than 1e-290.
        error: The farthest that a decoded value lies from the true one: absolute if linear,
            relative if log (for positive values). 0 if exact.
    """

    scale: Scale
    bits: int
    codes: int
    lo: float
    hi: float

    @property
    def first(self) -> int:
        """The code of lo."""
        return 2 if self.scale == "log" else 1

    @property
    def last(self) -> int:
        """The code of hi."""
        return self.first + self.codes - 1

    @property
    def step(self) -> float:
        """The step of a linear encoding; 1 if there is only one value."""
        return (self.hi - self.lo) / (self.codes - 1) if self.codes > 1 else 1.0

    @property
    def log_step(self) -> float:
        """The natural logarithm of the factor between codes; 1 if there is only one value."""
        if self.codes == 1:
            return 1.0
        # Not the logarithm of a quotient, which may be too large for a number.
        return (math.log(self.hi) - math.log(self.lo)) / (self.codes - 1)

    @property
    def error(self) -> float:
        """How far a decoded value may lie from the true one."""
        if self.codes == 1:
            return self.hi - self.lo
        if self.scale == "log":
            return math.expm1(self.log_step / 2)
        is_exact = self.step == 1.0 and self.lo == math.floor(self.lo)
        return 0.0 if is_exact else self.step / 2

    def at(self, index: npt.NDArray[Any]) -> Floats:
        """Return the values at places on the scale: 0 is lo, codes - 1 is hi."""
        if self.scale == "log":
            return np.asarray(np.exp(math.log(self.lo) + index * self.log_step))
        return np.asarray(self.lo + index * self.step)

    def decode(self, codes: npt.NDArray[Any]) -> Floats:
        """Return the values of codes; a missing one is NaN, one that is not positive is 0."""
        values = self.at(codes.astype(np.float64) - self.first)
        if self.scale == "log":
            values[codes == NOT_POSITIVE] = 0.0
        values[codes == MISSING] = np.nan
        return values


def choose(found: Survey, carry: Carry) -> Encoding:
    """Return the encoding for a column: exact where whole numbers fit, else as fine as the bits.

    Without a wish, whole numbers take as many bits as they need; other numbers take 16, as a
    logarithm if they are positive and span more than LOG_FROM_RATIO.
    """
    if not found.finite:
        return Encoding(scale="linear", bits=carry.bits or 8, codes=1, lo=0.0, hi=0.0)
    has_log = STEP_LEAST < found.low_positive < math.inf  # Denormal numbers have few digits.
    is_wide = not found.nonpositive and found.high / found.low_positive > LOG_FROM_RATIO
    span = found.high - found.low + 1
    fits = [b for b in BITS if span <= 2.0**b - 1] if found.is_whole else []
    if carry.bits:
        fits = [b for b in fits if b <= carry.bits]
    # What fits in the bits that a logarithm would take is better carried exactly.
    if fits and (carry.scale != "log" or fits[0] <= (carry.bits or 8)):
        bits = carry.bits or fits[0]
        return Encoding(scale="linear", bits=bits, codes=int(span), lo=found.low, hi=found.high)
    is_log = carry.scale == "log" or (carry.scale is None and is_wide and not found.is_whole)
    if is_log and has_log and (carry.bits or 8) <= LOG_BITS_MAX:
        bits = carry.bits or 16
        codes = 2**bits - 2 if found.high > found.low_positive else 1
        return Encoding(scale="log", bits=bits, codes=codes, lo=found.low_positive, hi=found.high)
    bits = carry.bits or (32 if found.is_whole else 16)
    step = (found.high - found.low) / (2**bits - 2)
    # Steps finer than the numbers themselves would not be equal.
    is_fine = step > max(STEP_LEAST, 4 * math.ulp(max(abs(found.low), abs(found.high))))
    codes = 2**bits - 1 if is_fine else _whole_steps(found)
    return Encoding(scale="linear", bits=bits, codes=codes, lo=found.low, hi=found.high)


def _whole_steps(found: Survey) -> int:
    """Return how many values a range of a few of the numbers' own steps holds."""
    ulp = max(STEP_LEAST, math.ulp(max(abs(found.low), abs(found.high))))
    return max(1, int(min((found.high - found.low) / ulp, 250.0)) + 1)


def log_steps(encoding: Encoding) -> tuple[Floats, npt.NDArray[np.int32], int]:
    """Return where the codes of a logarithm change, and a table that finds them fast.

    The steps are the same on every machine: made by decimal arithmetic and single products.

    Returns:
        steps: Shape (codes - 1,): the code is 2 + how many of them a value has reached.
        guess: Shape (keys + 1,): how many steps are at or below each key's least value.
        key: The first key: bits 42 to 63 of the value of least code.
    """
    count = encoding.codes - 1
    steps = np.empty(0)
    if count:
        with localcontext() as context:
            context.prec = 40
            factor = (Decimal(encoding.hi) / Decimal(encoding.lo)).ln() / count
            coarse = [(factor * (256 * i + Decimal("0.5"))).exp() for i in range(count // 256 + 1)]
            fine = [(factor * i).exp() for i in range(256)]
            heads = [float(Decimal(encoding.lo) * value) for value in coarse]
        steps = np.multiply.outer(heads, [float(value) for value in fine]).ravel()[:count]
        steps = np.maximum.accumulate(steps)
    first, last = (np.array([v]).view(np.int64)[0] >> KEY_SHIFT for v in (encoding.lo, encoding.hi))
    edges = (np.arange(first, last + 2, dtype=np.int64) << KEY_SHIFT).view(np.float64)
    guess = np.searchsorted(steps, edges, side="right").astype(np.int32)
    guess[-1] = count
    return steps, guess, int(first)
