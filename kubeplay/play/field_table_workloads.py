"""The rows of workloads and Services; field_table.py says how to read them."""

from __future__ import annotations

REPLICAS = """
replicas | + | really that many pods
minReadySeconds | + |
selector | + |
selector.matchLabels{} | + |
selector.matchExpressions[] | + |
selector.matchExpressions[].key | + |
selector.matchExpressions[].operator | + |
selector.matchExpressions[].values[] | + |
template | + |
"""

DEPLOYMENT = (
    REPLICAS
    + """
strategy | + |
strategy.type | + |
strategy.rollingUpdate | + |
strategy.rollingUpdate.maxSurge | + |
strategy.rollingUpdate.maxUnavailable | + |
revisionHistoryLimit | + |
progressDeadlineSeconds | + |
paused | + |
"""
)
