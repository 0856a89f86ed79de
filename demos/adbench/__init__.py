"""The objectives of ADBench (Srajer, Kukelova & Fitzgibbon 2018) as formulas, with derivatives of every kind.

`gmm`, `ba`, `lstm` and `hand` are the mathematics; `problems` says which derivatives are asked for; `truth` reads
references where there are some. Run with: python -m demos.adbench
"""
