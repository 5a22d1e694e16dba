"""Probes: worker.py decides when one is asked and what its answers come to (pure), state.py keeps the results, round.py asks."""
