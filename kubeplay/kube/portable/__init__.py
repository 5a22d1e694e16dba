"""What works in one place and not in the other: manifests judged for a cluster, or for this machine. Pure.

`model` has the record, `findings` the one call, `pod` and `objects` the rules for a cluster, `local` those for this machine.
"""
