"""Measures: numbers that say how good a dataset or a judge is, from plain values."""
