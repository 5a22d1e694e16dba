"""Where images come from and go to: a registry, an OCI layout, an archive, a directory, this root's own store."""
