"""The parts of `tests.bench.bench_modes`: ways of giving an application its connections, measured side by side.

`arms` is what is compared and under which load; `scene` sets it up and takes it down; `cell` measures one arm under one
load, with `programs` and `processors`; `outcome` makes the table. `application` and `generator` run inside pods.
"""
