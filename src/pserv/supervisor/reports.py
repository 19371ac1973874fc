"""The keeper's reports, each turned into an event of a service or a fact about the daemon. Decides nothing."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pserv.keeper.protocol import Message
from pserv.model.errors import Refused
from pserv.model.events import (
    Connected,
    Exited,
    Gone,
    HookEnded,
    HookGone,
    ListenFailed,
    MainChanged,
    MainUnknown,
    Spawned,
    SpawnFailed,
)
from pserv.supervisor import hook_runs
from pserv.supervisor.daemon_note import DAEMON

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


QUIET = 60.0
"""Seconds without a dropped line, after which the next one is an event."""


class Reports:
    """Takes them for one session, and acknowledges each with what came of it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, report: Message) -> None:
        """One fact from the keeper; a bug in handling it is told and does not stop the others."""
        key, ack = str(report["key"]), (int(report["id"]),)
        try:
            if report["kind"] in ("order", "logger", "unowned", "upgrade", "refused"):
                self._daemon_report(report)
                self._session.keeper.do(key or DAEMON, ack=ack)
            elif key.startswith("@"):
                self._session.errands.report(report)
            elif (name := hook_runs.service_of(key)) is not None:
                self._hook_report(name, report, ack)
            else:
                self._service_report(key, report, ack)
        except Exception as error:
            self._session.bug(f"{report['kind']} of {key or 'the daemon'}", error)
            self._session.keeper.do(key or DAEMON, ack=ack)

    def _service_report(self, name: str, report: Message, ack: tuple[int, ...]) -> None:
        run = int(report["run"])
        match report["kind"]:
            case "spawned":
                self._session.supervisor.post(name, Spawned(run, int(report["pid"]), report.get("at")), ack)
            case "spawn-failed":
                number = int(report["errno"])
                text = report.get("text") or (os.strerror(number) if number else "")
                text += _advice(report) if report["step"] == "listen" else ""
                event = SpawnFailed(run, report["step"], number, report.get("detail", ""), text, report.get("at"))
                self._session.supervisor.post(name, event, ack, report)
            case "exited":
                ended = Exited(
                    run,
                    report.get("code"),
                    report.get("signal"),
                    report.get("core", False),
                    report.get("oom", False),
                    report.get("gone", True),
                    report.get("at"),
                )
                self._session.supervisor.post(name, ended, ack, report)
            case "gone":
                self._session.supervisor.post(name, Gone(run, tuple(report.get("survivors", ()))), ack)
            case "connection":
                self._session.supervisor.post(name, Connected(run, str(report.get("socket", ""))), ack)
            case "listen-failed":
                number, text = int(report["errno"]), str(report.get("text", "")) + _advice(report)
                failed = ListenFailed(run, number, report.get("detail", ""), text, report.get("at"))
                if not run:
                    self._session.supervisor.tell(name, "socket", f"cannot listen on {failed.detail} yet: {text}")
                self._session.supervisor.post(name, failed, ack, report)
            case "adopted":
                self._session.supervisor.post(name, MainChanged(run, int(report["pid"])), ack)
            case "unadopted":
                self._session.supervisor.post(name, MainUnknown(run, str(report["text"])), ack)
            case "notice":
                self._session.notices.take(name, report, ack)
            case "ready":
                self._session.notices.ready(name, report, ack)
            case kind:
                raise ValueError(f"unknown report {kind!r}")

    def _hook_report(self, name: str, report: Message, ack: tuple[int, ...]) -> None:
        """How a hook goes that the service waits for; what it is no more waited for is only acknowledged."""
        supervisor, run = self._session.supervisor, int(report["run"])
        if report["kind"] == "spawned":
            self._session.keeper.do(name, ack=ack)
            return
        if report["kind"] == "gone":
            supervisor.post(name, HookGone(run), ack)
            return
        why = hook_runs.failure(report)
        life = supervisor.lives.get(name)
        if why and life is not None and life.hook is not None and life.hook.run == run and not life.hook.asked:
            supervisor.tell(name, "hook", f"{life.hook.title} failed: {why}")
        supervisor.post(name, HookEnded(run, why, report.get("gone", True)), ack, report)

    def _daemon_report(self, report: Message) -> None:
        match report["kind"], report.get("what"):
            case "order", "end":
                if report.get("count", 1) > 1 or self._session.orders.note.ending:
                    self._session.orders.shutdown("ordered twice")
                    self._session.orders.hurry()
                else:
                    self._session.orders.shutdown(str(report.get("text") or "ordered to end"))
            case "order", "reload":
                self._session.tasks.spawn(self._session.reloading.by_itself("reload by SIGHUP"))
            case "logger", "dropped":
                self._dropped(report)
            case "logger", what:
                self._log_report(report, str(what))
            case "unowned", _:
                self._session.unowned = tuple(report.get("processes", ()))
                told = "processes of no known run: " + ", ".join(self._session.unowned)
                self._session.supervisor.tell("", "strays", told)
            case "refused", _:
                self._session.bug("the keeper refused a command", Refused(str(report.get("error"))))
            case "upgrade", _:
                told = str(report.get("text"))
                told = told if report.get("ok") else f"refused: {told}; what ran goes on"
                self._session.supervisor.tell("", "upgrade", told)

    def _dropped(self, report: Message) -> None:
        """Lines of a service were dropped, as `log.rate` or `log.on_full` says; an event tells it when that begins."""
        supervisor, key, lines, size = self._session.supervisor, *(report[name] for name in ("key", "lines", "bytes"))
        name = hook_runs.service_of(key) or key
        own = supervisor.records.get(name)
        if own is None:
            return
        own.dropped = (own.dropped[0] + lines, own.dropped[1] + size)
        now = self._session.clock.now()
        if now - own.dropped_at >= QUIET:
            why = report.get("text") or "prints more than log.rate allows"
            supervisor.tell(name, "log", f"{why}: {lines} lines were dropped")
        own.dropped_at = now
        supervisor.told(name, (int(report["id"]),), keep=True)

    def _log_report(self, report: Message, what: str) -> None:
        key, path, text = str(report["key"]), str(report.get("path", "")), str(report.get("text", ""))
        tidying = self._session.on_demand.tidying
        if what == "rotated":
            if tidying is not None:
                tidying.rotated(path)
            return
        if what == "died" and tidying is not None:
            tidying.look()  # what it rotated last it may not have told
        said = {
            "died": f"the logger died ({text}); a new one goes on",
            "stuck": f"cannot write log {path}: {text or 'a write does not return (a stalled disk?)'}",
            "error": f"cannot write log {path}: {text}",
            "flowing": f"log {path} is written again",
            "unrotated": f"log {path}: {text or 'it is rotated again'}",
            "restored": f"log {path}: {text}" if text else f"log {path} is written again",
        }.get(what, f"logger: {what} {text}")
        supervisor = self._session.supervisor
        if key not in supervisor.records:
            supervisor.tell("", "log", said)
            return
        trouble = said if what in ("stuck", "error") or (what == "unrotated" and text) else ""
        place = f"{path} (rotation)" if what == "unrotated" else path
        if trouble != supervisor.records[key].logs.get(place, ""):
            supervisor.log_told(key, place, trouble)
            supervisor.tell(key, "log", said)


def _advice(report: Message) -> str:
    """What the errno of a socket that cannot be opened does not say, as the end of the reason."""
    number, address = int(report["errno"]), str(report.get("detail", ""))
    if number == errno.EADDRINUSE:
        from pserv.system import listeners  # only for who asks

        who = listeners.holder(address)
        return f": {who} has it" if who else ""
    if number == errno.EACCES and not address.startswith("unix"):
        return ": ports this low need root, or CAP_NET_BIND_SERVICE"
    if number == errno.EADDRNOTAVAIL:
        return ": this machine does not have it now (freebind: true listens all the same)"
    return ""
