"""Terminal sequences in bytes (ECMA-48), and how to be rid of them. Imported only where that is wanted."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor
    rb"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # strings: window titles, links
    rb"|[ -/]*[0-~]"  # everything else: character sets, save and restore
    rb")?"
)


def strip(data: bytes) -> bytes:
    """The bytes without escape sequences; one that is not finished goes as far as it is seen to be one."""
    return _SEQUENCE.sub(b"", data)
