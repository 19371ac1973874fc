"""Every command and option once: parser, help and completion read this table. Nothing is parsed or run here.

Read at every start of `pserv`.
"""

from __future__ import annotations

from pserv.cli.command import Command, Option

LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")
SIGNALS = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT", "WINCH")


ALL = Option("all", "flag", "all services")
NO_WAIT = Option("no-wait", "flag", "return as soon as the daemon has taken the order")
TIMEOUT = Option("timeout", "seconds", "wait at most so long; the action goes on", "TIME")
FOLLOW = Option("follow", "flag", "go on with what comes, until Ctrl-C", short="f")
EXIT_WHEN = Option(
    "exit-when",
    "choice",
    "when the daemon ends by itself",
    choices=("never", "all-done", "any-failed", "any-done"),
)

PROFILE = Option("profile", "many", "with the services of this profile, too; may be given again", "NAME")

WAITING = (NO_WAIT, TIMEOUT)
MANY = "[NAME…]"

COMMANDS = (
    Command(
        "up",
        "Run",
        "apply the file, start everything, follow the output",
        "up:up",
        (
            Option("detach", "flag", "leave it running in the background", short="d"),
            PROFILE,
            EXIT_WHEN,
            Option("exit-code-from", "text", "end when this service ends, with its exit code", "NAME"),
            *WAITING,
        ),
        words=MANY,
        completes="service",
    ),
    Command("down", "Run", "stop all services, then the daemon", "act:down"),
    Command(
        "daemon",
        "Run",
        "the daemon in the foreground, for systemd and as PID 1",
        "daemon:daemon",
        (
            PROFILE,
            EXIT_WHEN,
            Option("lease-fd", "count", "end when this descriptor is closed", "FD"),
            Option("ready-fd", "count", "tell here when ready", "FD"),
            Option("start", "many", "start only this; may be given again", "NAME"),
            Option("no-start", "flag", "start nothing until told"),
        ),
    ),
    Command(
        "start",
        "Act",
        "start services and wait until settled",
        "act:act",
        (ALL, *WAITING),
        words=MANY,
        completes="service",
    ),
    Command(
        "stop",
        "Act",
        "stop services and wait until gone",
        "act:act",
        (ALL, *WAITING),
        words=MANY,
        completes="service",
    ),
    Command(
        "restart",
        "Act",
        "stop and start services",
        "act:act",
        (ALL, Option("rolling", "flag", "one after the other, each when the last is ready"), *WAITING),
        words=MANY,
        completes="service",
    ),
    Command(
        "run",
        "Act",
        "run a oneshot or scheduled service now; its exit code",
        "act:run",
        (NO_WAIT,),
        words="NAME",
        least=1,
        most=1,
        completes="service",
    ),
    Command(
        "scale",
        "Act",
        "have so many instances of a service",
        "act:scale",
        WAITING,
        words="NAME=NUMBER…",
        least=1,
        completes="service",
    ),
    Command(
        "reload",
        "Act",
        "apply the changed configuration, or ask services to reload themselves",
        "reload:reload",
        (
            Option("dry-run", "flag", "only tell what would be done"),
            Option("rollback-on-failure", "flag", "back to what ran before if a service fails"),
            Option("previous", "flag", "back to the configuration before this one"),
            Option("back", "count", "back so many configurations, as --list numbers them", "N"),
            Option("list", "flag", "tell the earlier configurations that are kept instead"),
            PROFILE,
            *WAITING,
        ),
        words=MANY,
        completes="service",
    ),
    Command(
        "signal",
        "Act",
        "send a signal",
        "act:signal",
        (ALL, Option("group", "flag", "to the whole process group")),
        words="SIGNAL NAME…",
        least=1,
        completes="signal",
    ),
    Command(
        "exec",
        "Act",
        "run your command in a service's environment, folder and user",
        "output:execute",
        (
            Option("stdin", "flag", "hand on the standard input", short="i"),
            Option("timeout", "seconds", "end the command after so long", "TIME"),
        ),
        words="NAME -- COMMAND…",
        least=2,
        completes="service",
        verbatim=True,
    ),
    Command("status", "Look", "the table; with NAME its full story", "look:status", words=MANY, completes="service"),
    Command("why", "Look", "why a service is in its state", "look:why", words="NAME…", least=1, completes="service"),
    Command(
        "list",
        "Look",
        "names and states, a line each, for scripts",
        "look:names",
        (Option("daemons", "flag", "the daemons of this machine instead"),),
        words=MANY,
        completes="service",
    ),
    Command(
        "graph",
        "Look",
        "who needs whom, and which start waited for which",
        "graph:graph",
        (Option("dot", "flag", "as a graph for dot (graphviz)"),),
        words=MANY,
        completes="service",
    ),
    Command(
        "logs",
        "Look",
        "what services print",
        "logs:logs",
        (
            FOLLOW,
            Option("lines", "count", "so many of the last lines of each (10; all where it is said which)", "N", "n"),
            Option("since", "text", "from then on: 10m, 14:00, 2026-11-23, 2026-11-23T14:00:00Z, yesterday", "TIME"),
            Option("until", "text", "before that", "TIME"),
            Option("grep", "text", "lines in which this regular expression is found", "PATTERN", "g"),
            Option("invert", "flag", "lines in which it is not"),
            Option("level", "choice", "of this level or worse", choices=LEVELS),
            Option("stream", "choice", "only this one", choices=("stdout", "stderr")),
            Option("run", "text", "what one run printed: its run_id (pserv status --json), or last", "ID"),
            Option("reverse", "flag", "newest first", short="r"),
            Option("timestamps", "flag", "when each line was written, where it says so", short="t"),
            Option("reopen", "flag", "show nothing: have log files opened anew, after something renamed them"),
            Option("no-prefix", "flag", "without the names of services"),
            Option("no-pager", "flag", "no pager on a terminal ($PSERV_PAGER, $PAGER, or less)"),
        ),
        words=MANY,
        completes="service",
    ),
    Command(
        "events",
        "Look",
        "what was decided, and why",
        "output:events",
        (FOLLOW, Option("lines", "count", "so many of the last (100)", "N", "n")),
        words=MANY,
        completes="service",
    ),
    Command(
        "show",
        "Look",
        "the exact exec: arguments, environment, user",
        "look:show",
        (
            Option("env", "flag", "its variables, each with where it comes from"),
            Option("diff", "flag", "its variables that differ from what the running one got"),
        ),
        words=MANY,
        completes="service",
    ),
    Command(
        "wait",
        "Look",
        "wait until services are so",
        "act:wait",
        (
            Option(
                "for",
                "choice",
                "what to wait for (ready)",
                choices=("ready", "healthy", "stopped", "done", "settled", "rolled"),
            ),
            Option("timeout", "seconds", "give up after so long", "TIME"),
        ),
        words=MANY,
        completes="service",
    ),
    Command(
        "init",
        "Configure",
        "write a starter pserv.yaml from what is in this folder",
        "starting:init",
        (Option("force", "flag", "also over a file that is there"),),
    ),
    Command("check", "Configure", "tell every mistake of the configuration", "files:check", (PROFILE,)),
    Command(
        "config",
        "Configure",
        "the values in effect, and where each comes from",
        "files:effective",
        (
            Option(
                "explain", "text", "tell about an option instead: stop, log.rotate.size, daemon.exit_when", "OPTION"
            ),
            Option("no-origins", "flag", "without where each value comes from"),
            Option("running", "flag", "of the running daemon instead of the files"),
            PROFILE,
        ),
        words=MANY,
        completes="service",
    ),
    Command("schema", "Configure", "the JSON Schema of the configuration, for editors", "files:schema"),
    Command(
        "upgrade",
        "Pserv",
        "hand over to the installed version, services untouched",
        "upgrading:upgrade",
        (Option("keeper", "flag", "the keeper too"),),
    ),
    Command("version", "Pserv", "versions of this command and of the daemon", "look:version"),
    Command("demo", "Pserv", "a tour of ten seconds that leaves nothing behind", "demo:demo"),
    Command(
        "completion",
        "Pserv",
        "a script to source in your shell",
        "completion:script",
        words="SHELL",
        least=1,
        most=1,
        completes="shell",
    ),
    Command(
        "__complete",
        "",
        "what Tab offers for the words so far",
        "completion:complete",
        words="WORD…",
        verbatim=True,
    ),
)

BY_NAME = {command.name: command for command in COMMANDS}
