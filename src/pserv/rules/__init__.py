"""Decisions: pure functions from facts to what to do. No clock, no I/O, no operating system."""
