"""Layers: a tar stream becomes a directory that overlayfs can stack, stored once by diff id.

stream.py    a blob in pieces: size-limited, decompressed, hashed on the other core while it passes
tar.py       tar headers as bytes (ustar, PAX, GNU, sparse); no file system access at all
extract.py   entries written below one directory descriptor, never outside of it
depot.py     root/layers: one directory per diff id, made under a temporary name and renamed
overlay.py   the snapshotter: stacks of layers mounted for containers and image volumes
tree.py      removing directory trees without following a link
"""
