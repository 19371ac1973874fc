"""What `pserv`, `pserv --help` and `pserv COMMAND --help` print. The commands and options themselves are in `table`."""

from __future__ import annotations

from pserv.cli import terminal
from pserv.cli.command import COMMON, Command, Option
from pserv.cli.parse import Arguments, options_of
from pserv.cli.table import COMMANDS
from pserv.cli.terminal import Screen, wrap

GROUPS = ("Run", "Act", "Look", "Configure", "Pserv")
NAMES = (
    "NAME is a service, an instance (web:2), a tag (@workers) or a glob ('web*'). "
    "Without NAME all are meant, where that does no harm."
)
EXIT_CODES = (
    (0, "done; all that should be up is up or done"),
    (1, "a service failed, is backing off or unhealthy"),
    (2, "usage, or an invalid configuration"),
    (3, "a named service is stopped as asked (status)"),
    (4, "no such service"),
    (5, "the daemon cannot be reached"),
)
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("pserv init", "a pserv.yaml to start from, made from what is in this folder"),
        ("pserv up", "start what pserv.yaml declares; Ctrl-C stops it"),
        ("pserv up -d", "the same in the background"),
        ("pserv status", "what runs, and what is wrong"),
        ("pserv logs -f web", "what web prints"),
        ("pserv restart web", "waits until it is ready again"),
    ),
    "up": (
        ("pserv up", "everything, until Ctrl-C"),
        ("pserv up -d", "leave it running"),
        ("pserv up db web", "these, and what they depend on"),
        ("pserv up --exit-code-from test", "for CI: ends when test ends, with its exit code"),
    ),
    "down": (("pserv down", "nothing of it is left when this returns"),),
    "daemon": (("pserv daemon -c /etc/pserv/pserv.yaml", "as ExecStart of a unit, or as PID 1 of a container"),),
    "start": (("pserv start", "all that is autostart"), ("pserv start web worker", "these two")),
    "stop": (
        ("pserv stop web", ""),
        ("pserv stop @workers --timeout 30s", "wait at most 30 s"),
        ("pserv stop --all", ""),
    ),
    "scale": (("pserv scale web=4", "web:1 to web:4"), ("pserv scale web=0 api=2", "several at once")),
    "restart": (
        ("pserv restart --rolling web", "all its instances, one after the other"),
        ("pserv restart web", ""),
        ("pserv restart 'web*' --no-wait", "do not wait"),
    ),
    "run": (
        ("pserv run backup", "now, to its end; with its exit code"),
        ("pserv run backup --no-wait", "begin it only"),
    ),
    "reload": (
        ("pserv reload --dry-run", "what would be restarted, and why"),
        ("pserv reload", "apply pserv.yaml as it is now"),
        ("pserv reload --previous", "take the last reload back"),
        ("pserv reload web", "ask web to reload itself, as its option reload says"),
    ),
    "signal": (
        ("pserv signal HUP web", "to its main process"),
        ("pserv signal USR1 web --group", "to its process group"),
    ),
    "exec": (
        ("pserv exec web -- env", "the environment of web"),
        ("pserv exec -i db -- psql < dump.sql", "with a standard input"),
    ),
    "status": (
        ("pserv status", "the table"),
        ("pserv status web", "its story: state, cause, last lines"),
        ("pserv status --json | jq '.services[].state'", "for programs"),
    ),
    "why": (("pserv why worker", "the chain of reasons, and what comes next"),),
    "list": (("pserv list | grep -v running", "what does not run"), ("pserv list --daemons", "whose daemons run here")),
    "logs": (
        ("pserv logs -f", "all, as it comes"),
        ("pserv logs web -n 100", "the last 100 lines"),
        ("pserv logs --since 10m --grep 'timed? ?out'", "of all, through rotated files"),
        ("pserv logs web --run last --level warning", "what the last run warned of"),
        ("pserv logs worker --stream stderr", "only its errors"),
        ("pserv logs --reopen", "postrotate of logrotate"),
    ),
    "events": (
        ("pserv events -f", "decisions as they are made"),
        ("pserv events web --json", "one JSON object a line"),
    ),
    "graph": (
        ("pserv graph web", "what it needs, and what made its start slow"),
        ("pserv graph --dot | dot -Tsvg > services.svg", "as a picture"),
    ),
    "show": (("pserv show web", "argv, environment (secrets masked), user, limits"),),
    "wait": (
        ("pserv wait db --for ready --timeout 30s", "for scripts"),
        ("pserv wait migrate --for done", "until it ended"),
    ),
    "schema": (
        (
            "pserv schema | tee pserv.schema.json",
            "then, as the first line of pserv.yaml: # yaml-language-server: $schema=pserv.schema.json",
        ),
    ),
    "init": (
        ("pserv init", "from a Procfile, compose file, package.json, manage.py, … in this folder"),
        ("pserv init -c other.yaml", "another name: no file is written over"),
    ),
    "check": (("pserv check", "before a reload or a commit"), ("pserv check -c other.yaml", "")),
    "config": (("pserv config web", "with every default"), ("pserv config --running", "what the daemon works from")),
    "upgrade": (("pip install -U pserv && pserv upgrade", "no service is touched"),),
    "version": (("pserv version", ""),),
    "demo": (("pserv demo", "kills its own supervisor, and shows that nobody noticed"),),
    "completion": (
        ("source <(pserv completion bash)", "in ~/.bashrc"),
        ("source <(pserv completion zsh)", "in ~/.zshrc"),
        ("pserv completion fish | source", "in config.fish"),
    ),
}


def show(arguments: Arguments) -> int:
    """Prints the help that fits; 0."""
    screen = terminal.out()
    lines = _command(screen, arguments.command) if arguments.command else _overview(screen)
    for line in lines:
        screen.line(line)
    return 0


def usage(command: Command) -> str:
    return " ".join(part for part in ("pserv", command.name, "[OPTIONS]", command.words) if part)


def _overview(screen: Screen) -> list[str]:
    lines = ["Pserv runs the services of this machine and keeps them alive.", ""]
    lines += [screen.paint("Usage: ", "bold") + "pserv COMMAND [OPTIONS] [NAME…]"]
    for group in GROUPS:
        commands = [command for command in COMMANDS if command.group == group]
        lines += ["", screen.paint(group, "bold")]
        lines += [_row(screen, command.name, command.text, 11) for command in commands]
    lines += ["", screen.paint("Options of every command", "bold"), *_options(screen, COMMON)]
    lines += ["", screen.paint("Examples", "bold"), *_examples(screen, EXAMPLES[""])]
    return _encoded(screen, [*lines, "", "pserv COMMAND --help tells more."])


def _command(screen: Screen, command: Command) -> list[str]:
    lines = [f"{command.text[0].upper()}{command.text[1:]}.", "", screen.paint("Usage: ", "bold") + usage(command)]
    if "NAME" in command.words:
        lines += ["", *wrap(NAMES, screen.width or 100)]
    own = [option for option in options_of(command) if option not in COMMON]
    if own:
        lines += ["", screen.paint("Options", "bold"), *_options(screen, own)]
    lines += ["", screen.paint("Options of every command", "bold"), *_options(screen, COMMON)]
    if examples := EXAMPLES.get(command.name):
        lines += ["", screen.paint("Examples", "bold"), *_examples(screen, examples)]
    lines += ["", screen.paint("Exit codes", "bold")]
    lines += [f"  {code}  {text}" for code, text in EXIT_CODES]
    return _encoded(screen, lines)


def _options(screen: Screen, options: list[Option] | tuple[Option, ...]) -> list[str]:
    lines = []
    for option in options:
        name = f"-{option.short}, --{option.name}" if option.short else f"    --{option.name}"
        metavar = option.metavar if not option.choices else "WORD"
        text = option.text + (f": {', '.join(option.choices)}" if option.choices else "")
        lines.append(_row(screen, f"{name} {metavar}".rstrip(), text, 26))
    return lines


def _examples(screen: Screen, examples: tuple[tuple[str, str], ...]) -> list[str]:
    width = max(len(command) for command, _ in examples)
    return [f"  {command:{width}}  {screen.paint(text, 'dim')}".rstrip() for command, text in examples]


def _row(screen: Screen, name: str, text: str, width: int) -> str:
    pieces = wrap(text, max(screen.width - width - 4, 20)) if screen.width else [text]
    first = f"  {screen.paint(name, 'cyan')}{' ' * (width - len(name))}  {pieces[0]}"
    return "\n".join([first, *(" " * (width + 4) + piece for piece in pieces[1:])])


def _encoded(screen: Screen, lines: list[str]) -> list[str]:
    return lines if screen.unicode else [line.replace("…", "...") for line in lines]
