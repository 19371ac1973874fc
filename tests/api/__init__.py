"""Tests of pserv.api."""
