"""Pipes to files, exactly once. Imports the keeper's protocol and nothing else of ours."""
