"""The command `init`: a starter pserv.yaml from what is in the folder. What is found there is read in `convert`."""

from __future__ import annotations

import os

from pserv.cli import terminal
from pserv.config import places

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pserv.cli.parse import Arguments
    from pserv.convert.starter import Starter
    from pserv.model.mistakes import Mistake


def init(arguments: Arguments) -> int:
    """Writes the file and tells what it took from where; never over another one."""
    path = _target(arguments)
    if not arguments.flag("force"):
        _refuse_existing(path, named=bool(arguments.texts("config")))
    from pserv.convert.starter import make

    folder = os.path.dirname(path)
    starter = make(folder, os.environ, _checked(folder))
    _write(path, starter.text, over=arguments.flag("force"))
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(_document(path, starter))
    else:
        _tell(path, starter)
    return 0


def _target(arguments: Arguments) -> str:
    from pserv.model.errors import UsageError

    named = arguments.texts("config")
    if len(named) > 1:
        raise UsageError("cannot write a starter: several files are named", "pserv init -c FILE")
    path = os.path.abspath(named[0] if named else places.FILE_NAMES[0])
    if os.path.isdir(path):
        path = os.path.join(path, places.FILE_NAMES[0])
    if not path.endswith((".yaml", ".yml")):
        raise UsageError(f"cannot write {path}: a starter is YAML", "pserv init -c NAME.yaml")
    if not os.path.isdir(os.path.dirname(path)):
        raise UsageError(f"cannot write {path}: there is no folder {os.path.dirname(path)}", "mkdir -p it first")
    return path


def _refuse_existing(path: str, *, named: bool) -> None:
    from pserv.model.errors import UsageError

    folder = os.path.dirname(path)
    others = () if named else places.FILE_NAMES
    for there in (path, *(os.path.join(folder, name) for name in others)):
        if os.path.lexists(there):
            short = os.path.relpath(there)
            raise UsageError(
                f"cannot write {os.path.relpath(path)}: there is a {short} already",
                "pserv check reads it; write another one with -c FILE, or over it with --force",
            )


def _checked(folder: str) -> Callable[[str], Sequence[Mistake]]:
    """The mistakes that `pserv check` would find in a text that stands in this folder."""
    import tempfile

    import msgspec

    def mistakes(text: str) -> Sequence[Mistake]:
        from pserv.config.loader import load
        from pserv.model.mistakes import InvalidConfig

        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".pserv-init-", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            try:
                load([file.name], environ=os.environ, cwd=folder, uid=os.geteuid(), profiles=("*",))
            except InvalidConfig as error:
                return [msgspec.structs.replace(m, file="") if m.file == file.name else m for m in error.mistakes]
        return ()

    try:
        tempfile.NamedTemporaryFile(dir=folder, prefix=".pserv-init-").close()
    except OSError as error:
        raise _not_written(folder, error) from None
    return mistakes


def _write(path: str, text: str, *, over: bool) -> None:
    """All of it or nothing; without `over` no file that came meanwhile is lost."""
    import contextlib
    import tempfile

    try:
        if over:
            with tempfile.NamedTemporaryFile(
                "w", dir=os.path.dirname(path), prefix=".pserv-init-", delete=False
            ) as file:
                file.write(text)
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
            return
        with open(path, "x", encoding="utf-8") as new:
            try:
                new.write(text)
                new.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                raise
    except OSError as error:
        raise _not_written(path, error) from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _not_written(path: str, error: OSError) -> Exception:
    from pserv.model.errors import PservError

    return PservError(f"cannot write {path}: {error.strerror}", "name another place with -c FILE")


def _document(path: str, starter: Starter) -> dict[str, object]:
    return {
        "file": path,
        "services": [
            {"name": entry.name, "from": entry.origin, "declared": not entry.off, "why": entry.off,
             "remarks": entry.remarks} for entry in starter.entries
        ],
        "not_taken": starter.remarks,
    }  # fmt: skip


def _tell(path: str, starter: Starter) -> None:
    screen = terminal.out()
    shown = os.path.relpath(path)
    named = "" if shown in places.FILE_NAMES else f" -c {shown}"
    declared = [entry for entry in starter.entries if not entry.off]
    if not starter.entries:
        screen.line(f"{shown}: an example, as nothing here says what to run")
    else:
        number = "1 service" if len(declared) == 1 else f"{len(declared)} services"
        screen.line(f"{shown}: {number}")
    width = max((len(entry.name) for entry in starter.entries), default=0)
    for entry in starter.entries:
        mark = screen.symbol("✓") if not entry.off else screen.symbol("○")
        line = f"  {mark} {entry.name:{width}}  from {entry.origin}"
        screen.line(f"{line}; only as a comment: {entry.off}" if entry.off else line)
        for remark in entry.remarks:
            screen.line(f"    {' ' * width}{screen.paint(remark, 'dim')}")
    for remark in starter.remarks:
        screen.line(f"  {remark}")
    terminal.tell(f"next: look through it, then pserv check{named}, pserv up{named}")
