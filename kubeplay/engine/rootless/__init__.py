"""Work for an ordinary user: the user's namespaces, who holds them, and how a command gets into them (docs/decisions/0401-rootless.md)."""
