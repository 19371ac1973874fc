"""Bytes behind a descriptor and under no name, for those who may not import the keeper's modules."""

from pserv.keeper.memory import holding

__all__ = ("holding",)
