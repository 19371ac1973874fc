"""What hooks have in common, waited for or not: their keys, what they are told of the service, how they failed."""

from __future__ import annotations

import os

from pserv.keeper.protocol import Message
from pserv.model import units
from pserv.model.hooks import Hook
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Life, Phase
from pserv.rules import restart
from pserv.system import launches
from pserv.system.launches import Places

_WAITED = "!hook"
_BESIDE = "@hook/"


def key_of(service: str) -> str:
    """The keeper's key for the hook that a service waits for; no name of a service has a `!`."""
    return service + _WAITED


def service_of(key: str) -> str | None:
    """Whose hook the key is; None when it is none that a service waits for."""
    return key.removesuffix(_WAITED) if key.endswith(_WAITED) else None


def beside_kind(service: str, kind: str, index: int) -> str:
    """What an errand is called that is a hook nobody waits for."""
    return f"hook/{service}/{kind}/{index}"


def parse_beside(key: str) -> tuple[str, str, int] | None:
    """Service, kind and index of such a hook; None when the key is another errand's."""
    if not key.startswith(_BESIDE):
        return None
    service, kind, index, _ = key.removeprefix(_BESIDE).rsplit("/", 3)
    return service, kind, int(index)


def launch(name: str, spec: ServiceSpec, hook: Hook, kind: str, life: Life, at: Places) -> Message:
    """The LAUNCH of a hook: as its service, with what it should know of it, into its log."""
    return launches.hook_launch(name, spec, hook, at, environment(name, life, at), f"--- {hook.title(kind)}\n")


def environment(name: str, life: Life, at: Places) -> dict[str, str]:
    """PSERV_… and systemd's names (systemd.exec(5)). How the last run ended is told where none lives."""
    reason = life.reason if life.hook is None else life.hook.cause
    told = {"PSERV_ATTEMPT": str(life.attempt), "PSERV_REASON": reason}
    if life.run and life.phase is not Phase.PREPARING:
        told["PSERV_SERVICE_RUN_ID"] = f"{at.cookie}/{name}/{life.run}"
    if life.pid:
        told["PSERV_MAIN_PID"] = told["MAINPID"] = str(life.pid)
    elif life.ended is not None:
        told |= _result(life.ended)
    return told


def _result(ended: Ended) -> dict[str, str]:
    told = {"PSERV_RESULT": ended.result.value, "SERVICE_RESULT": ended.result.value}
    if ended.signal is not None:
        name = units.show_signal(ended.signal)
        how = "dumped" if ended.result.value == "core-dump" else "killed"
        return {**told, "PSERV_SIGNAL": name, "EXIT_CODE": how, "EXIT_STATUS": name}
    if ended.code is not None:
        return {**told, "PSERV_EXIT_CODE": str(ended.code), "EXIT_CODE": "exited", "EXIT_STATUS": str(ended.code)}
    return told


def failure(report: Message) -> str:
    """Why a hook failed whose end is reported; "" where it did not."""
    if report["kind"] == "spawn-failed":
        number = int(report["errno"])
        return restart.describe_step(
            report["step"], number, report.get("detail", ""), os.strerror(number) if number else ""
        )
    if report["kind"] != "exited":
        return str(report.get("error") or report["kind"])
    if report.get("signal") is not None:
        return f"killed by SIG{units.show_signal(report['signal'])}"
    if report.get("code") is None:
        return "survived SIGKILL"
    return f"exit code {report['code']}" if report["code"] else ""
