"""Tables of other people's packages, adopted one by one: see `tools/bench_tables.py`."""
