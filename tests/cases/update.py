"""Rows of the update operators."""

ROWS = []
