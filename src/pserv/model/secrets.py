"""What a user may declare of env files and secrets, and what was read of them. How they are read is elsewhere."""

import shlex
from typing import Annotated, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Command, Duration, Path, fixed, live

NAME_OF_FILE = "{}_FILE"
"""The variable that says where a secret's file is, as images of databases have it (POSTGRES_PASSWORD_FILE)."""

KEY = "{key}"
"""What stands in a provider for the key that a service names."""


class EnvFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `NAME=value` lines. A user may write only its path."""

    path: Annotated[Path, fixed("The file.")]
    required: Annotated[bool, fixed("Whether it is a mistake when it is not there.")] = True
    format: Annotated[
        Literal["dotenv", "raw"],
        fixed("dotenv: quotes, comments and ${VAR} as in `.env`; raw: all after the first = is the value."),
    ] = "dotenv"


class Source(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Where secrets come from: one of `exec`, `file`, `env` and `dir`."""

    exec: Annotated[Command | None, fixed("A command that prints it: `vault kv get …`, `pass show …`.")] = None
    file: Annotated[Path | None, fixed("A file that holds it.")] = None
    env: Annotated[str | None, fixed("A variable of the daemon's environment.")] = None
    dir: Annotated[Path | None, fixed("A folder with one file a secret, by the secret's name or its `key`.")] = None
    timeout: Annotated[Duration, live("How long `exec` may take, and a file.")] = 10.0
    refresh: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(extra={"kind": "duration"}),
        live("Read again so often while the service runs; by default only when an operator starts or reloads it."),
    ] = None
    on_change: Annotated[
        str,
        Meta(extra={"kind": "consequence"}),
        live("What follows when `refresh` finds another value: restart, none, or a signal."),
    ] = "restart"


class Secret(Source, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One secret of a service, from one source. A user may write only the name of a provider."""

    provider: Annotated[str | None, fixed("One of the top level's `secrets`, instead of a source.")] = None
    key: Annotated[str | None, fixed("What the provider, or `dir`, calls it; by default its name here.")] = None
    deliver: Annotated[
        Literal["env", "file", "none"],
        fixed("As a variable of its name; as a file that NAME_FILE names; or only where ${secrets.NAME} stands."),
    ] = "env"
    path: Annotated[Path | None, fixed("Where its file is to be; by default in a folder of the service's own.")] = None

    @property
    def kind(self) -> str:
        """Which source it is; "" where none is declared."""
        return next((kind for kind in KINDS if getattr(self, kind) is not None), "")

    def by_hand(self, name: str) -> str:
        """The command with which a user sees what is wrong with it."""
        if self.exec is not None:
            return shlex.join(self.exec)
        if self.env is not None:
            return f"printenv {self.env}"
        return shlex.join(["cat", self.where(name)])

    def where(self, name: str) -> str:
        """The path of the file that holds it."""
        return self.file if self.file is not None else f"{self.dir}/{self.key or name}"


KINDS = ("exec", "file", "env", "dir")


class Values(Struct, frozen=True, omit_defaults=True):
    """What was read for one service. Kept in memory only, and never shown.

    `files` are the variables of its env files with where each stands, "path:line", the one that wins last; `secrets`
    are as their sources gave them, bytes that are no UTF-8 as surrogates. `read`: when each env file that was read had
    changed last, nanoseconds by path; 0 for one that was not there.
    """

    files: tuple[tuple[str, str, str], ...] = ()
    secrets: dict[str, str] = {}
    read: dict[str, int] = {}
