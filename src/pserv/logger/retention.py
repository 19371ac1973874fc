"""Which rotated files are too many, too old or too large together, and their removal. Nothing is rotated here."""

from __future__ import annotations

import os
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.logger.calls import Calls
    from pserv.logger.rotated import Rotated
    from pserv.logger.rotation import Rules


def surplus(files: list[Rotated], rules: Rules, now: float, size: Callable[[Rotated], int]) -> list[Rotated]:
    """Those of a family (the oldest first) that are to go. `size` is asked only where there is a limit on the total,
    which counts the active file with the most that it may have."""
    numbers = sorted({one.number for one in files})
    lowest = -1
    if rules.keep is not None and len(numbers) > rules.keep:
        lowest = numbers[-rules.keep] if rules.keep else numbers[-1] + 1
    gone = {one.number for one in files if one.number < lowest or (rules.max_age and one.last < now - rules.max_age)}
    if rules.max_total:
        left = rules.max_total - rules.size
        for one in reversed(files):
            left -= size(one)
            if left < 0:
                gone.update(number for number in numbers if number <= one.number)
                break
    return [one for one in files if one.number in gone]


def remove(folder: str, files: list[Rotated], calls: Calls) -> None:
    """Remove files; who removed one before is no matter. Raises OSError for the first that cannot be, after all others
    were."""
    failure: OSError | None = None
    for one in files:
        try:
            calls.unlink(os.path.join(folder, one.name))
        except FileNotFoundError:
            pass
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def size_in(folder: str, calls: Calls) -> Callable[[Rotated], int]:
    """What tells the bytes of a file of that folder, 0 for one that is gone."""

    def size(one: Rotated) -> int:
        try:
            return calls.stat(os.path.join(folder, one.name)).st_size
        except OSError:
            return 0

    return size
