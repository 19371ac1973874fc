"""Nouns: what the other folders talk about. Imports nothing of ours."""
