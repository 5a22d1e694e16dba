"""What `run`, `create` and `pod create` are told, as Kubernetes objects: the flags of a person in, the Pod a cluster takes out. Pure."""
