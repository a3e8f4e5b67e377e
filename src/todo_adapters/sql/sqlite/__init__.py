"""The port `Tasks` over a SQLite file. `worker.py` runs and groups the calls, `texts.py` lists every statement."""
