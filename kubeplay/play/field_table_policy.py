"""The rows of kinds that rule over others; field_table.py says how to read them."""

from __future__ import annotations

_NOBODY = "nobody asks for permission on one machine"

ROLE = f"""
rules[] | o | {_NOBODY}
"""

CLUSTER_ROLE = (
    ROLE
    + f"""
aggregationRule | o | {_NOBODY}
"""
)

BINDING = f"""
roleRef | o | {_NOBODY}
subjects[] | o | {_NOBODY}
"""

SERVICE_ACCOUNT = """
secrets[] | o | tokens are signed where a pod asks for one
imagePullSecrets[] | + |
imagePullSecrets[].name | + |
automountServiceAccountToken | o | a token is mounted where a pod asks for one
"""

PRIORITY_CLASS = """
value | + |
globalDefault | + |
description | + |
preemptionPolicy | o | nothing is preempted
"""

LIMIT_RANGE = """
limits[] | + |
limits[].type | + |
limits[].max{} | + |
limits[].min{} | + |
limits[].default{} | + |
limits[].defaultRequest{} | + |
limits[].maxLimitRequestRatio{} | + |
"""

RESOURCE_QUOTA = """
hard{} | + |
scopes[] | + |
scopeSelector | + |
scopeSelector.matchExpressions[] | + |
scopeSelector.matchExpressions[].scopeName | + |
scopeSelector.matchExpressions[].operator | + |
scopeSelector.matchExpressions[].values[] | + |
"""
