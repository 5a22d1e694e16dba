"""Whether a container that has ended is followed by another instance: pure (RB6, RR1, RR2)."""

from __future__ import annotations

from kubeplay.plan.container import INIT, ContainerPlan

RESTART, RESTART_ALL = "Restart", "RestartAllContainers"
CHANGED = "changed"  # killed because its definition changed (RB7)


def rule(plan: ContainerPlan, exit_code: int | None) -> str:
    """The action of the first rule that this exit code fits, "" when none does (RR1)."""
    for each in plan.restart_rules:
        if exit_code is not None and (exit_code in each.codes) == (each.operator == "In"):
            return each.action
    return ""


def follows(plan: ContainerPlan, exit_code: int | None, killed: str = "") -> bool:
    """Whether another instance follows one that ended with `exit_code`; `killed` is why we ended it ourselves, "" = it ended by itself.

    What a probe killed follows the container's policy alone, whatever it ended with (RR1); what was changed is always started (RB7).
    """
    if killed:
        return killed == CHANGED or plan.restart_policy != "Never"
    if plan.kind == INIT and exit_code == 0:
        return False  # it has done its work (IN1)
    if rule(plan, exit_code):
        return True
    if plan.restart_policy == "Never":
        return False
    return plan.restart_policy == "Always" or exit_code != 0
