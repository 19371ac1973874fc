"""Durations, sizes, signals and permission bits: from what a user writes to values, and back. Knows no options.

Every `parse_` raises ValueError with a reason that reads on after the written text: "'10x' is not a duration: …".
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing and signal are for who needs them: 10 ms of every command
if TYPE_CHECKING:
    from typing import Final

DURATION_FORMS: Final = "500ms, 10s, 5m, 2h, 1d, 1h30m, or a number of seconds"
SIZE_FORMS: Final = "64KB, 10MB, 1GiB, or a number of bytes"
RATE_FORMS: Final = "10000/s, 600/m, 100/h, or a number a second"
SIGNAL_FORMS: Final = "TERM, SIGTERM, 15, or RTMIN+1"
OCTAL_FORMS: Final = "022, 0640, or 0o22"

LONGEST: Final = 36_500 * 86_400.0
"""No duration is longer than a hundred years: deadlines stay exact and far from overflow."""

_SECONDS: Final = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}
_DIGITS: Final = frozenset("0123456789")
_NUMERIC: Final = _DIGITS | {".", "_"}


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `10s`, `1h30m`, `1h 30m`, or of a bare number of seconds (`0.5`, `1e3`)."""
    stripped = text.strip()
    if stripped.startswith("-"):
        raise ValueError(f"{text!r} is negative")
    try:
        seconds = parse_number(stripped)
    except ValueError:
        seconds = _sum_of_parts(text, stripped)
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is too long: at most 36500d")
    return seconds


def parse_number(text: str) -> float:
    """A decimal number as YAML 1.2 and TOML know it; float() alone takes 'nan', 'inf' and other scripts' digits."""
    if not text or not _DIGITS.issuperset(text.translate({ord(c): "" for c in "._eE+-"})):
        raise ValueError(text)
    return float(text)


def _sum_of_parts(text: str, rest: str) -> float:
    seconds = 0.0
    wrong = ValueError(f"{text!r} is not a duration")
    if not rest:
        raise wrong
    while rest:
        digits = _length(rest, _NUMERIC)
        after = rest[digits:].lstrip()
        letters = _length(after, None)
        factor = _SECONDS.get(after[:letters].lower())
        if not digits or factor is None:
            raise wrong
        try:
            # Division keeps 500ms exact where 500 * 0.001 would not be.
            number = parse_number(rest[:digits])
        except ValueError:
            raise wrong from None
        seconds += number / 1000 if factor == 0.001 else number * factor
        rest = after[letters:].lstrip()
    return seconds


def _length(text: str, of: frozenset[str] | None) -> int:
    """How many characters at the beginning are in `of`; ASCII letters where that is None."""
    for position, char in enumerate(text):
        if not (char in of if of is not None else char.isascii() and char.isalpha()):
            return position
    return len(text)


def write_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as this: `10s`, `1h30m`, `500ms`."""
    if seconds == int(seconds) and seconds < LONGEST:
        whole, parts = int(seconds), ""
        for name, size in (("d", 86_400), ("h", 3600), ("m", 60)):
            count, whole = divmod(whole, size)
            parts += f"{count}{name}" if count else ""
        return parts + (f"{whole}s" if whole or not parts else "")
    milliseconds = seconds * 1000
    if milliseconds < 1000 and milliseconds == int(milliseconds):
        return f"{int(milliseconds)}ms"
    return f"{seconds!r}s" if "e" not in repr(seconds) else repr(seconds)


def show_duration(seconds: float) -> str:
    """For people, two units at most: `20 ms`, `1.5 s`, `3 min`, `2 h 5 min`, `4 d`."""
    if seconds < 0:
        return f"-{show_duration(-seconds)}"
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for name, size, next_name, next_size in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            count, rest = whole // size, whole % size // next_size
            return f"{count} {name} {rest} {next_name}" if rest else f"{count} {name}"
    return f"{whole} s"


_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def parse_size(text: str) -> int:
    """Bytes of `64KB`, `1GiB`, `1.5M`; the factor is 1024 with or without the i, as in systemd and supervisord."""
    stripped = text.strip()
    if stripped.startswith("-"):
        raise ValueError(f"{text!r} is negative")
    digits = _length(stripped, _NUMERIC)
    suffix = stripped[digits:].lstrip().upper().removesuffix("B").removesuffix("I")
    power = _POWERS.get(suffix)
    if power is None or (not suffix and stripped[digits:].strip().upper() not in {"", "B"}):
        raise ValueError(f"{text!r} is not a size")
    try:
        number = stripped[:digits]
        # Whole numbers stay whole: a float has 53 bits.
        size = (int(number) if _DIGITS.issuperset(number[:30]) else parse_number(number)) * 1024**power
    except ValueError:
        raise ValueError(f"{text!r} is not a size") from None
    if size >= 2**63:
        raise ValueError(f"{text!r} is too large: at most 8192PB")
    return int(size)


def write_size(size: int) -> str:
    """The shortest text that `parse_size` reads as this: `10MB`, `1536`."""
    for name in ("P", "T", "G", "M", "K"):
        factor = 1024 ** _POWERS[name]
        if size and size % factor == 0:
            return f"{size // factor}{name}B"
    return str(size)


def show_size(size: float) -> str:
    """For people: `512 B`, `9.8 KB`, `64 MB`, `1.2 GB`."""
    number, names = float(size), ["B", "KB", "MB", "GB", "TB", "PB"]
    while number >= 999.5 and len(names) > 1:
        number /= 1024
        names.pop(0)
    if names[0] == "B" or number >= 9.95:
        return f"{number:.0f} {names[0]}"
    return f"{number:.1f}".removesuffix(".0") + f" {names[0]}"


_PERIODS: Final = {"s": 1, "m": 60, "h": 3600}


def parse_rate(text: str) -> float:
    """So many a second, of `10000/s`, `600/m`, `100/h`, or a number a second."""
    number, slash, period = text.strip().partition("/")
    name = period.strip().lower()
    name = (
        name
        if name in ("s", "m", "h")
        else {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h"}.get(name, "")
    )
    try:
        count = parse_number(number.strip().replace("_", ""))
    except ValueError:
        raise ValueError(f"{text!r} is not a rate") from None
    if (slash and not name) or number.strip().startswith("-"):
        raise ValueError(f"{text!r} is not a rate")
    if count > 1e9:
        raise ValueError(f"{text!r} is too much: at most 1e9/s")
    return count / _PERIODS[name or "s"]


def write_rate(rate: float) -> str:
    """The shortest text that `parse_rate` reads as this: `10000/s`, `600/m`."""
    for name, seconds in _PERIODS.items():
        count = round(rate * seconds)
        if count and count / seconds == rate:
            return f"{count}/{name}"
    return f"{rate!r}/s"


def parse_signal(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `15`, `RTMIN+1`, `RTMAX-1`."""
    import signal

    name = text.strip().upper().removeprefix("SIG")
    if name and _DIGITS.issuperset(name):
        number = int(name[:4])
        if not 1 <= number <= int(signal.SIGRTMAX if hasattr(signal, "SIGRTMAX") else signal.NSIG - 1):
            raise ValueError(f"{text!r} is not a signal of this system")
        return number
    named = getattr(signal, f"SIG{name}", None)
    if isinstance(named, signal.Signals):
        return int(named)
    if name.startswith(("RTMIN+", "RTMAX-")) and _DIGITS.issuperset(name[6:]) and name[6:]:
        offset = int(name[6:][:4])
        number = int(signal.SIGRTMIN) + offset if name[3:5] == "IN" else int(signal.SIGRTMAX) - offset
        if int(signal.SIGRTMIN) <= number <= int(signal.SIGRTMAX):
            return number
    raise ValueError(f"{text!r} is not a signal")


def show_signal(number: int) -> str:
    """`TERM`, `RTMIN+1`; a number that has no name stays one."""
    import signal

    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        low, high = getattr(signal, "SIGRTMIN", 0), getattr(signal, "SIGRTMAX", 0)
        return f"RTMIN+{number - low}" if low < number < high else str(number)


def signal_names() -> list[str]:
    """The names that `parse_signal` knows here, without SIG, for suggestions."""
    import signal

    return [each.name.removeprefix("SIG") for each in signal.Signals]


def parse_octal(text: str) -> int:
    """Permission bits of `022`, `0640`, `0o22`: octal however it is written."""
    digits = text.strip().lower().removeprefix("0o")
    if not digits or not frozenset("01234567").issuperset(digits):
        raise ValueError(f"{text!r} is not an octal number")
    if len(digits.lstrip("0")) > 4:
        raise ValueError(f"{text!r} is too large: at most 7777")
    return int(digits, 8)


def show_octal(bits: int) -> str:
    """`022`, `0640`; what `parse_octal` reads."""
    return f"0{bits:o}"
