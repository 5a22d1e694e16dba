"""Volumes of pods: one file per source, `manager.Volumes` in front of them."""
