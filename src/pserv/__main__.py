"""The `pserv` command and `python -m pserv`."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line of this process and ends it."""
    if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:
        # Inherited from who waits for nobody: our children's exit codes would be lost.
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    try:
        from pserv.cli.main import main as run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while we import, or tell of another
        code = 130
    sys.stderr.flush()
    # All is written; to take the interpreter apart would take a tenth of the time of `pserv status`.
    os._exit(code)


if __name__ == "__main__":
    main()
