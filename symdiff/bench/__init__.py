"""Measure symdiff beside other libraries: what `symdiff bench` runs. Nothing else imports this folder.

A case is stated in `cases`; what each library does with it is in `ours` and in the modules `peer_…`.
"""
