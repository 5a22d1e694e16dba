"""Layers: a tar stream becomes a directory that overlayfs can stack, stored once by diff id; and back.

stream.py      a blob in pieces, from a file or a network reader: size-limited, decompressed, hashed on the other core while it passes
decompress.py  gzip, zstd, bzip2, xz, never more than a piece at a time; frames.py knows where zstd frames end
tar.py         tar headers as bytes (ustar, PAX, GNU, sparse); no file system access at all
extract.py     entries written below one directory descriptor, never outside of it; replaced.py keeps what a later entry replaces
depot.py       root/layers: one directory per diff id, made under a temporary name and renamed; records.py is what lies beside the files
write.py       a stored layer as the tar it was, byte by byte; any tree as a tar (walk.py: which entries; encode.py: their headers)
commit.py      a new layer out of an overlay upper directory, copied or moved into place
compress.py    a tar packed while it is read, for push and save
overlay.py     the snapshotter: stacks of layers mounted for containers and image volumes
tree.py        removing directory trees without following a link
"""
