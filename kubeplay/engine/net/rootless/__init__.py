"""The network of an ordinary user: one network namespace of his own, its way out, and the host ports that lead into it (docs/decisions/0403)."""
