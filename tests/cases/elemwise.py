"""Rows of the elemwise operators."""

ROWS = []
