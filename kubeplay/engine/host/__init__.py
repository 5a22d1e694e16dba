"""The machine under us: system calls, mounts, namespaces, processes, paths. No other room talks to libc."""
