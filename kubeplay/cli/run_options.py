"""The options of run and create, under podman's names; what they become is in play/imperative."""

from __future__ import annotations

from kubeplay.cli.declare import FLAG, Option, flag, integer, many, text

IMAGE_OPTIONS: tuple[Option, ...] = (
    text("--pull", help="When to pull the image: always, missing, never or newer.", default="missing", metavar="POLICY"),
    text("--authfile", help="Logins for this pull, instead of the usual auth files.", metavar="FILE", complete="file"),
    text("--cert-dir", help="Certificates and keys for this pull, instead of certs.d.", metavar="DIR", complete="file"),
    text("--creds", help="Who to be at the registry; without a password it is asked for.", metavar="USER[:PASSWORD]"),
    Option(("--tls-verify",), "Whether the registry's certificate is checked; if not given, registries.conf says.", "tls_verify",
           FLAG, None),
    text("--signature-policy", help="Trust policy for this pull.", metavar="FILE", hidden=True),
    flag("-q", "--quiet", help="Print no progress of pulls."),
)

# what a container has of its own, also in a pod with others
CONTAINER_OPTIONS: tuple[Option, ...] = (
    many("-e", "--env", help="Set a variable; NAME alone passes ours on, NAME* all that begin so.", metavar="NAME[=VALUE]"),
    many("--env-file", help="Set the variables of a file.", metavar="FILE", complete="file"),
    text("--entrypoint", help="Run this instead of the image's entrypoint: a program, or a JSON list of words.", metavar="COMMAND"),
    text("-w", "--workdir", help="Directory to run in.", metavar="DIR"),
    text("-u", "--user", help="Run as this user, by number, or by name as the image has it.", metavar="USER[:GROUP]"),
    flag("-i", "--interactive", help="Keep standard input open, and pass ours on."),
    flag("-t", "--tty", help="Give the container a terminal."),
    many("-v", "--volume", help="Mount a path of this machine, a named volume, or a new empty one.", metavar="[SOURCE:]PATH[:OPTIONS]"),
    many("--mount", help="The same in words: type=bind|volume|tmpfs|image,source=...,target=...", metavar="WORDS"),
    many("--tmpfs", help="Mount an empty file system in memory; options: size=64m, ro.", metavar="PATH[:OPTIONS]"),
    many("--secret", help="Give it a Secret, as a file below /run/secrets or as a variable.", metavar="NAME[,type=env][,target=TARGET]"),
    many("--device", help="Let the container use a device of this machine.", metavar="DEVICE[:PATH]"),
    text("--shm-size", help="Size of /dev/shm.", metavar="SIZE"),
    flag("--read-only", help="Mount the container's root file system read-only."),
    flag("--read-only-tmpfs", help="With --read-only: /run, /tmp and /var/tmp are in memory.", default=True),
    text("-m", "--memory", help="Memory limit, as 512m.", metavar="SIZE"),
    text("--memory-reservation", help="Memory that is asked for, as 256m.", metavar="SIZE"),
    text("--memory-swap", help="Only the value of --memory: containers get no swap.", metavar="SIZE"),
    text("--cpus", help="Number of CPUs at most, as 1.5.", metavar="NUMBER"),
    integer("-c", "--cpu-shares", help="Weight among others that want the CPU; 1024 is that of one CPU."),
    text("--cpuset-cpus", help="CPUs to run on, as 0-3,7.", metavar="LIST"),
    text("--cpuset-mems", help="Memory nodes to use.", metavar="LIST"),
    integer("--pids-limit", help="Processes at most; 0 and -1 are no limit."),
    many("--cap-add", help="Add capabilities, or ALL.", metavar="NAME"),
    many("--cap-drop", help="Take capabilities away, or ALL.", metavar="NAME"),
    flag("--privileged", help="Every capability and device, and nothing hidden."),
    many("--security-opt", help="no-new-privileges, seccomp=FILE|unconfined, apparmor=NAME|unconfined, label=..., unmask=ALL.",
         metavar="OPTION"),
    text("--stop-signal", help="Signal that stops the container, instead of the image's.", metavar="SIGNAL"),
    text("--restart", help="What follows an end: no, on-failure, always, unless-stopped.", metavar="POLICY"),
    text("--health-cmd", help="Ask this command whether the container is well; none: ask nothing.", metavar="COMMAND"),
    text("--health-interval", help="Time between two health checks (30s).", metavar="DURATION"),
    integer("--health-retries", help="Failures in a row that make it unhealthy (3)."),
    text("--health-start-period", help="Time before the first health check.", metavar="DURATION"),
    text("--health-timeout", help="Time a health check may take (30s).", metavar="DURATION"),
    text("--health-on-failure", help="What follows: none (the pod is not ready), restart, kill or stop.", metavar="ACTION"),
    text("--health-startup-cmd", help="Until this command succeeds, no other health check is asked.", metavar="COMMAND"),
    text("--health-startup-interval", help="Time between two startup checks (30s).", metavar="DURATION"),
    integer("--health-startup-retries", help="Failures in a row that end the start (3)."),
    text("--health-startup-timeout", help="Time a startup check may take (30s).", metavar="DURATION"),
    flag("--no-healthcheck", help="No health check; an image's own is never used."),
)  # fmt: skip

# what is the pod's, so not for a container that joins one
POD_OPTIONS: tuple[Option, ...] = (
    many("-p", "--publish", help="Publish a port; at a free one of this machine if HOST is not given.",
         metavar="[[IP:]HOST:]PORT[/PROTOCOL]"),
    many("--network", "--net", dest="network", help="Join this network: bridge, host, none, NAME[:ip=IP,mac=MAC,alias=NAME].",
         complete="network"),
    many("--ip", help="Address in the network.", metavar="IP"),
    many("--mac-address", help="MAC address in the network.", metavar="MAC"),
    many("--ip6", help="IPv6 address in the network.", metavar="IP"),
    many("--network-alias", help="A name more in its networks.", metavar="NAME"),
    text("-h", "--hostname", help="Host name.", metavar="NAME"),
    many("--add-host", help="A line of /etc/hosts.", metavar="NAME:IP"),
    many("--dns", help="Ask this name server, and no other.", metavar="IP"),
    many("--dns-option", "--dns-opt", dest="dns_option", help="Option of resolv.conf.", metavar="OPTION"),
    many("--dns-search", help="Search domain.", metavar="DOMAIN"),
    text("--pid", help="host: the machine's processes.", metavar="MODE"),
    text("--ipc", help="host: the machine's shared memory.", metavar="MODE"),
    text("--uts", help="Accepted for podman's sake: private.", metavar="MODE"),
    text("--userns", help="User namespace: host, auto[:size=N], keep-id[:uid=N,gid=N] or nomap.", metavar="MODE"),
    many("--group-add", help="Further groups, by number.", metavar="GROUP"),
    many("--sysctl", help="Set a sysctl of the pod's namespaces.", metavar="NAME=VALUE"),
    integer("--stop-timeout", help="Seconds from the stop signal to the kill (10)."),
    many("-l", "--label", help="Add a label.", metavar="KEY=VALUE"),
    many("--label-file", help="Add the labels of a file.", metavar="FILE", complete="file"),
    many("--annotation", help="Add an annotation.", metavar="KEY=VALUE"),
    text("--log-driver", help="Where output goes: k8s-file or none.", metavar="DRIVER"),
    many("--log-opt", help="An option of the log driver: max-size=10m, max-file=5.", metavar="KEY=VALUE"),
)  # fmt: skip

# of the pod too, but with no meaning for one that is still empty
RUN_POD_OPTIONS: tuple[Option, ...] = (
    flag("-P", "--publish-all", help="Publish every port that the image exposes at a free port of this machine."),
    many("--expose", help="With --publish-all: publish this port as well.", metavar="PORT[/PROTOCOL]"),
    flag("--init", help="Have a first process that reaps others: the pod's own."),
    flag("--rm", help="Remove it when it has ended."),
    integer("--timeout", help="Seconds after which it is ended.", metavar="SECONDS"),
)

NAMING: tuple[Option, ...] = (
    text("--name", help="Its name; drawn when not given.", metavar="NAME"),
    flag("--replace", help="Remove what has the name first."),
    text("--pod", help="Make it in this pod; new:NAME makes the pod as well.", metavar="POD", complete="pod"),
    text("--pod-id-file", help="Make it in the pod whose id is in this file.", metavar="FILE", complete="file"),
    flag("--rootfs", help="IMAGE is a directory of this machine, which is the container's root file system."),
    text("--cidfile", help="Write the container's id to this file.", metavar="FILE", complete="file"),
)

ALL: tuple[Option, ...] = (*NAMING, *CONTAINER_OPTIONS, *POD_OPTIONS, *RUN_POD_OPTIONS, *IMAGE_OPTIONS)

FOREGROUND: tuple[Option, ...] = (
    flag("-d", "--detach", help="Return when it runs, and print the container's id."),
    text("--detach-keys", help="Keys that leave the container to itself.", default="ctrl-p,ctrl-q", metavar="KEYS"),
    flag("--sig-proxy", help="Pass signals on to the container.", default=True),
)
