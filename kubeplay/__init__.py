"""kubeplay: Kubernetes files are the local format for containers."""

__version__ = "0.1.0"
