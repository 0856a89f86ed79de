"""threads: `parallel_for(task, n, context)` on helpers that take blocks as they come.

The caller works too, and waits only for blocks that a helper has begun. On a busy machine a helper may get no
processor for milliseconds; then the caller simply does everything itself. OpenMP, behind Numba's `prange`, deals the
blocks out beforehand and waits for every thread: 500 heat steps of 74 000 points took 0.58 s that way on two busy
cores, against 0.03 s on one thread; this way 0.03 s. What remains is the wait for a block whose helper lost its
processor: Runge-Kutta steps on busy cores were measured at 1.2 to 1.7 times the time of one thread.

Blocks do not depend on the number of threads, so results do not either. One region runs at a time: a second caller
works alone. Helpers are daemon threads inside machine code, without the interpreter lock; they spin for a few
microseconds, then sleep on a semaphore. A forked child starts helpers of its own.

The pool is 60 lines of LLVM. A job is (task, n, context); `ticket` holds its number in the upper half and the next
block in the lower. Taking a block is a compare-and-exchange of the whole ticket, so a helper that read an old job
can never take a block of a new one; while a job is being written its ticket shows no block.
"""

from __future__ import annotations

import ctypes
import os
import threading

from backends.cpu.fixed import Code, load_fixed
from backends.cpu.words import THREADS

# Turns of the waiting loop before a helper sleeps: some microseconds.
_SPIN = 2000

_TEXT = f"""
@ticket = internal global i64 -1, align 64
@task = internal global i64 0, align 64
@n = internal global i64 0
@context = internal global i64 0
@limit = internal global i64 0
@finished = internal global i64 0, align 64
@busy = internal global i64 0, align 64
@sleepers = internal global i64 0, align 64
@bell = internal global [64 x i8] zeroinitializer, align 64

declare i32 @sem_init(ptr, i32, i32)
declare i32 @sem_wait(ptr)
declare i32 @sem_post(ptr)

define i64 @start() {{
  store atomic i64 0, ptr @busy seq_cst, align 8
  store atomic i64 0, ptr @sleepers seq_cst, align 8
  store atomic i64 -1, ptr @ticket seq_cst, align 8
  %code = call i32 @sem_init(ptr @bell, i32 0, i32 0)
  %wide = sext i32 %code to i64
  ret i64 %wide
}}

; Take and run blocks until none is left; says whether there was one.
define internal i1 @work(i64 %id) noinline {{
head:
  br label %look
look:
  %any = phi i1 [false, %head], [%any, %lost], [true, %ran]
  %t = load atomic i64, ptr @ticket seq_cst, align 8
  %k = and i64 %t, 4294967295
  %n = load atomic i64, ptr @n seq_cst, align 8
  %f = load atomic i64, ptr @task seq_cst, align 8
  %c = load atomic i64, ptr @context seq_cst, align 8
  %l = load atomic i64, ptr @limit seq_cst, align 8
  %left = icmp ult i64 %k, %n
  %mine = icmp slt i64 %id, %l
  %take = and i1 %left, %mine
  br i1 %take, label %try, label %end
try:
  %next = add i64 %t, 1
  %pair = cmpxchg ptr @ticket, i64 %t, i64 %next seq_cst seq_cst
  %won = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %won, label %run, label %lost
lost:
  br label %look
run:
  %address = inttoptr i64 %f to ptr
  call void %address(i64 %k, i64 %c)
  br label %ran
ran:
  %before = atomicrmw add ptr @finished, i64 1 seq_cst
  br label %look
end:
  ret i1 %any
}}

define void @helper(i64 %id) {{
head:
  br label %wait
wait:
  %turn = phi i64 [0, %head], [%following, %idle], [0, %busy], [0, %woken]
  %found = call i1 @work(i64 %id)
  br i1 %found, label %busy, label %idle
busy:
  br label %wait
idle:
  %following = add i64 %turn, 1
  %tired = icmp ugt i64 %following, {_SPIN}
  br i1 %tired, label %sleep, label %wait
sleep:
  %one = atomicrmw add ptr @sleepers, i64 1 seq_cst
  %code = call i32 @sem_wait(ptr @bell)
  br label %woken
woken:
  %less = atomicrmw sub ptr @sleepers, i64 1 seq_cst
  br label %wait
}}

define void @parallel_for(i64 %f, i64 %n, i64 %c) {{
head:
  %table = inttoptr i64 %c to ptr
  %place = getelementptr i64, ptr %table, i64 {THREADS}
  %threads = load i64, ptr %place
  %helpers = sub i64 %threads, 1
  %pair = cmpxchg ptr @busy, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue {{ i64, i1 }} %pair, 1
  %short = icmp ult i64 %n, 4294967295
  %shared = and i1 %free, %short
  br i1 %shared, label %publish, label %alone
alone:
  %k = phi i64 [0, %head], [%k2, %body]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %body, label %away
body:
  %address = inttoptr i64 %f to ptr
  call void %address(i64 %k, i64 %c)
  %k2 = add i64 %k, 1
  br label %alone
away:
  br i1 %free, label %release, label %end
publish:
  %old = load atomic i64, ptr @ticket seq_cst, align 8
  %number = lshr i64 %old, 32
  %raised = add i64 %number, 1
  %upper = shl i64 %raised, 32
  %closed = or i64 %upper, 4294967295
  store atomic i64 %closed, ptr @ticket seq_cst, align 8
  store atomic i64 %f, ptr @task seq_cst, align 8
  store atomic i64 %n, ptr @n seq_cst, align 8
  store atomic i64 %c, ptr @context seq_cst, align 8
  store atomic i64 %helpers, ptr @limit seq_cst, align 8
  store atomic i64 0, ptr @finished seq_cst, align 8
  store atomic i64 %upper, ptr @ticket seq_cst, align 8
  %asleep = load atomic i64, ptr @sleepers seq_cst, align 8
  br label %ring
ring:
  %j = phi i64 [0, %publish], [%j2, %wake]
  %some = icmp slt i64 %j, %asleep
  %wanted = icmp slt i64 %j, %helpers
  %go = and i1 %some, %wanted
  br i1 %go, label %wake, label %join
wake:
  %ignored = call i32 @sem_post(ptr @bell)
  %j2 = add i64 %j, 1
  br label %ring
join:
  ; The caller counts as number -1: below every limit.
  %did = call i1 @work(i64 -1)
  br label %finish
finish:
  %count = load atomic i64, ptr @finished seq_cst, align 8
  %all = icmp uge i64 %count, %n
  br i1 %all, label %release, label %finish
release:
  store atomic i64 0, ptr @busy seq_cst, align 8
  br label %end
end:
  ret void
}}
"""


def default_threads() -> int:
    """The number of threads unless a function says otherwise: the first variable below that is set, or the cores."""
    for name in ("SYMDIFF_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return _cores()


def _cores() -> int:
    """The cores that this process may use: fewer than the machine has in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# The address of `parallel_for` once the pool runs, else 0: doors read it here.
_word = ctypes.c_int64(0)


class _Pool:
    """The helpers of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: Code | None = None
        self._helpers = 0
        self._works = True

    def address(self, threads: int) -> int:
        """The address of `parallel_for` with helpers for this many threads, or 0 where the system has no semaphores."""
        if threads <= self._helpers + 1 and self._library is not None:
            return self._library.address("parallel_for") if self._works else 0
        with self._lock:
            if self._library is None:
                self._library = load_fixed(_TEXT, _SYMBOLS, 2)
                self._works = ctypes.CFUNCTYPE(ctypes.c_int64)(self._library.address("start"))() == 0
            if not self._works:
                return 0
            helper = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._library.address("helper"))
            while self._helpers < threads - 1:
                threading.Thread(target=helper, args=(self._helpers,), name="symdiff helper", daemon=True).start()
                self._helpers += 1
            _word.value = self._library.address("parallel_for")
            return _word.value


_SYMBOLS = ("sem_init", "sem_wait", "sem_post")
_pool = _Pool()


def _after_fork() -> None:
    # Threads do not survive a fork; the child starts helpers of its own when it needs them, in a pool of its own.
    global _pool
    _pool = _Pool()
    _word.value = 0


os.register_at_fork(after_in_child=_after_fork)


def pool_word() -> int:
    """Return where in memory the address of `parallel_for` stands while the pool runs, and 0 while it does not."""
    return ctypes.addressof(_word)


def parallel_for_address(threads: int) -> int:
    """Return the address of `parallel_for(task, n, context)`, or 0 where one thread is all there is."""
    return 0 if threads <= 1 else _pool.address(min(threads, 4 * _cores()))
