"""Benchmarks: cymx beside what a user would pick instead, in one run.

`python -m benchmarks --help`; README.md tells how it measures.
"""
