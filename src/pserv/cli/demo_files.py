"""The files of `pserv demo`: four services that need nothing but Python."""

from __future__ import annotations

CONFIG = """\
services:
  migrate:
    description: prepares the database, once
    type: oneshot
    command: ["{python}", "-c", "print('the schema is up to date')"]

  web:
    description: a small web server
    command: ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    depends_on: [migrate]
    tags: [front]

  worker:
    description: counts without pause
    command: ["{python}", "-u", "worker.py"]
    env:
      GREETING: hello
    depends_on: [migrate]

  flaky:
    description: cannot work
    type: oneshot
    command: ["{python}", "-c", "import sys; sys.exit('no database at port 5432')"]
    autostart: false
    restart: on-failure:2
    backoff: {{initial: 200ms}}
"""

WORKER = """\
import itertools, os, time

for number in itertools.count(1):
    os.write(1, f"{os.environ['GREETING']} {number}\\n".encode())  # one write, so that nobody reads half a line
    time.sleep(0.005)
"""


def edited(text: str) -> str:
    """The configuration with another greeting."""
    return text.replace("GREETING: hello", "GREETING: good morning")
