"""Method and path of each operation, as plain data that the client reads without importing the table and its types."""

from __future__ import annotations

ROUTES: dict[str, tuple[str, str]] = {
    "status": ("GET", "/v1/status"),
    "story": ("GET", "/v1/story"),
    "start": ("POST", "/v1/start"),
    "stop": ("POST", "/v1/stop"),
    "restart": ("POST", "/v1/restart"),
    "scale": ("POST", "/v1/scale"),
    "run": ("POST", "/v1/run"),
    "wait": ("POST", "/v1/wait"),
    "reload": ("POST", "/v1/reload"),
    "configurations": ("GET", "/v1/configurations"),
    "reload_service": ("POST", "/v1/reload-service"),
    "signal": ("POST", "/v1/signal"),
    "exec": ("POST", "/v1/exec"),
    "logs": ("GET", "/v1/logs"),
    "reopen": ("POST", "/v1/logs/reopen"),
    "events": ("GET", "/v1/events"),
    "graph": ("GET", "/v1/graph"),
    "show": ("GET", "/v1/show"),
    "environment": ("GET", "/v1/environment"),
    "config": ("GET", "/v1/config"),
    "down": ("POST", "/v1/down"),
    "upgrade": ("POST", "/v1/upgrade"),
    "version": ("GET", "/v1/version"),
}
"""A test holds it equal to `operations.OPERATIONS`."""
