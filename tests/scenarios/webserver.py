"""nginx as a service of a scenario, and what a web server answers."""

from __future__ import annotations

import http.client
from pathlib import Path

from tests.scenarios.daemon import PATIENCE

_NGINX = """
daemon off;
error_log stderr notice;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ {location}; }}
  }}
}}
"""


def nginx_conf(folder: Path, port: int, location: str) -> str:
    """A configuration that keeps to one folder; `location` is what it does with every request."""
    return _NGINX.format(folder=folder, port=port, location=location)


def get(port: int) -> str:
    """The body of an answer that must be a 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        return body
    finally:
        connection.close()
