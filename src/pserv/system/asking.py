"""One question of a probe that may hang in the kernel or in a library: asked in a fork of the keeper, by itself.

A name that no server resolves, a file on a dead mount, a regular expression that takes for ever: the alarm ends the
process, and until it has ended nobody but the probe that asked waits for it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time

from pserv.keeper import quickjson
from pserv.system import http_exchange
from pserv.system.http_exchange import Answer, BadAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

Asked = dict[str, "Any"]

_PIECE: Final = 1 << 16


def asker(sock: socket.socket, argument: str) -> int:
    """Answer one question with one JSON object, `{"ok", "detail"}` and what else it is about; the exit code.

    `argument` is JSON: `{"ask": KIND, "limit": seconds}` and the fields that the function of that kind reads.
    """
    asked = quickjson.loads(argument)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(asked["limit"], 0.001))
    sock.setblocking(True)
    try:
        answer = _KINDS[asked["ask"]](asked)
    except OSError as error:
        answer = {"ok": False, "detail": words(error)}
    try:
        sock.sendall(quickjson.dumps(answer).encode() + b"\n", getattr(socket, "MSG_NOSIGNAL", 0))
    except OSError:
        return 1  # nobody waits any more
    return 0


def words(error: OSError) -> str:
    """An error of the system as it stands within a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _file(asked: Asked) -> Asked:
    """`path`, `younger_than`: seconds or null."""
    path, limit = asked["path"], asked["younger_than"]
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {"ok": False, "detail": f"there is no {path}"}
    except OSError as error:
        return {"ok": False, "detail": f"cannot look at {path}: {words(error)}"}
    if limit is None:
        return {"ok": True, "detail": f"{path} is there"}
    age = max(0.0, time.time() - status.st_mtime)
    return {"ok": age <= limit, "detail": f"{path} was written {age:.1f} s ago"}


def _unix(asked: Asked) -> Asked:
    """`path` of a stream socket."""
    path = asked["path"]
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)  # a full queue is an answer, and no reason to wait
        try:
            sock.connect(path)
        except BlockingIOError:
            return {"ok": False, "detail": f"{path} takes no more connections: its queue is full"}
        except FileNotFoundError:
            return {"ok": False, "detail": f"there is no {path}"}
        except OSError as error:
            return {"ok": False, "detail": f"{words(error)} at {path}"}
    return {"ok": True, "detail": f"{path} accepts"}


def _resolve(asked: Asked) -> Asked:
    """`host`; the answer has `addresses`, numeric."""
    host = asked["host"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return {"ok": False, "detail": f"cannot resolve {host}: {words(error)}", "addresses": []}
    addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
    return {"ok": bool(addresses), "detail": f"{host} has no address", "addresses": addresses}


def _log(asked: Asked) -> Asked:
    """`pattern`, `run`, and `files`: of each `key`, `path`, `start` (offset of the run's first byte), `after` (place).

    The answer has `at`: by key the place to which each was searched; what stands before it need not be searched again.
    """
    import re  # not for the keeper, of which this is a fork

    from pserv.system.searching import search

    pattern = re.compile(asked["pattern"])
    at: dict[str, str] = {}
    for file in asked["files"]:
        line, at[file["key"]] = search(pattern, file["path"], asked["run"], file["start"], file["after"])
        if line is not None:
            return {"ok": True, "detail": f"printed {line[:200]!r}", "at": at}
    return {"ok": False, "detail": f"no line matches {asked['pattern']!r} yet", "at": at}


def _https(asked: Asked) -> Asked:
    """`host`, `addresses`, `port`, `verify`, and of the exchange `method`, `path`, `headers`, `status`, `body`."""
    answer = Answer(without_body=asked["method"] == "HEAD")
    try:
        with _encrypted(asked) as connection:
            connection.sendall(exchanged(asked))
            while not answer.complete:
                answer.feed(connection.recv(_PIECE))
    except BadAnswer as error:
        return {"ok": False, "detail": str(error)}
    ok, detail = http_exchange.verdict(answer, asked["status"], asked["body"])
    return {"ok": ok, "detail": detail}


def exchanged(asked: Asked) -> bytes:
    """The request of an http probe."""
    host, port = asked["host"], asked["port"]
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[asked["scheme"]]
    shown = shown if port == usual else f"{shown}:{port}"
    return http_exchange.request(asked["method"], asked["path"], shown, asked["headers"])


def _encrypted(asked: Asked) -> Any:
    """A TLS connection to the first address that accepts one. Raises OSError (of it ssl.SSLError) in words."""
    import ssl

    context = ssl.create_default_context()
    if not asked["verify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    refused = OSError(errno.EADDRNOTAVAIL, "no address")
    for address in asked["addresses"]:
        try:
            plain = socket.create_connection((address, asked["port"]))
        except OSError as error:
            refused = OSError(error.errno, f"{words(error)} at {place(address, asked['port'])}")
            continue
        try:
            return context.wrap_socket(plain, server_hostname=asked["host"])
        except ssl.SSLCertVerificationError as error:
            raise OSError(errno.EPROTO, f"the certificate is not accepted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, f"no TLS connection: {error.reason or error.strerror}") from None
    raise refused


def place(address: str, port: int) -> str:
    """An address and port as people write them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_KINDS: Final = {"file": _file, "unix": _unix, "resolve": _resolve, "log": _log, "https": _https}
