"""One HTTP/1.1 request and its answer as bytes, for probes; bounded. Opens no connection.

It is small because a probe wants little: the status, and whether a text stands in the first part of the body.
(RFC 9112; a thousand of these a second are to cost the supervisor a fraction of a core.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_HEAD: Final = 16 << 10
"""Bytes of status line and headers, those of interim answers (1xx) included."""
MAX_BODY: Final = 64 << 10
"""Bytes of the body that are looked at; what follows them is not waited for."""
MOST: Final = MAX_HEAD + 2 * MAX_BODY
"""Bytes of all that is taken: chunks of one byte each do not make a body of 64 KiB."""
LONGEST_SIZE: Final = 1024
"""Bytes of the line that tells a chunk's size."""


class BadAnswer(Exception):
    """The peer does not speak HTTP, or too much of it; the text is a reason for people."""


def request(method: str, path: str, host: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request that ends with its answer; `host` as it stands in the Host header."""
    own = {"Host": host, "User-Agent": "pserv-probe", "Accept": "*/*", "Connection": "close"}
    given = {name.lower() for name in headers}
    rows = [f"{name}: {value}" for name, value in own.items() if name.lower() not in given]
    rows += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *rows, "", ""]).encode("utf-8", "surrogateescape")


class Answer:
    """What has come. `feed` it until `complete`, then read `status`, `phrase` and `body`."""

    __slots__ = (
        *("_begun", "_chunk", "_chunked", "_data", "_ended", "_length", "_taken"),
        *("body", "complete", "phrase", "status"),
    )

    def __init__(self, *, without_body: bool = False) -> None:
        """`without_body`: it answers HEAD."""
        self.status = 0
        self.phrase = ""
        self.body = bytearray()
        self.complete = False
        self._data = bytearray()
        self._taken = 0
        self._begun = False
        self._ended = False
        self._length: int | None = 0 if without_body else None
        self._chunked = False
        self._chunk: int | None = None
        """Bytes that are missing of the present chunk; None before its size is known."""

    @property
    def so_far(self) -> str:
        """What is missing, for a peer that does not go on."""
        if self._begun:
            return "the answer did not end"
        return "only a part of an answer" if self._taken else "no answer"

    def feed(self, data: bytes) -> bool:
        """Take more bytes, none at the end of the connection; whether it is complete. Raises BadAnswer."""
        self._taken += len(data)
        self._data += data
        self._ended = not data
        while not self._begun:
            if not self._head():
                return False
        self._look_at_body()
        return self.complete

    def _head(self) -> bool:
        """Take a whole head out of the data, if there is one."""
        end, blank = self._data.find(b"\r\n\r\n"), 4
        if end < 0:
            end, blank = self._data.find(b"\n\n"), 2
        if self._data and not b"HTTP/".startswith(self._data[:5]):
            raise BadAnswer(f"the answer is no HTTP: {shown(bytes(self._data[:40]))}")
        if end < 0:
            if self._ended:
                where = "within the headers" if self._taken else "without an answer"
                raise BadAnswer(f"the connection was closed {where}")
            if self._taken > MAX_HEAD:
                raise BadAnswer(f"the answer has headers of more than {MAX_HEAD >> 10} KiB")
            return False
        first, *rows = bytes(self._data[:end]).replace(b"\r\n", b"\n").split(b"\n")
        del self._data[: end + blank]
        self._status_line(first)
        if self.status >= 200 or self.status == 101:
            self._begun = True
            self._framing(rows)
        elif self._taken > MAX_HEAD:
            raise BadAnswer(f"the answer has headers of more than {MAX_HEAD >> 10} KiB")
        return True

    def _status_line(self, line: bytes) -> None:
        version, _, rest = line.partition(b" ")
        code, _, phrase = rest.strip().partition(b" ")
        if len(code) != 3 or not code.isdigit() or not version.startswith(b"HTTP/"):
            raise BadAnswer(f"the answer is no HTTP: {shown(line[:40])}")
        self.status = int(code)
        self.phrase = shown(phrase[:40].strip()) if phrase.strip() else ""

    def _framing(self, rows: list[bytes]) -> None:
        if self.status in (101, 204, 304):
            self._length = 0
        if self._length is not None:
            return
        for row in rows:
            name, _, value = row.partition(b":")
            name, value = name.strip().lower(), value.strip().lower()
            if name == b"transfer-encoding" and value.endswith(b"chunked"):
                self._chunked = True
            elif name == b"content-length" and value.isdigit() and len(value) < 18:
                self._length = int(value)

    def _look_at_body(self) -> None:
        if self._chunked:
            self._dechunk()
        else:
            room = MAX_BODY - len(self.body)
            self.body += self._data[: room if self._length is None else min(room, self._length - len(self.body))]
            self._data.clear()
            self.complete = self._length is not None and len(self.body) >= self._length
        self.complete = self.complete or self._ended or len(self.body) >= MAX_BODY or self._taken >= MOST

    def _dechunk(self) -> None:
        """Take the body out of its chunks, as far as they have come. Raises BadAnswer."""
        data = self._data
        while not self.complete and len(self.body) < MAX_BODY:
            if self._chunk:
                part = data[: self._chunk]
                self.body += part
                self._chunk -= len(part)
                del data[: len(part)]
                if self._chunk:
                    return
            end = data.find(b"\n")
            if end < 0:
                if len(data) > LONGEST_SIZE:
                    raise BadAnswer(f"the answer has a chunk without a size: {shown(bytes(data[:20]))}")
                return
            line = bytes(data[:end]).partition(b";")[0].strip()
            del data[: end + 1]
            if not line and self._chunk == 0:
                continue  # the line end after a chunk
            if not line.isalnum() or len(line) > 16 or line.lower().strip(b"0123456789abcdef"):
                raise BadAnswer(f"the answer has a chunk without a size: {shown(line[:20])}")
            self._chunk = int(line, 16)
            self.complete = self._chunk == 0


def verdict(answer: Answer, wanted: Iterable[str], text: str | None) -> tuple[bool, str]:
    """Whether the answer is as wanted (status codes and ranges, by default 200-399; a text in the body), in words."""
    told = f"http {answer.status} {answer.phrase}".rstrip()
    if not fits(answer.status, wanted):
        return False, told
    if text is not None and text.encode() not in answer.body:
        return False, f"{told}, without {shown(text.encode()[:40])} in its body"
    return True, told


def fits(status: int, wanted: Iterable[str]) -> bool:
    """Whether a status is one of `200`, `200-299`; of none: 200-399."""
    for span in tuple(wanted) or ("200-399",):
        low, _, high = span.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def shown(data: bytes) -> str:
    """Bytes of a stranger, in quotes where they are no plain words."""
    text = data.decode("utf-8", "replace")
    return text if text.replace(" ", "").replace("-", "").isalnum() and text.isascii() else ascii(text)
