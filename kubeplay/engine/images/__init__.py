"""Images: names, configurations, archives, and the store that ties them to layers.

reference.py  names as docker and podman write them, normalised
config.py     what an image says about running it, with hostile values made harmless
archive.py    a seekable tar as a directory of blobs
formats.py    docker-archive and OCI layouts: which configs and layers an archive holds
descriptor.py descriptors, manifests and indexes, checked
platforms.py  the member of an index for a platform
transports/   where images come from and go to
registry/     registries: client, logins, registries.conf
copying/      pull, push, save: from a source into the store, out of it into a sink
trust/        policy.json and signatures
changes.py    `image import -c`: Dockerfile instructions as changes to a config
store.py      ImageStore: resolve, load, import, tag, remove
"""
