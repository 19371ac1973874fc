"""The exact exec of a service, for people: `pserv show`. Values that look secret are masked; nothing is started."""

from __future__ import annotations

from pserv.model import listening
from pserv.model.spec import ServiceSpec
from pserv.model.status import Launch
from pserv.rules import references
from pserv.rules.secrecy import MASK
from pserv.supervisor import given
from pserv.supervisor.given import Variable
from pserv.supervisor.record import Record
from pserv.system import launches
from pserv.system.launches import Places


def show(name: str, spec: ServiceSpec, own: Record, at: Places, private: tuple[str, ...] = ()) -> Launch:
    """What the service would be started with now; of env files and secrets what was read last.

    `private`: options that were made with what looks secret.
    """
    out = launches.outputs(name, spec, at)
    inherit = launches.inherited(spec)
    told = ("all" if inherit else "nothing") if isinstance(inherit, bool) else " ".join(inherit)
    steps = ["new session and process group"]
    umask = "" if spec.umask is None else f"{spec.umask:04o}"
    for step, value in (("umask", umask or None), ("nice", spec.nice), ("oom_score_adj", spec.oom_score_adj)):
        if value is not None:
            steps.append(f"{step} {value}")
    if spec.user is not None or spec.group is not None:
        steps.append(f"user {spec.user or 'as the daemon'}, group {spec.group or 'of the user'}")
    for number, (name_of, its) in enumerate(spec.sockets.items(), 3):
        steps.append(f"descriptor {number}: socket {name_of}, {listening.address(its.listen)}")
    argv = spec.argv
    if "args" in private:
        argv = (argv[0], MASK)
    if "exec" in private or "command" in private:
        argv = (MASK,)
    steps += [f"chdir {spec.cwd or at.root}", f"exec {argv[0]}"]
    return Launch(
        argv=argv,
        env={
            each.name: MASK if f"env.{each.name}" in private and each.value else _shown(each, spec)
            for each in given.variables(name, spec, own, at)
        },
        inherits=told,
        cwd=spec.cwd or at.root,
        user=spec.user or "",
        group=spec.group or "",
        groups=spec.supplementary_groups or (),
        umask=umask,
        nice=spec.nice,
        oom_score_adj=spec.oom_score_adj,
        stdout=launches.place(out["stdout"]),
        stderr=launches.place(out["stderr"]),
        tty=spec.tty,
        steps=tuple(steps),
    )


def _shown(variable: Variable, spec: ServiceSpec) -> str:
    """The value as it may be shown: a secret within it as it is written."""
    written = spec.env.get(variable.name, "")
    if references.refers(written):
        return references.shown(written)
    return MASK if variable.secret else variable.value or ""
