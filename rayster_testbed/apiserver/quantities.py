"""Kubernetes quantities (`500m`, `16Gi`, `1e3`): syntax and value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
BAD_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def parse_quantity(value: Any) -> Decimal:
    """The value of a quantity in its base unit (cores, bytes, pieces). Raises ValueError with the server's words."""
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if match is None or isinstance(value, bool):
        raise ValueError(BAD_QUANTITY)
    digits, exponent, suffix = match.groups()
    try:
        number = Decimal(digits + (exponent or ""))
        if suffix in _BINARY:
            return number * 1024 ** _BINARY[suffix]
        return number.scaleb(_DECIMAL[suffix]) if suffix else number
    except ArithmeticError:
        raise ValueError(BAD_QUANTITY) from None
