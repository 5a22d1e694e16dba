"""The manifests of the benchmark: sleeping busybox containers, and a long file of every kind."""

from __future__ import annotations

IMAGE = "docker.io/library/busybox:1"


def pod(name: str, containers: int) -> str:
    """A pod of `containers` sleepers; grace 0, because a shell's sleep ignores TERM as PID 1."""
    rows = "".join(f'  - {{name: c{i}, image: "{IMAGE}", command: [sleep, "100000"]}}\n' for i in range(containers))
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n{rows}"


def pods(count: int) -> str:
    """`count` pods of one container."""
    return "---\n".join(pod(f"p{i}", 1) for i in range(count))


def documents(count: int) -> str:
    """A file of `count` documents: ConfigMaps, Deployments, Services in turn."""
    made = []
    for i in range(count):
        if i % 3 == 0:
            made.append(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{i}}}\ndata: {{key: value {i}, other: text}}\n")
        elif i % 3 == 1:
            made.append(
                f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}, labels: {{app: a{i}}}}}\nspec:\n  replicas: 2\n"
                f"  selector: {{matchLabels: {{app: a{i}}}}}\n  template:\n    metadata: {{labels: {{app: a{i}}}}}\n    spec:\n"
                f"      containers:\n      - name: main\n        image: {IMAGE}\n        args: [sleep, '1000']\n"
                f"        ports: [{{containerPort: 8080, name: http}}]\n        env: [{{name: A, value: b}}]\n"
                f"        resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}\n"
            )
        else:
            made.append(
                f"apiVersion: v1\nkind: Service\nmetadata: {{name: s{i}}}\nspec:\n  selector: {{app: a{i - 1}}}\n"
                f"  ports: [{{port: 80, targetPort: http}}]\n"
            )
    return "---\n".join(made)
