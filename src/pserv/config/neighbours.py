"""What other supervisors call it: hints for people who come with a file, or a habit, from somewhere else."""

from __future__ import annotations

from typing import Final

_CONTAINERS: Final = "Pserv runs processes, not containers"


def _called(name: str) -> str:
    return f"here it is called {name}"


_NOT_YET: Final = (
    *("limits", "ulimits", "rlimits", "limitnofile", "limitnproc", "limitmemlock", "limitcore", "rlimit_nofile"),
    *(
        "mem_limit",
        "mem_reservation",
        "memory",
        "memory_limit",
        "max_memory",
        "max_memory_restart",
        "memorymax",
        "cpus",
    ),
    *("cpuquota", "cpu_max", "resources", "cgroup", "guard", "pids_limit", "cap_add", "cap_drop", "capabilities"),
    *("security", "security_opt", "protectsystem", "protecthome", "privatetmp", "nonewprivileges", "read_only"),
    *("seccomp", "chroot", "namespaces", "privileged"),
)

_SERVICE: Final = {
    **dict.fromkeys(_NOT_YET, "there is no such option yet: remove it"),
    # compose
    "healthcheck": _called("health"),
    "working_dir": _called("cwd"),
    "environment": _called("env"),
    "entrypoint": _called("command"),
    "stop_signal": "here it is written stop: {signal: QUIT}, or stop: QUIT",
    "stop_grace_period": "here it is written stop: {timeout: 30s}",
    "image": f"{_CONTAINERS}: name the program with exec",
    "build": f"{_CONTAINERS}: name the program with exec",
    "container_name": f"{_CONTAINERS}: the key is the service's name",
    "ports": f"{_CONTAINERS}: the program opens its ports itself",
    "expose": f"{_CONTAINERS}: the program opens its ports itself",
    "volumes": f"{_CONTAINERS}: they see the machine's files",
    "networks": f"{_CONTAINERS}: they see the machine's network",
    "labels": "here they are words without a value, called tags",
    "init": "not needed: Pserv reaps and ends what a service leaves behind",
    "group_add": _called("supplementary_groups"),
    # supervisord
    "autorestart": _called("restart"),
    "directory": _called("cwd"),
    "exitcodes": _called("success_exit_codes"),
    "startsecs": _called("stable_after"),
    "startretries": _called("max_retries"),
    "stopsignal": "here it is written stop: {signal: QUIT}, or stop: QUIT",
    "stopwaitsecs": "here it is written stop: {timeout: 30s}",
    "stopasgroup": "here it is written stop: {scope: group}",
    "killasgroup": "not needed: what is left of a service is always ended",
    "stdout_logfile": _called("stdout"),
    "stderr_logfile": _called("stderr"),
    "redirect_stderr": "not needed: stderr goes where stdout goes unless stderr is set",
    "process_name": "the key is the service's name",
    "priority": "say what must be ready first with depends_on",
    "numprocs": _called("instances"),
    # systemd
    "execstart": "here it is called exec, or command for a program and its arguments in one",
    "execstop": "here a service is stopped by signals: stop: {signal: TERM, timeout: 10s}",
    "execstartpre": "here it is written hooks: {pre_start: …}",
    "execstartpost": "here it is written hooks: {post_start: …}",
    "execstoppost": "here it is written hooks: {post_stop: …}",
    "execreload": "here it is written reload: HUP, or reload: COMMAND",
    "onfailure": "here it is written hooks: {on_failed: COMMAND}",
    "workingdirectory": _called("cwd"),
    "environmentfile": _called("env_file"),
    "envfile": _called("env_file"),
    "dotenv": _called("env_file"),
    "loadcredential": "here it is written secrets: {NAME: {file: …, deliver: file}}",
    "setcredential": "here it is written secrets: {NAME: {exec: …, deliver: file}}",
    "credentials": _called("secrets"),
    "restartsec": "here it is written backoff: {initial: 1s}",
    "startlimitburst": _called("max_retries"),
    "timeoutstartsec": _called("start_timeout"),
    "timeoutstopsec": "here it is written stop: {timeout: 30s}",
    "killsignal": "here it is written stop: {signal: QUIT}, or stop: QUIT",
    "killmode": "here it is written stop: {scope: group}, or main",
    "runtimemaxsec": _called("max_runtime"),
    "successexitstatus": _called("success_exit_codes"),
    "supplementarygroups": _called("supplementary_groups"),
    "oomscoreadjust": _called("oom_score_adj"),
    "standardoutput": _called("stdout"),
    "standarderror": _called("stderr"),
    "wantedby": "here it is called autostart",
    "requires": _called("depends_on"),
    "after": _called("depends_on"),
    "wants": "here it is written depends_on: {NAME: {required: false}}",
    "bindsto": _called("depends_on"),
    "listenstream": "here it is written sockets: {NAME: 8080}, or {NAME: unix:/run/app.sock}",
    "listendatagram": "here it is written sockets: {NAME: udp://:53}",
    "socket": _called("sockets"),
    "use_sockets": "here a service declares its own sockets: {NAME: 8080}",
    "socket_listen": _called("sockets"),
    # circus, process-compose, pm2, pebble, dinit, horust, pitchfork
    "cmd": _called("command"),
    "numprocesses": _called("instances"),
    "replicas": _called("instances"),
    "scale": _called("instances"),
    "run": _called("command"),
    "script": _called("command"),
    "program": _called("exec"),
    "path": _called("exec"),
    "uid": _called("user"),
    "gid": _called("group"),
    "dir": _called("cwd"),
    "workdir": _called("cwd"),
    "vars": _called("env"),
    "depends": _called("depends_on"),
    "dependencies": _called("depends_on"),
    "startup": "here it is written autostart: true or false",
    "enabled": "here it is written autostart: true or false",
    "respawn": _called("restart"),
    "availability": _called("restart"),
    "retries": _called("max_retries"),
    "readinessprobe": _called("ready"),
    "startupprobe": _called("ready"),
    "livenessprobe": _called("health"),
    "max_restarts": _called("max_retries"),
    "max_retry": _called("max_retries"),
    "restart_delay": "here it is written backoff: {initial: 1s}",
    "backoff_delay": "here it is written backoff: {initial: 500ms}",
    "kill_timeout": "here it is written stop: {timeout: 30s}",
    "kill_delay": "here it is written stop: {timeout: 30s}",
    "graceful_timeout": "here it is written stop: {timeout: 30s}",
    "shutdown": _called("stop"),
    "log_location": _called("stdout"),
    "max_restart": _called("max_retries"),
    "out_file": _called("stdout"),
    "error_file": _called("stderr"),
    "exec_mode": "not needed: instances says how many run",
    "copy_env": _called("inherit_env"),
    "is_daemon": "here it is written type: forking; better run it in the foreground",
    "disabled": "here it is written autostart: false",
    "start_program": _called("command"),
    "stop_program": "here a service is stopped by signals: stop: {signal: TERM, timeout: 10s}",
    "check": "here it is called health",
    # Kubernetes
    "restartpolicy": "here it is written restart: always, on-failure or never",
    "terminationgraceperiodseconds": "here it is written stop: {timeout: 30s}",
    "imagepullpolicy": f"{_CONTAINERS}: name the program with exec",
    "containers": "a service here is one process: declare one for each",
    # habit
    "timeout": "here it is written stop: {timeout: 30s}, or start_timeout: 60s",
    "signal": "here it is written stop: QUIT, or reload: HUP",
    "grace_period": "here it is written stop: {timeout: 30s}",
    "logfile": _called("stdout"),
    "log_file": _called("stdout"),
    "logging": _called("log"),
    "oneshot": "here it is written type: oneshot",
    "pre_start": "here it is written hooks: {pre_start: …}",
    "post_stop": "here it is written hooks: {post_stop: …}",
    "on_failed": "here it is written hooks: {on_failed: …}",
    "needs": _called("depends_on"),
    "requires_ready": _called("depends_on"),
    "processes": _called("instances"),
    "workers": _called("instances"),
    # what runs by the clock: systemd.timer, Kubernetes, pm2, ofelia, people
    "cron": _called("schedule"),
    "crontab": _called("schedule"),
    "cronrestart": 'here it is written schedule: "0 3 * * *", for what runs to its end',
    "oncalendar": 'here it is written schedule: "0 3 * * *", or @daily',
    "onunitactivesec": 'here it is written schedule: "@every 90s"',
    "onbootsec": 'here it is written schedule: "@every 90s", the first run so long after the start',
    "every": 'here it is written schedule: "@every 90s"',
    "interval": 'here it is written schedule: "@every 90s"',
    "tz": _called("timezone"),
    "persistent": "here it is written missed: run",
    "concurrencypolicy": "here it is called overlap: skip (Forbid), queue, or kill (Replace)",
    "backofflimit": "here it is written restart: on-failure:5",
    "suspend": "stop it by pserv stop NAME; it runs again after pserv start NAME",
    "develop": "here it is written watch: src",
    "ignorewatch": "here it is written watch: {paths: [src], ignore: [node_modules]}",
    "autoreload": "here it is written watch: src",
    "pidfile": "here it is written type: forking, with pid_file; better run the program in the foreground",
}

_TOP: Final = {
    "version": "not needed: remove the line",
    "environment": _called("env"),
    "volumes": _CONTAINERS,
    "networks": _CONTAINERS,
    "processes": _called("services"),
    "programs": _called("services"),
    "program": _called("services"),
    "apps": _called("services"),
    "service": _called("services"),
    "supervisord": _called("daemon"),
    "settings": _called("daemon"),
    "default": _called("defaults"),
    "watchers": _called("services"),
    "watcher": _called("services"),
    "apiversion": "this is a manifest of Kubernetes: write services: {web: {command: …}}",
    "kind": "this is a manifest of Kubernetes: write services: {web: {command: …}}",
    "metadata": "this is a manifest of Kubernetes: write services: {web: {command: …}}",
    "spec": "this is a manifest of Kubernetes: write services: {web: {command: …}}",
}

_WATCH: Final = {
    # compose, pm2, process-compose, editors' tools
    "path": _called("paths"),
    "files": _called("paths"),
    "include": _called("paths"),
    "exclude": _called("ignore"),
    "ignored": _called("ignore"),
    "ignorewatch": _called("ignore"),
    "delay": _called("debounce"),
    "action": _called("on_change"),
    "signal": "here it is written on_change: HUP",
    "recursive": "not needed: folders are watched with all that is in them",
}

_BACKOFF: Final = {
    "delay": _called("initial"),
    "min": _called("initial"),
    "max": _called("maximum"),
    "limit": _called("maximum"),
    "multiplier": _called("factor"),
    "type": _called("strategy"),
}

_STOP: Final = {
    "grace": _called("timeout"),
    "grace_period": _called("timeout"),
    "timeout_seconds": _called("timeout"),
    "wait": _called("timeout"),
}

_NEED: Final = {
    "optional": "here it is written required: false",
    "state": _called("condition"),
    "for": _called("condition"),
    "wait": _called("timeout"),
}

_PROBE: Final = {
    # compose
    "test": "here it is called exec, a list without CMD; or shell, for a line",
    "retries": _called("failures"),
    "startperiod": "not needed: until it is ready failures do not count; the service's start_timeout says how long",
    "startinterval": "not needed: until the first success it is asked after 50ms, then at gaps that grow to 1s",
    "disable": "remove the probe",
    # Kubernetes, process-compose
    "httpget": _called("http"),
    "tcpsocket": _called("tcp"),
    "period": _called("interval"),
    "periodseconds": _called("interval"),
    "timeoutseconds": _called("timeout"),
    "initialdelayseconds": _called("initial_delay"),
    "failurethreshold": _called("failures"),
    "successthreshold": _called("successes"),
    "grpc": "here it is a command that asks, such as exec: grpc_health_probe -addr=:50051",
    # habit
    "starttimeout": "it is an option of the service, beside this probe",
    "cmd": _called("exec"),
    "script": _called("exec"),
    "socket": _called("unix"),
    "url": "here it is called http",
    "port": "it belongs into the kind: tcp: {port: 5432}, or the whole probe as tcp:5432",
    "path": "it belongs into the kind: http: {path: /health, port: 8080}",
}

_HTTP: Final = {
    "url": "write the whole probe as http://:8080/health",
    "uri": _called("path"),
    "hostname": _called("host"),
    "httpheaders": _called("headers"),
    "statuscode": _called("status"),
    "codes": _called("status"),
    "insecure": "here it is written verify: false",
}

_SCHEDULE: Final = {
    "schedule": _called("cron"),
    "expression": _called("cron"),
    "line": _called("cron"),
    "spec": _called("cron"),
    "at": 'here it is written cron: "0 3 * * *"',
    "interval": _called("every"),
    "tz": _called("timezone"),
    "zone": _called("timezone"),
    "concurrency": "here it is called overlap: skip, queue or kill",
    "concurrencypolicy": "here it is called overlap: skip (Forbid), queue, or kill (Replace)",
    "maxconcurrent": "here it is called overlap: skip, queue or kill",
    "retrigger": "here it is called overlap: skip, queue or kill",
    "persistent": "here it is written missed: run",
    "runonstart": "run it by pserv run NAME",
}

_TABLES: Final = {
    "Schedule": _SCHEDULE,
    "ServiceSpec": _SERVICE,
    "top": _TOP,
    "Backoff": _BACKOFF,
    "Watch": _WATCH,
    "Stop": _STOP,
    "Need": _NEED,
    "Ready": _PROBE,
    "Health": _PROBE,
    "Http": _HTTP,
}


def called_here(level: str, key: str) -> str:
    """A hint for a key of another tool at this level (a struct's class name, or "top"); "" where it is nobody's."""
    table = _TABLES.get(level, {})
    plain = key.lower().replace("-", "_")
    return table.get(plain) or table.get(plain.replace("_", ""), "")
