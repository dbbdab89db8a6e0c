"""Which system calls a process that handles hostile content may make, by a filter of the kernel's (`seccomp(2)`).

It reads, maps memory, makes threads and ends itself. It opens no socket, starts no process and no program, sends no
signal to another, sets no limit, changes no mode, owner, time or attribute of a file, and shares no memory. Unless it
has a folder to write into it opens nothing for writing either, also where the kernel has no Landlock.

What is on neither list, allowed or forbidden, was forgotten here: it ends the process by SIGSYS. An error would be
taken by a library for a file that it cannot read, and a producer blamed for what another kernel or C library calls.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, KILL = 0x7FFF0000, 0x80000000
FAIL = 0x00050000
EACCES, ENOSYS = 13, 38
LOAD_WORD, AND, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
FIRST_X32 = 0x40000000
# From here on numbers are those of every architecture. Of calls that came later libraries know what to use instead
# where the kernel has them not: clone3, openat2 and what is yet to come.
FIRST_COMMON = 424
WRITES = 0o1 | 0o2 | 0o100 | 0o1000
IS_A_THREAD = 0x10000

# Each architecture's mark (linux/audit.h).
MARKS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Calls by name, with the number on x86_64 and on aarch64, - where it has none.
CALLS = """
    read 0 63; write 1 64; futex 202 98; lseek 8 62; mmap 9 222; munmap 11 215; pread64 17 67; pwrite64 18 68;
    readv 19 65; writev 20 66; preadv 295 69; pwritev 296 70; preadv2 327 286; pwritev2 328 287; close 3 57;
    close_range 436 436; newfstatat 262 79; fstat 5 80; statx 332 291; statfs 137 43; fstatfs 138 44; stat 4 -;
    lstat 6 -; access 21 -; readlink 89 -; getdents 78 -; faccessat 269 48; faccessat2 439 439; readlinkat 267 78;
    getdents64 217 61; getcwd 79 17; dup 32 23; dup2 33 -; dup3 292 24; fadvise64 221 223; flock 73 32;
    mprotect 10 226; mremap 25 216; madvise 28 233; mincore 27 232; msync 26 227; brk 12 214; membarrier 324 283;
    futex_waitv 449 449; rseq 334 293; set_robust_list 273 99; get_robust_list 274 100; set_tid_address 218 96;
    sched_yield 24 124; sched_getaffinity 204 123; sched_getparam 143 121; getcpu 309 168;
    sched_getscheduler 145 120; rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139;
    rt_sigpending 127 136; sigaltstack 131 132; restart_syscall 219 128; getpid 39 172; getppid 110 173;
    gettid 186 178; getuid 102 174; geteuid 107 175; getgid 104 176; getegid 108 177; getrusage 98 165;
    getrlimit 97 163; times 100 153; sysinfo 99 179; uname 63 160; getrandom 318 278; clock_gettime 228 113;
    clock_getres 229 114; clock_nanosleep 230 115; nanosleep 35 101; gettimeofday 96 169; time 201 -; poll 7 -;
    ppoll 271 73; select 23 -; pselect6 270 72; pipe 22 -; pipe2 293 59; eventfd2 290 19; epoll_create1 291 20;
    epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; exit 60 93; exit_group 231 94; eventfd 284 -;
    epoll_create 213 -; sched_get_priority_max 146 125; sched_get_priority_min 147 126; get_mempolicy 239 236;
    getgroups 115 158; getpgrp 111 -; getresuid 118 148; getresgid 120 150; rt_sigtimedwait 128 137;
    rt_sigsuspend 130 133; pause 34 -; copy_file_range 326 285; sendfile 40 71; readahead 187 213
"""
# Of a process with a folder to write into; Landlock says where.
WRITING = """
    openat 257 56; open 2 -; ftruncate 77 46; fallocate 285 47; fsync 74 82; fdatasync 75 83; mkdirat 258 34;
    mkdir 83 -; unlinkat 263 35; unlink 87 -; rmdir 84 -; renameat 264 38; renameat2 316 276; rename 82 -
"""
# What reaches beyond the process, which fails with EACCES.
FORBIDDEN = """
    socket 41 198; socketpair 53 199; connect 42 203; accept 43 202; accept4 288 242; bind 49 200; listen 50 201;
    sendto 44 206; recvfrom 45 207; sendmsg 46 211; recvmsg 47 212; sendmmsg 307 269; recvmmsg 299 243;
    shutdown 48 210; getsockname 51 204; getpeername 52 205; setsockopt 54 208; getsockopt 55 209; fork 57 -;
    vfork 58 -; execve 59 221; execveat 322 281; wait4 61 260; waitid 247 95; kill 62 129; tkill 200 130;
    rt_sigqueueinfo 129 138; rt_tgsigqueueinfo 297 240; setrlimit 160 164; setpriority 141 140; chmod 90 -;
    fchmod 91 52; fchmodat 268 53; chown 92 -; fchown 93 55; lchown 94 -; fchownat 260 54; utime 132 -; utimes 235 -;
    futimesat 261 -; utimensat 280 88; setxattr 188 5; lsetxattr 189 6; fsetxattr 190 7; getxattr 191 8;
    lgetxattr 192 9; fgetxattr 193 10; listxattr 194 11; llistxattr 195 12; flistxattr 196 13; removexattr 197 14;
    lremovexattr 198 15; fremovexattr 199 16; shmget 29 194; shmat 30 196; shmctl 31 195; shmdt 67 197; semget 64 190;
    semop 65 193; semctl 66 191; semtimedop 220 192; msgget 68 186; msgsnd 69 189; msgrcv 70 188; msgctl 71 187;
    mq_open 240 180; mq_unlink 241 181; memfd_create 319 279; ptrace 101 117; process_vm_readv 310 270;
    process_vm_writev 311 271; kcmp 312 272; perf_event_open 298 241; bpf 321 280; userfaultfd 323 282;
    seccomp 317 277; setsid 112 157; setpgid 109 154; setuid 105 146; setgid 106 144; setreuid 113 145;
    setregid 114 143; setresuid 117 147; setresgid 119 149; setfsuid 122 151; setfsgid 123 152; setgroups 116 159;
    capset 126 91; unshare 272 97; setns 308 268; chroot 161 51; pivot_root 155 41; mount 165 40; umount2 166 39;
    sethostname 170 161; setdomainname 171 162; creat 85 -; truncate 76 45; link 86 -; linkat 265 37; symlink 88 -;
    symlinkat 266 36; mknod 133 -; mknodat 259 33; chdir 80 49; fchdir 81 50; umask 95 166; name_to_handle_at 303 264;
    open_by_handle_at 304 265; fanotify_init 300 262; inotify_init 253 -; inotify_init1 294 26;
    sched_setaffinity 203 122; sched_setscheduler 144 119; sched_setparam 142 118; sched_setattr 314 274;
    ioprio_set 251 30; mbind 237 235; set_mempolicy 238 237; migrate_pages 256 238; move_pages 279 239;
    add_key 248 217; request_key 249 218; keyctl 250 219; io_setup 206 0; clock_settime 227 112; settimeofday 164 170;
    clock_adjtime 305 266; adjtimex 159 171; acct 163 89; swapon 167 224; swapoff 168 225; reboot 169 142;
    init_module 175 105; finit_module 313 273; delete_module 176 106; kexec_load 246 104; kexec_file_load 320 294;
    iopl 172 -; ioperm 173 -; quotactl 179 60; personality 135 92; syslog 103 116; vhangup 153 58; nfsservctl 180 42;
    lookup_dcookie 212 18; arch_prctl 158 -; set_thread_area 205 -; mlock 149 228; munlock 150 229; mlockall 151 230;
    munlockall 152 231; mlock2 325 284; getpriority 140 141; getpgid 121 155; getsid 124 156; sync 162 81;
    syncfs 306 267; ioprio_get 252 31; capget 125 90
"""
OPENAT, OPEN = (257, 56), (2, None)
TGKILL, CLONE, PRLIMIT, FCNTL, IOCTL, PRCTL = (234, 131), (56, 220), (302, 261), (72, 25), (16, 29), (157, 167)
# What may be asked of a descriptor: copies of it, its flags, locks, the size of a pipe. Not who gets its signals.
OF_DESCRIPTORS = (*range(8), 36, 37, 38, 1030, 1031, 1032)
# Whether it is a terminal, its width, how much can be read, whether it waits, and whether a program would inherit it.
OF_DEVICES = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# The names of threads and of memory.
OF_THE_PROCESS = (15, 16, 0x53564D41)

Line = tuple[int, int, int, int]


def forbid_others(libc: ctypes.CDLL, writes: bool) -> bool:
    """Installs the filter: a forbidden call fails with EACCES, one of no list or architecture ends the process.

    Returns whether the kernel took it.

    Args:
        writes: whether the process has a folder to write into.
    """
    if os.uname().machine not in MARKS:
        return False
    program = list(_program(os.uname().machine, writes))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code)))
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0


def _program(machine: str, writes: bool) -> Iterable[Line]:
    at = list(MARKS).index(machine)
    yield from ((LOAD_WORD, 0, 0, ARCHITECTURE_AT), (JUMP_IF_EQUAL, 1, 0, MARKS[machine]), (RETURN, 0, 0, KILL))
    yield from ((LOAD_WORD, 0, 0, NUMBER_AT), (JUMP_IF_AT_LEAST, 0, 1, FIRST_X32), _fail(EACCES))
    for number in _numbers(f"{CALLS};{WRITING}" if writes else CALLS, at):
        yield from _if_number(number, [(RETURN, 0, 0, ALLOW)])
    for numbers, argument in () if writes else ((OPENAT, 2), (OPEN, 1)):
        yield from _if_number(numbers[at], _if_none_of(argument, WRITES))
    yield from _if_number(CLONE[at], _if_any_of(0, IS_A_THREAD))
    yield from _if_number(TGKILL[at], _if_one_of(0, [os.getpid()]))
    yield from _if_number(PRLIMIT[at], _if_only_asked())
    for numbers, argument, known in ((FCNTL, 1, OF_DESCRIPTORS), (IOCTL, 1, OF_DEVICES), (PRCTL, 0, OF_THE_PROCESS)):
        yield from _if_number(numbers[at], _if_one_of(argument, known))
    for number in _numbers(FORBIDDEN if writes else f"{FORBIDDEN};{WRITING}", at):
        yield from _if_number(number, [_fail(EACCES)])
    yield from ((JUMP_IF_AT_LEAST, 0, 1, FIRST_COMMON), _fail(ENOSYS), (RETURN, 0, 0, KILL))


def _numbers(calls: str, architecture: int) -> Iterable[int]:
    named = [call.split()[1:] for call in calls.split(";")]
    return [int(numbers[architecture]) for numbers in named if numbers[architecture] != "-"]


def _fail(error: int) -> Line:
    return RETURN, 0, 0, FAIL | error


def _if_number(number: int | None, block: Sequence[Line]) -> list[Line]:
    """The block, which returns, for the call of that number."""
    return [] if number is None else [(JUMP_IF_EQUAL, 0, len(block), number), *block]


def _argument(number: int, high: bool = False) -> Line:
    return LOAD_WORD, 0, 0, ARGUMENTS_AT + 8 * number + 4 * high


def _if_none_of(argument: int, bits: int) -> list[Line]:
    return [_argument(argument), (AND, 0, 0, bits), (JUMP_IF_EQUAL, 0, 1, 0), (RETURN, 0, 0, ALLOW), _fail(EACCES)]


def _if_any_of(argument: int, bits: int) -> list[Line]:
    return [_argument(argument), (AND, 0, 0, bits), (JUMP_IF_EQUAL, 1, 0, 0), (RETURN, 0, 0, ALLOW), _fail(EACCES)]


def _if_one_of(argument: int, values: Sequence[int]) -> list[Line]:
    tests = [(JUMP_IF_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(argument), *tests, _fail(EACCES), (RETURN, 0, 0, ALLOW)]


def _if_only_asked() -> list[Line]:
    """Limits of this process may be read: no process is named, and there are no new limits."""
    return [
        *(_argument(0), (JUMP_IF_EQUAL, 0, 5, 0)),
        *(_argument(2), (JUMP_IF_EQUAL, 0, 3, 0)),
        *(_argument(2, high=True), (JUMP_IF_EQUAL, 0, 1, 0)),
        *((RETURN, 0, 0, ALLOW), _fail(EACCES)),
    ]
