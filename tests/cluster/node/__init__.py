"""The node image and the engine for machines without a reachable registry, from Debian packages and Go modules.

kit.py is the entrance. Everything below this folder is an input of the build: a change of any file makes a new kit.
"""
