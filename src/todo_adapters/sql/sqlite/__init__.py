"""The port `Tasks` over a SQLite file.

`worker.py` groups concurrent writes into one transaction; `texts.py` lists every statement.
"""
