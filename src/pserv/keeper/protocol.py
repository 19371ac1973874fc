"""The messages between keeper, supervisor and logger. What carries them is in `channel`.

A message is one JSON object with `op`; it may carry descriptors (SCM_RIGHTS, unix(7)). Fields are only ever added;
what a receiver does not know it ignores. Times are seconds on CLOCK_MONOTONIC. A *key* is a service's name, or begins
with `@` for a process of the daemon's own (`@loader`, `@exec/3`); a *run* is a number never used twice by one keeper.

Supervisor to keeper:

`{"op": "do", "key", "note"?, "ack": [report ids], "commands": [...]}`
    One transaction: the keeper stores the note (a string, opaque), forgets the acknowledged reports and carries out
    the commands, or does none of it (`reply` with `error`, when the message has a `seq`). Commands:

    - `{"do": "spawn", "run", "launch": LAUNCH}`
    - `{"do": "signal", "run", "signal", "scope": "main"|"group"|"rest"|"all"}`
    - `{"do": "adopt", "run", "pid"?}` - after `exited`: this process, or the only one that is left and is no child of
      another of the run, is its main process from now on. Report `adopted` or `unadopted` follows.
    - `{"do": "kill", "run"}` - SIGKILL to all of the run, to the fix point; report `gone` follows.
    - `{"do": "forget"}` - drop the record of the key (refused while a run of it lives).
    - `{"do": "discard"}` - close the descriptors that runs of the key gave us to keep.
    - `{"do": "open", "sockets": [SOCKET]}` - have these open for the run that is to come; where one cannot be, none is,
      `listen-failed` of run 0 tells it, and the spawn tries again.
    - `{"do": "listen", "run", "sockets": [SOCKET]}` - have these open, and wait for the first connection or datagram.
    - `{"do": "close"}` - close the listening sockets of the key, and wait for no connection.

    A command may name another `key` than the transaction: that of a hook, `SERVICE!hook`. Its state is in the service's
    note, and both are stored together.

    LAUNCH is `{"argv": [...], "env": {...}, "inherit": true|[names], "cwd", "umask"?, "nice"?, "oom_score_adj"?,
    "limits"? {"nofile": [soft, hard]}, "user"?, "group"?, "groups"? [...], "tty"?, "stdin"?: "null"|"fd",
    "notify"? (true: a socket of its own is NOTIFY_SOCKET, "shared": a common one; kept descriptors are LISTEN_FDS),
    "watchdog"? (microseconds, WATCHDOG_USEC), "ready_fd"? (number of a descriptor on which a line is a `ready` report),
    "sockets"?: [SOCKET] (all that the key has open from now on, handed as the first of LISTEN_FDS),
    "stdout": TARGET, "stderr": TARGET, "banner"?: text written to stdout before exec, "inherited"? : descriptors that
    came with the message are stdin, stdout and stderr in this order}`. TARGET is `{"kind": "file", "path", "mode"?,
    "log"?: LOG}`, `{"kind": "null"}`, `{"kind": "inherit"}`, `{"kind": "stdout"}` (for stderr: the same pipe), or
    `{"kind": "passed"}` (the next descriptor of the message). LOG is how the logger writes it: the options of `log`
    that are not as by default (`pserv.logger.settings`); the keeper does not look into it. SOCKET is
    `{"name", "kind": "tcp"|"udp"|"unix"|"unix-datagram", "host": a number or "" for all, "port", or "path" (`@name`:
    abstract), "backlog", "mode"?, "user"?, "group"?, "reuse_port"?, "freebind"?, "ipv6_only"?}`; one that is open
    stays the same descriptor, whoever named it first.

`{"op": "configure", "shutdown_timeout"?}` with at most one descriptor
    A descriptor is the memfd (or unlinked file) that holds the accepted document; the keeper keeps the last one.

`{"op": "ready", "text"?}`
    The supervisor serves. The first one is passed on to who waits for the daemon's start (`text`, or "ready"); in an
    upgrade it is what the keeper waits for.

`{"op": "fork", "seq", "role", "argument"}`
    A process of the daemon's own code (`reader`); the reply carries one end of a socket pair to it.

`{"op": "loggers", "seq"}`
    The reply has `pids`: the logger's workers, and `dropped`: the number of datagrams that were no notices of ours.

`{"op": "journals", "seq", "key", "run"}`
    The reply has `streams`: `{"stream", "path", "fd"}` of each output of that run that goes to a file, and as
    descriptors the logger's journals, which tell where in the file it begins; `fd` counts them from 0.

`{"op": "reopen", "seq"}`
    Open all log files anew, since somebody renamed them; answered when nothing is written to the old ones any more.

`{"op": "settings", "logs": {key: LOG}}`
    The outputs of the live runs of these keys are written so from now on. LOG is that of TARGET, and replaces it.

`{"op": "upgrade", "seq", "keeper": bool, "argv": [...]}`
    A new supervisor and logger, or the keeper itself, by exec of argv with two more words: the role (supervisor,
    logger, keeper) and the number of a descriptor: the channel, or for `pserv.keeper.main.resume` its state. Before a
    keeper is exchanged the new program is tried with -1: it loads all and exits with 0. The outcome is a report.

`{"op": "finish", "code"}`
    All is stopped: end logger and supervisor, exit with this code.

Keeper to supervisor:

`{"op": "table", "protocol", "version", "boot": {...}, "records": [RECORD], "reports": [REPORT], "end": {...}|null,
  "deaths": [DEATH], "safe": bool, "last_run", "capabilities": {...}}` with descriptors: the listening API sockets in
    the order of `boot.sockets`, then the document if `document` is true, then the lock if `lock` is true (held until
    its last holder ends). First message on a channel. RECORD is `{"key", "note": text|null, "last_run": number|null,
    "run": null | {"run", "pid", "state": "starting"|"running"|"exited", "at", "killing": bool}}`: `run` stands until
    nothing of it is left; "exited" means that `exited` was reported, or will be when the output is drained. DEATH is
    `{"at", "code": number|null, "signal": number|null, "text"}`. `end` is `{"count", "signal", "at"}`; `capabilities`
    is `{"cgroup": bool, "subreaper": bool, "proc": bool, "pidfd": bool, "root": bool}`. Of `boot`: name, run_dir,
    state_dir, sockets (paths), shutdown_timeout, cookie, keeper_pid, started, leftovers, all of `extra`.

`{"op": "report", "id", "kind", "key", "run", ...}` stays until acknowledged. Kinds:

    - `spawned` {pid, at}
    - `spawn-failed` {step, errno, detail, text? (the error in words), at}
    - `exited` {pid, code|null, signal|null, core, oom, at, utime, stime, max_rss (bytes), gone: bool, lines: [last
      lines], printed: bytes}. The logger has drained what was in the pipes, or was given up on. Code and signal are
      both null when the main process itself survived SIGKILL; `gone` with its name follows.
    - `notice` {text, pid, at, main?: pid, stored?: count}: a datagram that a process of the run sent (sd_notify(3)),
      text as it came. `main`: what it named is the main process now. `stored`: so many descriptors are kept for the
      key, when that changed. At most 32 of a run are told and not acknowledged. All that were sent before the end of
      the main process come before `exited`, and likewise
    - `ready` {at}: a line came on the descriptor of `ready_fd`.
    - `adopted` {pid}: the run goes on with another main process; an `exited` for its end follows.
    - `unadopted` {pid|null, text}: it does not, and why.
    - `gone` {survivors: [text], strays: count} follows an `exited` whose `gone` was false, once.
    - `connection` {socket, at}: somebody waits at a socket of a `listen`; once, then it is not looked at any more.
    - `listen-failed` {errno, text, detail, at}: a socket of a `listen` (or of an `open`: run 0) cannot be opened; none
      of them was.
    - `refused` {error}: a `do` without `seq` was not carried out.
    - `upgrade` {ok: bool, text}; key ""
    - `order` {what: "end"|"reload", count, signal}; key ""
    - `logger` {what: "died"|"stuck"|"flowing"|"error"|"restored"|"rotated"|"unrotated", path, text}; key is the
      service's or ""
    - `logger` {what: "dropped", path, lines, bytes, text?}: so much more of its output was dropped, as `rate` says,
      or with `text`, which tells why, as `on_full` says.
    - `unowned` {processes: [text]}: strays that belong to no run that we know; key ""

`{"op": "reply", "seq", "error"?: text}` maybe with descriptors.

`{"op": "end"}`: after `finish`, all is gone and written: answer who still listens, and exit.

`{"op": "yield"}`: a successor is being tried: answer `yielded`, then send nothing. `resume`: it failed.

A signal or kill for a run of the key that is gone already is accepted and does nothing: the news was on its way.

Keeper to logger:

`{"op": "stream", "id", "key", "target": TARGET, "run", "name", "pid", "terminal"?: bool}` with the read end; sent for
    every stream once its process is forked. `name` is stdout, stderr, or output for both in one.
`{"op": "drain", "run", "ids": [...]}`; the logger answers `drained` when the pipes are empty.
`{"op": "target", "id", "target": TARGET}`; `{"op": "reopen", "number"}`; `{"op": "finish"}`: drain all, then exit.
`{"op": "settings", "id", "log": LOG, "run", "name", "pid"}`: told when the LOG of a stream changes.
`{"op": "hello", "holds": [{"worker": n}], "workers": n, "resume": bool, "streams": [STREAM]}` with hold pipe
    (read end, write end) and journal (empty at first) of this worker. First message. When `resume` is true a worker
    before it died: STREAM (the fields of `stream`) are all that its journal may name; `stream` with the
    descriptor follows for each.
`{"op": "release"}`: another worker takes over: take no more from the pipes, empty the hold pipe, answer `released`,
    exit.

Logger to keeper:

`{"op": "drained", "run", "lines": [...], "printed": bytes}`, `{"op": "closed", "id"}` (end of file seen, all written),
`{"op": "stuck", "id", "path", "text"}`, `{"op": "flowing", "id", "path"}`, `{"op": "error", "id", "path", "text"}`,
`{"op": "lost", "id", "lines", "bytes", "text"}` (so much more of it was dropped as `on_full` says, and why),
`{"op": "dropped", "id", "lines", "bytes"}` (so much of it was dropped in all, as its `rate` says; the file tells it),
`{"op": "restored", "id", "path", "text"?}` (writing works again after `error`, or is not needed), `{"op": "released"}`.
`{"op": "reopened", "number"}` (all files of that `reopen` are),
`{"op": "rotated", "id", "path"}` (at most once a second of a file), `{"op": "unrotated", "id", "path", "text"}` (why a
file that is due cannot be rotated or old ones cannot be removed, empty when that works again).
After `stuck` the worker keeps that stream alone: it forgets all others, whose read ends go to another worker.
A worker that was stuck and has then flowed for 10 s says `released` unasked and ends with code 0: its stream goes to
another worker. `closed` of a stream that printed something is told after the answer to its first `drain`, so that its
last lines can be asked for; of all others, and by a worker that is stuck, at once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Message = dict[str, "Any"]

PROTOCOL = 1
