"""Copying images between transports and the store.

progress.py   what a copy tells while it works
blobs.py      root/blobs: blobs as they came, downloads that can go on, one download at a time for each blob
pull.py       a source into the store
layers.py     the layers of one image, side by side
manifests.py  manifests made for what is sent
push.py       the store, or any source, into a sink
fetch.py      what `pull` is asked for, as sources: names, mirrors, policies, tags
save.py       archives of one or several images
"""
