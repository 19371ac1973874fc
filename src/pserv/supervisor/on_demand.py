"""What most daemons have no use for: loaded with the first service that declares such a thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pserv.model.probe import Probe
from pserv.supervisor import log_settings
from pserv.system.futures import Future

if TYPE_CHECKING:
    from pserv.model.spec import Document
    from pserv.supervisor.main import Session
    from pserv.supervisor.missed import Missed
    from pserv.supervisor.prober import Asked
    from pserv.supervisor.resolving import Resolving
    from pserv.supervisor.tidying import Tidying
    from pserv.supervisor.timetable import ClockWatch
    from pserv.supervisor.trial import Trial, Verdict
    from pserv.supervisor.watches import Watches


class OnDemand:
    """These parts of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tidying: Tidying | None = None
        """From when rotated logs are compressed or removed by age or by all their size."""
        self._clock_watch: ClockWatch | None = None
        self._missed: Missed | None = None
        self._watches: Watches | None = None
        self._resolving: Resolving | None = None
        self._trial: Trial | None = None

    def question(self, name: str, probe: Probe, run: int) -> Asked:
        """Of a probe."""
        from pserv.supervisor.questions import Question

        return Question(self._session, name, probe, run)

    def watch_clock(self, *, resumed: bool = True) -> None:
        """The wall clock is looked at while something goes by it, and only then."""
        session = self._session
        scheduled = any(spec.schedule is not None for spec in session.supervisor.specs.values())
        if scheduled and self._clock_watch is None:
            from pserv.supervisor.timetable import ClockWatch

            self._clock_watch = ClockWatch(session.tasks, session.clock, session.supervisor.clock_changed)
        if self._clock_watch is not None:
            self._clock_watch.keep(scheduled)
        if scheduled and self._missed is None:
            from pserv.supervisor import missed

            if missed.wanted(session.supervisor.specs):
                self._missed = missed.Missed(session, resumed=resumed)

    def look_at_clock(self) -> None:
        """A deadline has come."""
        if self._clock_watch is not None:
            self._clock_watch.look()

    @property
    def resolving(self) -> Resolving:
        """From the first service on that has an env file or a secret."""
        if self._resolving is None:
            from pserv.supervisor.resolving import Resolving

            self._resolving = Resolving(self._session)
        return self._resolving

    @property
    def disk_trouble(self) -> str:
        """Where secrets are written on a disk."""
        return "" if self._resolving is None else self._resolving.delivering.trouble

    def resolve(self, name: str) -> None:
        """Read what the service is to be given."""
        self.resolving.begin(name)

    def resolve_all(self) -> None:
        """What waits for its env files and secrets gets them, and what is refreshed goes by what is declared now."""
        if self._resolving is not None:
            self._resolving.look()

    def tidy_up(self) -> None:
        """Rotated logs may be declared to be treated otherwise than before."""
        if self.tidying is None and not log_settings.tidied(self._session.supervisor):
            return
        from pserv.supervisor.tidying import Tidying

        self.tidying = self.tidying or Tidying(self._session)
        self.tidying.look()

    def on_trial(self, names: Iterable[str], before: Document | None, timeout: float | None = None) -> Future[Verdict]:
        """The configuration is on trial from now on."""
        from pserv.supervisor.trial import Trial

        self._trial = self._trial or Trial(self._session)
        return self._trial.begin(names, before, timeout)

    def watch_files(self) -> None:
        """Those that services declare, and those of the configuration where they are to be watched."""
        if self._watches is None:
            supervisor = self._session.supervisor
            of_services = any(spec.watch is not None for spec in supervisor.specs.values())
            if not of_services and not supervisor.document.daemon.watch_config:
                return
            from pserv.supervisor.watches import Watches

            self._watches = Watches(self._session)
        self._watches.look()

    def stop(self) -> None:
        """A successor is tried: nothing is begun."""
        if self._watches is not None:
            self._watches.stop()
        if self._resolving is not None:
            self._resolving.stop()

    async def leave(self) -> None:
        """The end: nothing that services were given is left."""
        if self._resolving is not None:
            await self._resolving.delivering.remove_all()
