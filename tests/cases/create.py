"""Rows of the create operators."""

ROWS = []
