"""Kustomizations and templates: from a directory, or a file with holes, to the manifests that are played.

`build.build(directory)` gives what `kubectl kustomize` would print; each transformer is a small file over plain trees of dicts and lists.
"""
