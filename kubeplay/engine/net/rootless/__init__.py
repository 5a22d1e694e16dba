"""The network of an ordinary user: a namespace of his own, its way out, the host ports that lead into it (docs/decisions/0403)."""
