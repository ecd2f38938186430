"""Flink's functions in Python: each wraps a pure step and counts what it does.

A Python worker imports this package and the module of its function, and so only what it needs.
"""
