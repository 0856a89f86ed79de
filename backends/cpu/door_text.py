"""The door in LLVM text: see `backends.cpu.door` for what it does and for the tables that it reads.

It is written by hand, as the thread pool is: one text for all programs, compiled once. Objects are read by the
layout that CPython's and NumPy's C headers promise to extension modules (`door.is_possible` checks it).
"""

from __future__ import annotations

from backends.cpu.door_arguments import CHOICE, OPERANDS
from backends.cpu.door_results import RESULTS
from backends.cpu.door_table import (
    ARENA_BYTES,
    CONTEXT,
    ENTRY,
    FORM,
    MODE,
    N_OUT,
    POOL,
    RELEASES,
    SINGLE,
    SIZE,
    STACK,
    THREADED,
    word,
)
from backends.cpu.words import ALIGN, ARENA, PARALLEL_FOR, STATUS

SYMBOLS = (
    "PyFloat_Type", "PyLong_Type", "PyList_Type", "PyTuple_Type", "_Py_TrueStruct", "_Py_FalseStruct",
    "_Py_NotImplementedStruct", "PyType_IsSubtype", "PyFloat_AsDouble", "PyLong_AsLongLong", "PyErr_Occurred",
    "PyErr_Clear", "Py_IncRef", "Py_DecRef", "PyFloat_FromDouble", "PyLong_FromLongLong", "PyBool_FromLong",
    "PyList_New", "PyTuple_New", "PyList_SetItem", "PyTuple_SetItem", "PyEval_SaveThread", "PyEval_RestoreThread",
    "malloc", "free", "memcpy",
)  # fmt: skip

_OBJECTS = "\n".join(f"@{name} = external global i8" for name in SYMBOLS[:7])
_DECLARATIONS = """
declare i32 @PyType_IsSubtype(ptr, ptr)
declare double @PyFloat_AsDouble(ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyBool_FromLong(i64)
declare ptr @PyList_New(i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @memcpy(ptr, ptr, i64)
"""

_RUN = f"""
define internal void @enter(ptr %p, ptr %c, ptr %arena) {{
head:
  %word = ptrtoint ptr %arena to i64
  %raised = add i64 %word, {ALIGN - 1}
  %aligned = and i64 %raised, -{ALIGN}
  %place = getelementptr i64, ptr %c, i64 {ARENA}
  store i64 %aligned, ptr %place
  {word("entry", "%p", ENTRY, "ptr")}
  {word("mode", "%p", MODE)}
  %bit = and i64 %mode, {RELEASES}
  %releases = icmp ne i64 %bit, 0
  br i1 %releases, label %without, label %within
within:
  call void %entry(ptr %c)
  ret void
without:
  %state = call ptr @PyEval_SaveThread()
  call void %entry(ptr %c)
  call void @PyEval_RestoreThread(ptr %state)
  ret void
}}

; `out` holds the given arrays and `given` what is returned then; both are null where results are made.
define internal ptr @run(ptr %t, ptr %args, i64 %n, ptr %out, ptr %given) {{
head:
  %known = call ptr @choose(ptr %t, ptr %args, i64 %n)
  %unknown = icmp eq ptr %known, null
  br i1 %unknown, label %refuse, label %copy
copy:
  ; From here on anything may happen to the plan: calls of Python's C interface can run other code.
  {word("size", "%known", SIZE)}
  %p = alloca i64, i64 %size, align 16
  %bytes = mul i64 %size, 8
  %ignored = call ptr @memcpy(ptr %p, ptr %known, i64 %bytes)
  {word("n_out", "%t", N_OUT)}
  %many = add i64 %n, %n_out
  %slots = alloca i64, i64 %many, align 16
  %results = alloca ptr, i64 %n_out
  {word("where", "%p", CONTEXT)}
  %c = getelementptr i64, ptr %p, i64 %where
  %taken = call i1 @take(ptr %p, ptr %args, i64 %n, ptr %c, ptr %slots)
  br i1 %taken, label %threads, label %refuse
threads:
  {word("mode", "%p", MODE)}
  %bit = and i64 %mode, {THREADED}
  %threaded = icmp ne i64 %bit, 0
  br i1 %threaded, label %look, label %targets
look:
  {word("pool", "%t", POOL, "ptr")}
  %host = load i64, ptr %pool
  %host.word = getelementptr i64, ptr %c, i64 {PARALLEL_FOR}
  store i64 %host, ptr %host.word
  %started = icmp ne i64 %host, 0
  br i1 %started, label %targets, label %refuse
targets:
  %makes = icmp eq ptr %out, null
  br i1 %makes, label %make, label %accept
accept:
  %fine = call i1 @accept(ptr %t, ptr %p, ptr %args, i64 %n, ptr %c, ptr %out)
  br i1 %fine, label %memory, label %refuse
make:
  %made = call i1 @make(ptr %t, ptr %p, ptr %c, ptr %slots, ptr %results)
  br i1 %made, label %memory, label %error
memory:
  {word("need", "%p", ARENA_BYTES)}
  %spare = add i64 %need, {2 * ALIGN}
  %small = icmp sle i64 %need, {STACK}
  br i1 %small, label %stack, label %heap
stack:
  %near = alloca i8, i64 %spare, align 16
  call void @enter(ptr %p, ptr %c, ptr %near)
  br label %ran
heap:
  %far = call ptr @malloc(i64 %spare)
  %full = icmp eq ptr %far, null
  br i1 %full, label %undo, label %fit
fit:
  call void @enter(ptr %p, ptr %c, ptr %far)
  call void @free(ptr %far)
  br label %ran
ran:
  {word("status", "%c", STATUS)}
  %good = icmp eq i64 %status, 0
  br i1 %good, label %result, label %undo
result:
  br i1 %makes, label %pack, label %return
return:
  call void @Py_IncRef(ptr %given)
  ret ptr %given
pack:
  %packed = call ptr @pack(ptr %t, ptr %p, ptr %slots, ptr %results)
  ret ptr %packed
undo:
  ; The general way runs it again and says what is wrong.
  br i1 %makes, label %drop, label %refuse
drop:
  call void @drop(ptr %results, i64 %n_out)
  br label %refuse
refuse:
  %no = call ptr @refusal()
  ret ptr %no
error:
  ret ptr null
}}

define ptr @door(ptr %self, ptr %args, i64 %n) {{
  {word("t", "%self", 2, "ptr")}
  %r = call ptr @run(ptr %t, ptr %args, i64 %n, ptr null, ptr null)
  ret ptr %r
}}

; The first argument is `out`.
define ptr @door_out(ptr %self, ptr %args, i64 %n) {{
head:
  {word("t", "%self", 2, "ptr")}
  {word("form", "%t", FORM)}
  {word("n_out", "%t", N_OUT)}
  {word("given", "%args", 0, "ptr")}
  {word("type", "%given", 1, "ptr")}
  {word("size", "%given", 2)}
  %items = getelementptr i64, ptr %given, i64 3
  %rest = getelementptr ptr, ptr %args, i64 1
  %n2 = sub i64 %n, 1
  %single = icmp eq i64 %form, {SINGLE}
  br i1 %single, label %run, label %box
box:
  %islist = icmp eq ptr %type, @PyList_Type
  br i1 %islist, label %list, label %other
list:
  %held = load ptr, ptr %items
  br label %count
other:
  %istuple = icmp eq ptr %type, @PyTuple_Type
  br i1 %istuple, label %count, label %refuse
count:
  %all = phi ptr [%held, %list], [%items, %other]
  %fits = icmp eq i64 %size, %n_out
  br i1 %fits, label %run, label %refuse
run:
  %out = phi ptr [%args, %head], [%all, %count]
  %r = call ptr @run(ptr %t, ptr %rest, i64 %n2, ptr %out, ptr %given)
  ret ptr %r
refuse:
  %no = call ptr @refusal()
  ret ptr %no
}}
"""

TEXT = _OBJECTS + _DECLARATIONS + OPERANDS + CHOICE + RESULTS + _RUN
