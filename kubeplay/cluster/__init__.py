"""To a user's Kubernetes cluster and back: kubeconfig, server-side apply, a namespace as files, images pushed."""
