"""Pserv supervises the services of one machine; this file holds its version and nothing else."""

__version__ = "0.1.0"
