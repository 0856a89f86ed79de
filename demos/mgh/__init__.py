"""The problems of Moré, Garbow & Hillstrom (ACM TOMS 7, 1981) as formulas, with the minima that they publish.

`data` holds the measurements that some problems fit; `small` and `variable` are the mathematics, problems 1 to 20 and
21 to 35; `problems` lists all. Run with: python -m demos.mgh
"""
