"""Rows of the reduce operators."""

ROWS = []
