"""Containerfiles to images: parse and plan (pure), then steps that run in our own engine."""
