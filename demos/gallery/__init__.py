"""Differential equations with solutions that are known, each stated and solved in a few lines, and the differences.

Every module has one group: what is solved, the exact or published values, and how far ours may be from them and why
(the truncation error of the grid, mostly). Run with: python -m demos.gallery [NAME …]
"""
