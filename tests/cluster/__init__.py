"""A kind cluster on any Linux machine, and the images that the tests load into it.

``python -m tests.cluster`` makes and reaches the cluster of this checkout, ``python -m tests.cluster.images`` builds
the images; docs/cluster.md tells how. Only the standard library is used: both start fast, and before any dependency.
"""
