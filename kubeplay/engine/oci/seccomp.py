"""The default system call filter: everything is refused but what is listed here (SC5, RuntimeDefault).

In the spirit of containerd's and moby's defaults, written as a table of our own: what any container may call, what a capability adds,
what is allowed only with certain arguments. Names the runtime's libseccomp does not know are skipped by it. Two differences, on purpose:
`socket` is decided by the low 32 bits of the family, the kernel's int (a high bit must not slip past a 64-bit comparison,
CVE-2026-123876), and `socketcall` is absent, since a filter cannot see the family behind its pointer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_LOW32 = 0xFFFFFFFF
# linux/socket.h: AF_ALG, the kernel's ciphers, which libraries do without and faults were found in again and again; AF_VSOCK, which
# reaches the hypervisor past every network rule
_BLOCKED = (38, 40)
_FAMILIES = 64  # the power of two above AF_MAX (46)
# CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET, linux/sched.h
_CLONE_NAMESPACES = 0x7E020000
# PER_LINUX, PER_LINUX32 and UNAME26 (linux/personality.h); all ones only asks
_PERSONALITY_BITS, _PERSONALITY_QUERY = 0x20008, 0xFFFFFFFF

_FILES = """
access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fadvise64_64
fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock
fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64
getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr
listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat
rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statx symlink symlinkat sync
sync_file_range sync_file_range2 syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice
write writev
"""
_MEMORY = """
brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap
mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
"""
_PROCESSES = """
alarm capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake getcpu
getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid getppid getpriority getrandom
getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid getuid32 ioprio_get
ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self nanosleep pause pidfd_open pidfd_send_signal prctl
prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit
set_robust_list setsid set_thread_area set_tid_address setuid setuid32 sigaltstack signalfd signalfd4 sigaction sigpending sigprocmask
sigreturn sigsuspend sysinfo tgkill tkill ugetrlimit uname vfork wait4 waitid waitpid
"""
_WAITING = """
clock_adjtime clock_adjtime64 adjtimex clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
eventfd2 gettimeofday io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll
ppoll_time64 pselect6 pselect6_time64 select time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times
"""
_TALKING = """
accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recv recvfrom recvmmsg
recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt
shmget shutdown socketpair
"""
_ANY = " ".join((_FILES, _MEMORY, _PROCESSES, _WAITING, _TALKING)).split()

# What the 64-bit machines of _WIDE do not have, or only the 32-bit ones: a filter for them alone comes out the same without, and libseccomp
# and runc take 2 of 28 ms at every start to find that out for 66 names (measured)
_NARROW = """
_llseek _newselect chown32 clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 clock_settime64 fadvise64_64
fchown32 fcntl64 fstat64 fstatat64 fstatfs64 ftruncate64 futex_time64 getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32
getuid32 io_pgetevents_time64 ipc lchown32 lstat64 mmap2 mq_timedreceive_time64 mq_timedsend_time64 ppoll_time64 pselect6_time64 recv
recvmmsg_time64 rt_sigtimedwait_time64 sched_rr_get_interval_time64 semtimedop_time64 send sendfile64 setfsgid32 setfsuid32 setgid32
setgroups32 setregid32 setresgid32 setresuid32 setreuid32 setuid32 sigaction sigpending sigprocmask sigreturn sigsuspend stat64 statfs64
stime sync_file_range2 timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64 truncate64 ugetrlimit umount utimensat_time64
waitpid
"""
_WIDE = ("x86_64", "aarch64", "riscv64")

# what a capability adds; each is useless or refused by the kernel without it
_BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_get_self_attr "
    "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
    "sethostname setns statmount syslog umount umount2 unshare",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

# Calls of an architecture that is not listed end the caller (libseccomp's default for them). The 32-bit one, the second, is listed only for
# root file systems that have 32-bit programs (COMPAT): it costs 13 of the 44 ms that a start takes (measured), and is a way in that
# hardly anybody needs. x32 is left out on purpose: Debian's kernel has it switched off.
# machine (uname -m): the filter's architectures, its own system calls
_MACHINES = {
    "x86_64": (("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"), "arch_prctl modify_ldt"),
    "aarch64": (("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"), "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls"),
    "armv7l": (("SCMP_ARCH_ARM",), "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls"),
    "riscv64": (("SCMP_ARCH_RISCV64",), "riscv_flush_icache riscv_hwprobe"),
    "ppc64le": (("SCMP_ARCH_PPC64LE",), "swapcontext sync_file_range2"),
    "s390x": (("SCMP_ARCH_S390X", "SCMP_ARCH_S390"), "s390_guarded_storage s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
}


# machine -> where a root file system with 32-bit programs has their loader (glibc's, musl's)
COMPAT = {
    "x86_64": ("lib/ld-linux.so.2", "lib/ld-musl-i386.so.1"),
    "aarch64": ("lib/ld-linux-armhf.so.3", "lib/ld-linux.so.3", "lib/ld-musl-armhf.so.1"),
    "s390x": ("lib/ld.so.1",),
}

# libseccomp allows socketcall(SYS_SOCKET, ...) of 32-bit x86 for a rule on `socket`, without looking at the family
_SOCKETCALL = {"names": ["socketcall"], "action": _ERRNO, "errnoRet": _ENOSYS}


_made: dict[tuple[frozenset[str], str, bool], dict[str, Any]] = {}  # containers of one play have the same capabilities


def default(capabilities: Iterable[str], machine: str, *, compat: bool = False) -> dict[str, Any] | None:
    """The filter for a container with these capabilities (CAP_ names); `compat`: it has 32-bit programs. None without a table.

    Equal questions get the same object: nobody changes it.
    """
    if machine not in _MACHINES:
        return None
    have = frozenset(capabilities)
    key = (have, machine, compat)
    if key not in _made:
        _made[key] = _filter(have, machine, compat)
    return _made[key]


def _filter(have: frozenset[str], machine: str, compat: bool) -> dict[str, Any]:
    architectures, own = _MACHINES[machine]
    architectures = architectures if compat else architectures[:1]
    names = {*_ANY, *own.split()}
    for capability in have & _BY_CAPABILITY.keys():
        names.update(_BY_CAPABILITY[capability].split())
    if machine in _WIDE and len(architectures) == 1:
        names.difference_update(_NARROW.split())
    rules: list[dict[str, Any]] = [{"names": sorted(names), "action": _ALLOW}, *_personality(), *_sockets()]
    if "CAP_SYS_ADMIN" not in have:
        rules += _clone(machine)
    if "SCMP_ARCH_X86" in architectures:
        rules.append(_SOCKETCALL)
    return {"defaultAction": _ERRNO, "defaultErrnoRet": _EPERM, "architectures": list(architectures), "syscalls": rules}


def known(machine: str) -> bool:
    """Whether there is a table for this machine (uname -m)."""
    return machine in _MACHINES


def _personality() -> list[dict[str, Any]]:
    flags = _when("personality", _argument(0, "SCMP_CMP_MASKED_EQ", _LOW32 & ~_PERSONALITY_BITS, 0))
    return [flags, _when("personality", _argument(0, "SCMP_CMP_EQ", _PERSONALITY_QUERY))]


def _sockets() -> list[dict[str, Any]]:
    """Every family but the blocked ones, as blocks that differ in their low bits: each rule costs 0.1 ms at every start (measured)."""
    blocks = _blocks(0, _FAMILIES)
    return [_when("socket", _argument(0, "SCMP_CMP_MASKED_EQ", _LOW32 & ~(size - 1), base)) for base, size in blocks]


def _blocks(base: int, size: int) -> list[tuple[int, int]]:
    """Aligned blocks (base, size) that cover all families from `base` on but the blocked ones."""
    if not any(base <= family < base + size for family in _BLOCKED):
        return [(base, size)]
    if size == 1:
        return []
    half = size // 2
    return _blocks(base, half) + _blocks(base + half, half)


def _clone(machine: str) -> list[dict[str, Any]]:
    flags = 1 if machine == "s390x" else 0  # clone(2): the first two arguments change places there
    # clone3 hides its flags behind a pointer: ENOSYS makes C libraries fall back to clone
    refuse = {"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS}
    return [_when("clone", _argument(flags, "SCMP_CMP_MASKED_EQ", _CLONE_NAMESPACES, 0)), refuse]


def _when(name: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": _ALLOW, "args": [argument]}


def _argument(index: int, op: str, value: int, second: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": second, "op": op}
