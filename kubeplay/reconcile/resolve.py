"""Everything a container's plan leaves open, looked up just before it is made (EN6): env, command, args, subPaths."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.kube import envfile, environment
from kubeplay.kube.downward import one_of_each_family
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.env import EnvLiteral
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile import node, service_env, services, system
from kubeplay.reconcile.objects import Contents

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


class Resolver:
    """Resolves the containers of one pod; objects and Services are read once for all of them."""

    def __init__(self, engine: Engine, uid: str, plan: PodPlan, addresses: tuple[str, ...], hosts: tuple[str, ...]) -> None:
        self.contents = Contents(engine.store, plan.namespace)
        self._engine, self._uid, self._plan = engine, uid, plan
        host = tuple([one for one in hosts if one])
        own = host if plan.sandbox.host_network else one_of_each_family(addresses)  # such a pod's address is the node's, as its status says
        self._facts = environment.facts_of(plan, uid, own, host, os.uname().nodename)
        known = [] if plan.namespace == system.NAMESPACE else [services.master(engine), *services.plans(engine)]
        self._variables = service_env.variables(known, plan.namespace, plan.service_links)

    def resolve(self, container: ContainerPlan) -> Resolved:
        """Raises ContainerError with reason CreateContainerConfigError (EN5, EN3)."""
        if container.host_rootfs:  # our own system pods run the host's programs and read nothing from a manifest
            env = tuple([(entry.name, entry.value) for entry in container.env if isinstance(entry, EnvLiteral)])
            return Resolved(env, container.command, container.args, tuple([m.sub_path for m in container.mounts]))
        return environment.resolve(self._plan, container, self._facts, node.facts(), self.contents.text, self._variables, self._file)

    def _file(self, volume: str, path: str) -> tuple[str, bytes | None]:
        """A file of a volume: its place on the host and its content (EN5)."""
        return self._engine.volumes.read(self._uid, self._plan, volume, path, envfile.MOST)
