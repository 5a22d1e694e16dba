"""What probes and hooks ask or do: httpGet, tcpSocket, grpc, exec (PR6-PR9, LH3).

Each handler is a generator that says which descriptors it waits for, so that one thread can have hundreds under way (probes), or one
caller waits for a single one (hooks): steps.py. What people see are the texts of a kubelet, which is a Go program.
"""
