"""A directory, a git repository or an OCI artifact, followed: what is there runs here."""
