"""Quadlet: unit files that say what to play, made into services of systemd's by a generator at boot (podman-kube-facts.md 1.5)."""
