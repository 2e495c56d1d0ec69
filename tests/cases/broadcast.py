"""Rows of the broadcast operators."""

ROWS = []
