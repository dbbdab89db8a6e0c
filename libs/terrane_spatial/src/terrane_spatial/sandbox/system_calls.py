"""Which system calls a process that handles hostile content may make: a list, everything else fails (`seccomp(2)`).

It reads, maps memory, makes threads and ends itself. It opens no socket, starts no process and no program, sends no
signal to another, sets no limit, changes no mode, owner, time or attribute of a file, and shares no memory. Unless it
has a folder to write into it opens nothing for writing either, also where the kernel has no Landlock.
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
    epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; exit 60 93; exit_group 231 94
"""
# Of a process with a folder to write into; Landlock says where.
WRITING = """
    openat 257 56; open 2 -; ftruncate 77 46; fallocate 285 47; fsync 74 82; fdatasync 75 83; mkdirat 258 34;
    mkdir 83 -; unlinkat 263 35; unlink 87 -; rmdir 84 -; renameat 264 38; renameat2 316 276; rename 82 -
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
    """Installs the filter: a forbidden call fails with EACCES, and one of another architecture kills the process.

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
    yield from ((JUMP_IF_AT_LEAST, 0, 1, FIRST_COMMON), _fail(ENOSYS), _fail(EACCES))


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
