"""Words about what makes pods, and about budgets and autoscaling; words.py says how to read the lines."""

from __future__ import annotations

WORDS = """
Deployment | pods that are all alike, replaced step by step when they change
DeploymentSpec | how many pods, of what, replaced how
 replicas | 1 | how many pods
 selector | | which pods are its own; must fit the template's labels, and never changes
 template | | what pods are made of
 strategy | | how old pods are replaced
 minReadySeconds | 0 | seconds that a pod must be ready to count
 revisionHistoryLimit | 10 | how many old ReplicaSets are kept to go back to
 progressDeadlineSeconds | 600 | seconds without progress after which a rollout has failed
 paused | false | whether changes wait
DeploymentStrategy | how old pods are replaced
 type | RollingUpdate | RollingUpdate, or Recreate: all old ones go first
 rollingUpdate | | how many at once
RollingUpdateDeployment | how many pods at once
 maxSurge | 25% | pods above replicas, a number or a percentage
 maxUnavailable | 25% | pods below replicas, a number or a percentage
ReplicaSet | that many pods that are all alike
ReplicaSetSpec | how many pods, of what
 replicas | 1 | how many pods
 selector | | which pods are its own
 template | | what pods are made of
 minReadySeconds | 0 | seconds that a pod must be ready to count
StatefulSet | pods with names and volumes of their own, one after the other
StatefulSetSpec | how many pods, of what, with which volumes
 replicas | 1 | how many pods
 selector | | which pods are its own
 template | | what pods are made of
 serviceName | | the headless Service that gives pods their names
 volumeClaimTemplates | | a claim for each pod, which stays when the pod goes
 podManagementPolicy | OrderedReady | OrderedReady, or Parallel
 updateStrategy | | how old pods are replaced
 persistentVolumeClaimRetentionPolicy | | whether claims go with pods
 ordinals | | how pods are counted
 minReadySeconds | 0 | seconds that a pod must be ready to count
 revisionHistoryLimit | 10 | how many old revisions are kept to go back to
StatefulSetOrdinals | how pods are counted
 start | 0 | the first number
StatefulSetPersistentVolumeClaimRetentionPolicy | whether claims go with pods
 whenDeleted | Retain | Retain or Delete, when the set is deleted
 whenScaled | Retain | Retain or Delete, when it is scaled down
StatefulSetUpdateStrategy | how old pods are replaced
 type | RollingUpdate | RollingUpdate, or OnDelete: by whoever deletes them
 rollingUpdate | | which, and how many at once
RollingUpdateStatefulSetStrategy | which pods are replaced
 partition | 0 | only those from this number on
 maxUnavailable | 1 | how many at once
DaemonSet | a pod on every node
DaemonSetSpec | what runs on every node
 selector | | which pods are its own
 template | | what pods are made of
 updateStrategy | | how old pods are replaced
 minReadySeconds | 0 | seconds that a pod must be ready to count
 revisionHistoryLimit | 10 | how many old revisions are kept to go back to
DaemonSetUpdateStrategy | how old pods are replaced
 type | RollingUpdate | RollingUpdate, or OnDelete: by whoever deletes them
 rollingUpdate | | how many at once
RollingUpdateDaemonSet | how many nodes at once
 maxSurge | 0 | nodes that have both pods for a while
 maxUnavailable | 1 | nodes that have none for a while
ControllerRevision | an old state of a StatefulSet or DaemonSet
 data | | the state
 revision | | its number
Job | pods that run until enough of them have succeeded
JobSpec | what runs, how often, and when it has failed
 template | | what pods are made of; restartPolicy Never or OnFailure
 completions | 1 | how many pods must succeed
 parallelism | 1 | how many run at once
 completionMode | NonIndexed | NonIndexed, or Indexed: each pod has a number
 backoffLimit | 6 | failures after which it is given up
 backoffLimitPerIndex | | the same for each number
 maxFailedIndexes | | numbers that may fail
 activeDeadlineSeconds | | seconds that it may take
 ttlSecondsAfterFinished | | seconds after its end when it is deleted
 suspend | false | whether no pods run for now
 podFailurePolicy | | what a failure of a pod means
 podReplacementPolicy | TerminatingOrFailed | TerminatingOrFailed, or Failed: when a pod is replaced
 successPolicy | | when an Indexed Job has succeeded early
 managedBy | kubernetes.io/job-controller | who looks after it
 manualSelector | false | whether selector is the author's
 selector | | which pods are its own; made by the controller
JobTemplateSpec | what Jobs are made of
PodFailurePolicy | what failures mean
 rules | | the first that fits counts
PodFailurePolicyRule | what one failure means
 action | | FailJob, FailIndex, Ignore or Count
 onExitCodes | | for these exit statuses
 onPodConditions | | for these conditions of the pod
PodFailurePolicyOnExitCodesRequirement | exit statuses
 containerName | any | of this container
 operator | | In or NotIn
 values | | the statuses
PodFailurePolicyOnPodConditionsPattern | a condition
 type | | its type
 status | True | its status
SuccessPolicy | when a Job has succeeded early
 rules | | one must fit
SuccessPolicyRule | pods that are enough
 succeededIndexes | | these numbers, as 0,2-4
 succeededCount | | so many of them
CronJob | a Job made again and again
CronJobSpec | when, and what
 schedule | | minute hour day month weekday, or @hourly and its like
 timeZone | the controller's | as Europe/Berlin
 jobTemplate | | what Jobs are made of
 concurrencyPolicy | Allow | Allow, Forbid or Replace, while the last one still runs
 startingDeadlineSeconds | | seconds that one may be late
 suspend | false | whether none are made for now
 successfulJobsHistoryLimit | 3 | how many that succeeded are kept
 failedJobsHistoryLimit | 1 | how many that failed are kept
PodDisruptionBudget | how many pods may be taken away on purpose
PodDisruptionBudgetSpec | how many must stay; one of the two
 minAvailable | | pods that must stay, a number or a percentage
 maxUnavailable | | pods that may be missing, a number or a percentage
 selector | | which pods
 unhealthyPodEvictionPolicy | IfHealthyBudget | IfHealthyBudget or AlwaysAllow: whether unready ones may always go
HorizontalPodAutoscaler | changes how many pods there are by what they use
HorizontalPodAutoscalerSpec | what is scaled, and how far
 scaleTargetRef | | what is scaled
 minReplicas | 1 | fewest pods
 maxReplicas | | most pods
 targetCPUUtilizationPercentage | 80 | CPU use that is aimed at, in percent of the requests
V2HorizontalPodAutoscaler | changes how many pods there are by what they use
V2HorizontalPodAutoscalerSpec | what is scaled, by what, how far
 scaleTargetRef | | what is scaled
 minReplicas | 1 | fewest pods
 maxReplicas | | most pods
 metrics | CPU at 80 % | what is measured; the one that wants most pods counts
 behavior | | how fast it goes up and down
V2MetricSpec | something that is measured
 type | | Resource, ContainerResource, Pods, Object or External
 resource | | CPU or memory of the pods
 containerResource | | CPU or memory of one of their containers
 pods | | a number of each pod's
 object | | a number of another object's
 external | | a number from elsewhere
V2ResourceMetricSource | a resource
 name | | cpu or memory
 target | | what is aimed at
V2ContainerResourceMetricSource | a resource of a container
 name | | cpu or memory
 container | | the container
 target | | what is aimed at
V2MetricTarget | what is aimed at
 type | | Utilization, AverageValue or Value
 averageUtilization | | percent of the requests
 averageValue | | amount for each pod
 value | | amount in all
V2MetricIdentifier | a number that somebody serves
 name | | its name
 selector | | its labels
V2PodsMetricSource | a number of each pod's
 metric | | which
 target | | what is aimed at
V2ObjectMetricSource | a number of another object's
 describedObject | | the object
 metric | | which
 target | | what is aimed at
V2ExternalMetricSource | a number from elsewhere
 metric | | which
 target | | what is aimed at
V2HorizontalPodAutoscalerBehavior | how fast it scales
 scaleUp | | up
 scaleDown | | down
V2HPAScalingRules | how fast, in one direction
 stabilizationWindowSeconds | 0 up, 300 down | seconds of past recommendations that are looked at
 selectPolicy | Max | Max, Min or Disabled: which policy counts
 policies | | how far in which time
 tolerance | | difference that is let be
V2HPAScalingPolicy | how far in which time
 type | | Pods or Percent
 value | | how many
 periodSeconds | | in how many seconds
"""
