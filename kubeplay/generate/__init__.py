"""From what is stored back to manifests: stored objects without what the server filled in, in canonical order."""
