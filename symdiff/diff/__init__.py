"""Differentiation: forward, reverse, symbolic, by columns, by differences, and the comparison of them all."""
