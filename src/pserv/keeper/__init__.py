"""The parent of all processes: spawns, waits, signals, holds. Standard library only; decides nothing about services."""
