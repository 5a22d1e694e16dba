"""The rows of Job and CronJob; field_table.py says how to read them."""

from __future__ import annotations

JOB = """
parallelism | + | at most 500 pods are made in one go
completions | + |
completionMode | + | Indexed pods have the index in their name, host name, label, annotation and environment
backoffLimit | + | with the controller's back-off
backoffLimitPerIndex | + |
maxFailedIndexes | + |
activeDeadlineSeconds | + |
ttlSecondsAfterFinished | + |
suspend | + |
podReplacementPolicy | + |
podFailurePolicy | + |
podFailurePolicy.rules[] | + |
podFailurePolicy.rules[].action | + |
podFailurePolicy.rules[].onExitCodes | + |
podFailurePolicy.rules[].onExitCodes.containerName | + |
podFailurePolicy.rules[].onExitCodes.operator | + |
podFailurePolicy.rules[].onExitCodes.values[] | + |
podFailurePolicy.rules[].onPodConditions[] | + |
podFailurePolicy.rules[].onPodConditions[].type | + |
podFailurePolicy.rules[].onPodConditions[].status | + |
successPolicy | + |
successPolicy.rules[] | + |
successPolicy.rules[].succeededIndexes | + |
successPolicy.rules[].succeededCount | + |
managedBy | + | a Job of another manager is stored and left alone
manualSelector | + | the labels are the author's; pods of others are not adopted
selector | + | made of the Job's uid unless manualSelector
selector.matchLabels{} | + |
selector.matchExpressions[] | + |
selector.matchExpressions[].key | + |
selector.matchExpressions[].operator | + |
selector.matchExpressions[].values[] | + |
template | + |
"""

CRON_JOB = """
schedule | + | robfig/cron's grammar, as Kubernetes reads it
timeZone | + | the machine's own where it is not given
startingDeadlineSeconds | + |
concurrencyPolicy | + |
suspend | + |
successfulJobsHistoryLimit | + |
failedJobsHistoryLimit | + |
jobTemplate | + |
jobTemplate.metadata | + |
jobTemplate.spec | + |
"""
