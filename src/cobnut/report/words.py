"""Numbers and verdicts as a person writes them: as many digits as the number carries, and no more."""

import math
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from cobnut.evaluation.metrics import Confusion

THIN = "\u202f"  # narrow no-break space, between a number and its unit
NOTHING = "—"


def share(value: float) -> str:
    """A figure between 0 and 1: «0.94», with a third digit from 0.99 on, and «1.00» only when it is."""
    if 0.99 <= value < 1:
        return "> 0.999" if value >= 0.9995 else _rounded(value, 3)
    return _rounded(value, 2)


def percent(value: float) -> str:
    """A rate as percents: «60 %», «4.5 %», and «0 %» or «100 %» only when it is."""
    return f"{_percents(value)}{THIN}%"


def share_range(low: float, high: float) -> str:
    """An interval of figures: «0.81–0.97»."""
    return _range(share(low), share(high))


def percent_range(low: float, high: float) -> str:
    """An interval of rates: «52–71 %»."""
    return f"{_range(_percents(low), _percents(high))}{THIN}%"


def amount(value: float) -> str:
    """Any number with three significant digits and without an exponent where that can be read: «0.00123»."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else NOTHING
    power = math.floor(math.log10(abs(value)))
    if -4 <= power < 6:
        return f"{value:.{max(2 - power, 0)}f}"
    return f"{value / 10.0**power:.2f}{THIN}×{THIN}10{_raised(power)}"


def times(ratio: float) -> str:
    """How many times the threshold: «0.64», «2.1», «38»."""
    if ratio >= 9.95:
        return f"{min(ratio, 9999):.0f}"
    near = 0.95 <= ratio < 1.05
    return f"{ratio:.3f}" if near else f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"


def duration(seconds: float) -> str:
    """A wall time: «48 s», «12 min», «3 h 20 min»."""
    if seconds < 120:
        return f"{seconds:.0f}{THIN}s" if seconds >= 10 else f"{seconds:.1f}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes}{THIN}min"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def day(moment: date | str) -> str:
    """A date as «23 November 2026», from a date or ISO 8601; other text stays as it is."""
    try:
        known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        return str(moment)
    return f"{known.day} {known:%B %Y}"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number and its noun: «1 image», «2,300 images»."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def verdict(confusion: Confusion) -> str:
    """The whole evaluation in one plain sentence."""
    sentences = []
    if confusion.defective:
        sentences.append(_found(confusion.true_positive, confusion.defective))
    if confusion.good:
        sentences.append(_rejected(confusion.false_positive, confusion.good))
    if not confusion.defective:
        sentences.append("there was no defective part to find")
    if not confusion.good:
        sentences.append("there was no good part to judge")
    text = "; ".join(sentences)
    return f"{text[0].upper()}{text[1:]}."


def _found(found: int, defective: int) -> str:
    if defective == 1:
        return f"the one defective part was {'found' if found else 'missed'}"
    if found in (0, defective):
        return f"{'all' if found else 'none'} of {defective:,} defective parts {'were' if found else 'was'} found"
    return f"of {defective:,} defective parts {found:,} {'was' if found == 1 else 'were'} found"


def _rejected(rejected: int, good: int) -> str:
    if good == 1:
        return f"the one good part was {'rejected' if rejected else 'passed'}"
    if rejected in (0, good):
        return f"{'all' if rejected else 'none'} of {good:,} good ones {'were' if rejected else 'was'} rejected"
    return f"{rejected:,} of {good:,} good ones {'was' if rejected == 1 else 'were'} rejected"


def _range(low: str, high: str) -> str:
    """«0.81–0.97», and «0.999 to > 0.999» where a dash would read as an arrow."""
    return f"{low} to {high}" if "<" in low + high or ">" in low + high else f"{low}–{high}"


def _percents(value: float) -> str:
    if 0 < value < 0.0005:
        return "< 0.1"
    if 0.9995 <= value < 1:
        return "> 99.9"
    places = 2 if 0.0995 <= value <= 0.98 else 3
    percents = f"{100 * Decimal(_rounded(value, places)):f}"
    return percents.rstrip("0").rstrip(".") if "." in percents else percents


def _rounded(value: float, places: int) -> str:
    """Half up, as a person does it, so that 0.325 is 0.33 in one table and 33 % in the other."""
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
