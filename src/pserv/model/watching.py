"""What a user may declare of files whose change restarts a service. How they are watched is in `system.watching`."""

from typing import Annotated

from msgspec import Meta, Struct

from pserv.model.kinds import Duration, Path, Words, live

IGNORED = (".git", "node_modules", "__pycache__", ".venv")


class Watch(Struct, frozen=True, forbid_unknown_fields=True):
    """Files and folders whose change restarts the service. A user may write only the paths: `watch: src`."""

    paths: Annotated[
        tuple[Path, ...], live("Files, and folders with all that is in them; what is not there yet is waited for.")
    ] = ()
    ignore: Annotated[
        Words,
        live("Names or patterns that are not looked at: `*.log`, `static/*.js` from a path on; nor editors' files."),
    ] = IGNORED
    debounce: Annotated[Duration, live("So long nothing must have changed; a hundred changes are one.")] = 0.3
    on_change: Annotated[
        str,
        Meta(extra={"kind": "reaction"}),
        live("What follows: restart; reload, as the service declares it; or a signal. One that has ended is started."),
    ] = "restart"
