"""Every command by its words; the module of a command is imported when the command is used."""

from __future__ import annotations

from kubeplay.cli.declare import Command


class Group(dict[str, "Group | str"]):
    """A noun: its commands by name, each "module:attribute" in this package."""

    def __init__(self, help: str, module: str = "", own: str = "", also: dict[str, Group | str] | None = None) -> None:
        """`own`: commands named as their attributes of `module`; `also`: the rest."""
        super().__init__({name: f"{module}:{name}" for name in own.split()})
        self.help = help
        self.update(also or {})


def _object(help: str, kind: str) -> Group:
    verbs = {verb: f"objects:{kind}_{name}" for verb, name in (("list", "ls"), *((v, v) for v in ("ls", "inspect", "rm", "exists")))}
    return Group(help, also={"create": f"objectcreate:{kind}_create", **verbs})


_POD_VERBS = {f"{verb}": f"lifecycle:pod_{verb}" for verb in ("stop", "start", "restart", "kill", "rm")}
_POD_VERBS |= {"create": "podmaking:create", "clone": "podmaking:clone", "prune": "pruning:pod_prune"}
_MADE_BY_HAND = {"run": "run:run", "create": "run:create", "clone": "podmaking:container_clone", "prune": "pruning:container_prune",
                 "init": "pruning:init", "rename": "pruning:rename"}  # fmt: skip

TREE = Group(
    "Play Kubernetes files on this machine, and read them back.",
    also={
        "play": Group("Create what Kubernetes files describe.", also={"kube": "play:play"}),
        "kube": Group("Play, remove and generate Kubernetes files.", "play", "play down", {
            "generate": "generate:generate", "check": "judging:check",
            "plan": "planning:plan", "diff": "differing:diff",
            "pull": "clusterpull:pull", "push-images": "clusterimages:push_images",
            "apply": "clusterapply:apply", "history": "history:history", "rollback": "history:rollback"}),
        "generate": Group("Write Kubernetes files, or systemd units, from what is stored.",
                          also={"kube": "generate:generate", "systemd": "boot:systemd", "quadlet": "quadlet:quadlet"}),
        "down": "play:down",
        "kustomize": "kustomizing:kustomize",
        "run": "run:run",
        "create": "run:create",
        "init": "pruning:init",
        "rename": "pruning:rename",
        "ps": "containers:ps",
        "port": "containers:port",
        "top": "containers:top",
        "logs": "output:logs",
        "exec": "execution:exec_",
        "cp": "execution:cp",
        "inspect": "inspection:inspect",
        "commit": "commit:commit",
        "export": "commit:export",
        "diff": "commit:diff",
        "mount": "imagefs:mount",
        "unmount": "imagefs:unmount",
        "umount": "imagefs:unmount",
        **{verb: f"lifecycle:{verb}" for verb in ("stop", "start", "restart", "kill", "rm", "wait")},
        "version": "system:version",
        "info": "system:info",
        "pod": Group("Pods.", "pods", "ps exists", {"ls": "pods:ps", "list": "pods:ps", "inspect": "inspection:pod_inspect",
                                                    "logs": "output:pod_logs", "stats": "stats:pod_stats", "top": "containers:pod_top",
                                                    "pause": "pausing:pod_pause", "unpause": "pausing:pod_unpause",
                                                    "condition": "conditions:condition", **_POD_VERBS}),
        "container": Group(
            "Containers of pods.", "lifecycle", "stop start restart kill rm wait",
            {**_MADE_BY_HAND, "inspect": "inspection:container_inspect", "exists": "containers:exists",
             "ls": "containers:ps", "list": "containers:ps", "ps": "containers:ps", "port": "containers:port", "top": "containers:top",
             "stats": "stats:stats", "update": "update:update", "pause": "pausing:pause", "unpause": "pausing:unpause",
             "logs": "output:logs", "exec": "execution:exec_", "attach": "attach:attach", "cp": "execution:cp",
             "commit": "commit:commit", "export": "commit:export",
             "diff": "commit:container_diff", "mount": "imagefs:mount", "unmount": "imagefs:unmount", "umount": "imagefs:unmount"},
        ),
        "image": Group("Images.", "image", "ls rm inspect tag exists", {"list": "image:ls", "import": "image:import_",
                 "build": "build:build",
                 "scp": "scp:scp", **{verb: f"transfer:{verb}" for verb in ("pull", "push", "save", "load")},
                                                                                    "diff": "commit:image_diff",
                 "history": "imagefs:history", "tree": "imagefs:tree",
                 "mount": "imagefs:image_mount", "unmount": "imagefs:image_unmount", "umount": "imagefs:image_unmount",
                 "untag": "image:untag", "prune": "imagefs:prune", "sign": "trust:sign",
                 "trust": Group("What is asked of images before they are used.", "trust", "show", {"set": "trust:set_"})}),
        "build": "build:build",
        "images": "image:ls",
        "manifest": Group("Manifest lists: one name for the images of several platforms.", "manifest",
                          "create add annotate inspect push remove rm exists"),
        "rmi": "image:rm",
        "tag": "image:tag",
        "untag": "image:untag",
        "history": "imagefs:history",
        **{verb: f"transfer:{verb}" for verb in ("pull", "push", "save", "load")},
        "import": "image:import_",
        "login": "login:login",
        "logout": "login:logout",
        "search": "login:search",
        "volume": Group("Volumes; a claim uses the one of its name.", "volume", "ls inspect rm create exists prune export",
                        {"list": "volume:ls", "import": "volume:import_"}),
        "network": Group("Networks.", "network", "ls inspect create rm exists prune", {"list": "network:ls", **{
            verb: f"networkpods:{verb}" for verb in ("connect", "disconnect", "reload")}}),
        "job": Group("Jobs.", "jobmaking", "create"),
        "secret": _object("Secrets.", "secret"),
        "configmap": _object("ConfigMaps.", "configmap"),
        "events": "events:events",
        "stats": "stats:stats",
        "update": "update:update",
        "pause": "pausing:pause",
        "unpause": "pausing:unpause",
        "get": "get:get",
        "api-resources": "apiresources:api_resources",
        "api-versions": "apiresources:api_versions",
        "explain": "explain:explain",
        "schema": Group("JSON Schemas of the kinds, for editors.", "schema", "export"),
        "delete": "deleting:delete",
        "drain": "draining:drain",
        "label": "marking:label",
        "annotate": "marking:annotate",
        "scale": "scaling:scale",
        "autoscale": "scaling:autoscale",
        "expose": "exposing:expose",
        "rollout": Group("Rollouts of workloads.", "rollout", "status history undo restart pause resume"),
        "set": Group("Fields of objects.", "setting", "image env resources serviceaccount"),
        "describe": "describe:describe",
        "port-forward": "portforward:port_forward",
        "attach": "attach:attach",
        "healthcheck": Group("Probes of containers.", also={"run": "healthcheck:run"}),
        "debug": "debug:debug",
        "system": Group("This machine, and kubeplay on it.", "system", "check reset", {
            "df": "disk:df", "prune": "disk:prune", "suspend": "boot:suspend", "resume": "boot:resume",
            "generator": "quadlet:generator", "install-generator": "quadlet:install_generator"}),
        "sync": "sync:sync",
        "unshare": "unshare:unshare",
        "completion": "completion:completion",
    },
)  # fmt: skip

# Second names: they work everywhere, help shows the first one only.
HIDDEN = frozenset({"list", "umount"})


def load(target: str) -> Command:
    """The command a leaf of the tree names."""
    from importlib import import_module

    module, _, attribute = target.partition(":")
    found = getattr(import_module(f"kubeplay.cli.{module}"), attribute)
    assert isinstance(found, Command), target
    return found
