"""The configuration as the short-lived loader reads it: YAML is never imported into the process that stays."""

from __future__ import annotations

import os
import signal
import sys

from pserv import sparing
from pserv.keeper import quickjson
from pserv.model.errors import PservError
from pserv.model.names import is_pattern, no_such
from pserv.system import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def document(files: list[str], state_dir: str, loading: Loading) -> dict[str, Any]:
    """The accepted document as plain data. Raises InvalidConfig with all mistakes."""
    answer = loading.answer()
    if "document" in answer:
        return dict(answer["document"])
    on_invalid = answer.get("on_invalid", "refuse")
    if on_invalid == "skip-service":
        again = Loading(files, skip_invalid=True).answer()
        if "document" in again:
            return dict(again["document"])
    if on_invalid == "last-good":
        kept = store.last_good(state_dir)
        if kept:
            document: dict[str, Any] = quickjson.loads(kept.decode())
            document["notes"] = [
                f"{files[0]} has mistakes, so the last good configuration runs; `pserv check` shows them"
            ]
            return document
    raise _invalid(answer["mistakes"])


def _invalid(rows: list[dict[str, Any]]) -> PservError:
    from pserv.model.mistakes import InvalidConfig, Mistake  # late: msgspec is for the supervisor's memory

    return InvalidConfig(tuple(Mistake(**row) for row in rows))


class Loading:
    """One run of the loader beside us. A fork, which need not start an interpreter: half of the time that it takes."""

    def __init__(self, files: list[str], *, skip_invalid: bool = False) -> None:
        self._answer, write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _load(files, skip_invalid, write_end)
        os.close(write_end)

    def answer(self) -> dict[str, Any]:
        """What it said: `{"document"}` or `{"mistakes"}`. Raises PservError when it said nothing."""
        chunks = []
        while chunk := os.read(self._answer, 1 << 20):
            chunks.append(chunk)
        status = self._end()
        try:
            answer: dict[str, Any] = quickjson.loads(b"".join(chunks).decode())
        except ValueError:
            raise PservError(f"cannot load the configuration: the loader ended with status {status}") from None
        return answer

    def abandon(self) -> None:
        """Its answer is not wanted any more."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._end()

    def _end(self) -> int:
        os.close(self._answer)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return status


def _load(files: list[str], skip_invalid: bool, fd: int) -> NoReturn:
    """Be the loader, in a child."""
    code = 1
    try:
        sparing.load_without_patterns(_modules)
        from pserv.config import loader

        asked = loader.Request(tuple(files), skip_invalid=skip_invalid)
        reply, code = loader.answer(asked, environ=os.environ, cwd=os.getcwd(), uid=os.geteuid())
        with open(fd, "wb") as answer:
            answer.write(reply)
    except KeyboardInterrupt:
        pass  # our parent says what there is to say
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _modules() -> None:
    sparing.load_msgspec()
    from pserv.config import loader, yaml_nodes  # noqa: F401


def check_names(names: list[str], document: dict[str, Any]) -> None:
    """Raises NoSuchService for a name that is neither a service nor stands for several (a tag, a glob)."""
    services, left_out = document.get("services", {}), document.get("left_out", {})
    for name in names:
        if name not in services and not is_pattern(name):
            raise no_such(name, services, left_out=left_out, verb="start")


def main() -> int:
    """The program that a reload runs, by its file: what -m imports to find it takes 10 ms."""
    sparing.load_without_patterns(_modules)
    from pserv.config import loader

    return loader.main()


if __name__ == "__main__":
    sys.exit(main())
