"""What `poolbudget explain` says: `picture` reads the cluster, `document` and `pods` sort it out, `text` makes lines.

All but `picture` is pure: the same picture at the same moment always gives the same text.
"""
