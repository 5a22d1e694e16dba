"""From elsewhere: compose files and inspected containers as manifests; pure, files are read through what the caller hands in."""
