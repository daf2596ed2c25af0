"""What all groups of options are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Literal[2, 4, 8, 16, 32]
Weight = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def check_odd(value: int) -> int:
    """Refuse an even number."""
    if value % 2 == 0:
        raise ValueError(f"must be odd, for example {value + 1}")
    return value


def check_folds(value: int) -> int:
    """Refuse a single fold: it would leave nothing to train on."""
    if value == 1:
        raise ValueError("must be 0, or 2 at the least: a single fold leaves nothing to train on")
    return value


class Options(BaseModel):
    """A group of options: unchangeable, and closed to misspelt names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
