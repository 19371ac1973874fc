"""The socket: every operation once, its server and its client."""
