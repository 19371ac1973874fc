"""A service whose log is rotated: all lines once and in order over all files, whatever dies, however it is declared."""

from __future__ import annotations

import gzip
import select
from collections.abc import Callable
from pathlib import Path

from pserv.logger.rotated import Rotated, family, readable
from tests.scenarios.daemon import Daemon, kill
from tests.scenarios.driven import Driven, check_lines


def pieces(path: Path) -> list[bytes]:
    older = [(path.parent / one.name).read_bytes() for one in readable(family(str(path)))]
    return [*(gzip.decompress(piece) if piece[:2] == b"\x1f\x8b" else piece for piece in older), path.read_bytes()]


def test_a_log_is_rotated_as_declared_also_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with Driven(tmp_path, "web") as web:

        def declared(rotate: str) -> str:
            return f"services:\n{web.declared(log, f', log: {{rotate: {rotate}}}')}"

        with Daemon(tmp_path, declared("{size: 10KB, keep: none}")) as daemon:
            daemon.up()
            pid = daemon.pid("web")
            web.order(25)
            web.printed()
            logger = daemon.daemon().logger_pid
            assert logger is not None
            kill(logger)
            web.order(75)
            web.printed()
            daemon.kill_supervisor()
            daemon.write(declared("{size: 50KB, keep: none}"))
            assert "log.rotate.size" in daemon.pserv("reload", check=0).stdout
            web.order(100)
            web.printed()
            daemon.write(declared("none"))
            daemon.pserv("reload", check=0)
            web.order(100)
            assert web.printed() == 300
            assert daemon.pid("web") == pid
            daemon.pserv("down", check=0)
        found = pieces(log)
        check_lines(b"".join(found), 300)
        sizes = [len(piece) for piece in found]
        assert sizes[:9] == [10_000] * 9
        assert set(sizes[:-1]) == {10_000, 51_000}
        assert sizes[-1] > 51_000


def test_rotated_files_are_compressed_and_all_logs_are_bounded(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with Driven(tmp_path, "web") as web:

        def declared(total: str) -> str:
            rotate = ", log: {rotate: {size: 10KB, keep: none, compress: gzip}}"
            return f"daemon: {{log_total: {total}}}\nservices:\n{web.declared(log, rotate)}"

        with Daemon(tmp_path, declared("none")) as daemon:
            daemon.up()
            web.order(100)
            web.printed()
            until(log, lambda found: [one.packing for one in found] == [".gz"] * 9)
            daemon.kill_supervisor()
            web.order(100)
            web.printed()
            until(log, lambda found: [one.packing for one in found] == [".gz"] * 19)
            check_lines(b"".join(pieces(log)), 200)
            daemon.write(declared("11KB"))
            daemon.pserv("reload", check=0)
            until(log, lambda found: sum(size(tmp_path / one.name) for one in found) < 1264)
            assert daemon.daemon().trouble == ()


def size(path: Path) -> int:
    """Bytes of a file; 0 where it was removed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def until(log: Path, seen: Callable[[list[Rotated]], bool]) -> None:
    """Wait until the family of a log is as it should be."""
    while not seen(family(str(log))):
        select.select([], [], [], 0.005)
