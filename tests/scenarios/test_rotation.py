"""A service whose log is rotated: all lines once and in order over all files, whatever dies, however it is declared."""

from __future__ import annotations

import gzip
import os
import select
from collections.abc import Callable
from pathlib import Path

from pserv.logger.rotated import Rotated, family, readable
from tests.scenarios.daemon import Daemon, kill
from tests.scenarios.driven import Driven, check_lines
from tests.scenarios.fifos import fifo


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
            until_compressed(log, 9)
            daemon.kill_supervisor()
            web.order(100)
            web.printed()
            until_compressed(log, 19)
            check_lines(b"".join(pieces(log)), 200)
            daemon.write(declared("11KB"))
            daemon.pserv("reload", check=0)
            until(log, lambda found: sum(size(tmp_path / one.name) for one in found) < 1264)
            assert daemon.daemon().trouble == ()


def test_what_was_rotated_last_is_compressed_whoever_has_ended(tmp_path: Path) -> None:
    """The logger tells of rotations once a second: what it rotated since then, and the service that ended since."""
    log, short = tmp_path / "web.log", tmp_path / "short.log"
    gate = fifo(tmp_path / "gate")
    rotate = "log: {rotate: {size: 10KB, keep: none, compress: gzip}}"
    with Driven(tmp_path, "web") as web:
        services = web.declared(log, f", {rotate}")
        command = f"seq 3000; read line < {tmp_path}/gate; seq 3000"
        services += f"  short: {{shell: '{command}', stdout: {short}, restart: never, {rotate}}}\n"
        with Daemon(tmp_path, f"services:\n{services}") as daemon:
            daemon.up()
            web.order(15)
            until_compressed(log, 1)
            web.order(15)
            os.write(gate, b"go\n")
            daemon.until_state("short", "exited")
            web.printed()
            logger = daemon.daemon().logger_pid
            assert logger is not None
            kill(logger)
            until_compressed(log, 2)
            until_compressed(short, 2)
    os.close(gate)


def test_both_logs_of_a_service_are_bounded_together(tmp_path: Path) -> None:
    out, err = tmp_path / "out.log", tmp_path / "err.log"
    rotate = "log: {rotate: {size: 10KB, keep: none, max_total: 60KB}}"
    both = f"  both: {{shell: 'seq 20000 >&2; seq 20000', stdout: {out}, stderr: {err}, restart: never, {rotate}}}\n"

    def rotated() -> int:
        return sum(size(tmp_path / one.name) for log in (out, err) for one in family(str(log)))

    with Daemon(tmp_path, f"services:\n{both}") as daemon:
        daemon.up()
        daemon.until_state("both", "exited")
        until(err, lambda _: rotated() + 2 * 10_240 <= 61_440)
        assert rotated() > 30_000
        assert size(out) > 0


def until_compressed(log: Path, count: int) -> None:
    """Wait until there are so many rotated files, all compressed."""
    until(log, lambda found: [one.packing for one in found] == [".gz"] * count)


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
