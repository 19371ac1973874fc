"""The loop: event -> rules -> effects -> tell."""
