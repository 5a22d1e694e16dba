"""Pods under random kills: `make chaos`, and a short run of it in the tests (tests/e2e/test_chaos.py)."""
