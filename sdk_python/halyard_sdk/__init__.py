"""Halyard SDK."""
