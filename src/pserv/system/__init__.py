"""Effects of the supervisor on the system: its side of the keeper and of the logger."""
