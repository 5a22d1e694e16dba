"""Everything kubeplay remembers, in one SQLite file (WAL) under the root: see `db.Store`."""
