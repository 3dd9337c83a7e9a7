"""`make chaos`: real pods at a real Postgres under a seeded mixture of faults, watched all the time.

`__main__` runs it: `scene` sets up, `schedule` says what happens when, `faults` does it (`node` reaches into the
cluster's node), `witness` and `sampler` look on, `report` gives the verdict.
"""
