"""The door in LLVM text: see `backends.cpu.door` for what it does and for the tables that it reads.

It is written by hand, as the thread pool is: one text for all programs, compiled once. Objects are read by the
layout that CPython's and NumPy's C headers promise to extension modules (`door.is_possible` checks it).
"""

from __future__ import annotations

from backends.cpu.words import ALIGN, ARENA, PARALLEL_FOR, STATUS

# Words of the table of a function, of a plan, and of an operand in a plan; its extents follow the last of these.
TABLE = N_IN, N_OUT, FORM, FIRST, ARRAY_TYPE, NEW_ARRAY, POOL = tuple(range(7))
PLAN = NEXT, SIZE, ENTRY, MODE, ARENA_BYTES, OUTPUTS, CONTEXT, FIRST_IN, FIRST_OUT = tuple(range(9))
OPERAND = KIND, DESCR, TYPE_NUMBER, BYTES, RANK = tuple(range(5))
# Kinds of operands and results, forms, and bits of the mode.
AN_ARRAY, A_FLOAT64, A_FLOAT32, AN_INT64, A_BOOL = range(5)
SINGLE, LIST, TUPLE = range(3)
RELEASES, THREADED = 1, 2
# Arenas up to this size lie on the stack.
STACK = 32768
# numpy/ndarraytypes.h: contiguous and aligned; and writeable too.
_READ, _WRITE = 0x0101, 0x0501


def _word(name: str, base: str, at: int | str, kind: str = "i64") -> str:
    """Read the word of a table into a name."""
    return f"%{name}.at = getelementptr i64, ptr {base}, i64 {at}\n  %{name} = load {kind}, ptr %{name}.at"


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

_OPERANDS = f"""
; An array of exactly this dtype and shape, with these flags.
define internal i1 @is_array(ptr %o, ptr %s, ptr %wanted, i32 %need) {{
head:
  {_word("kind", "%o", 1, "ptr")}
  %exact = icmp eq ptr %kind, %wanted
  br i1 %exact, label %array, label %no
array:
  {_word("descr", "%o", 7, "ptr")}
  {_word("descr2", "%s", DESCR, "ptr")}
  %same = icmp eq ptr %descr, %descr2
  {_word("flags", "%o", 8, "i32")}
  %masked = and i32 %flags, %need
  %flagged = icmp eq i32 %masked, %need
  {_word("rank", "%o", 3, "i32")}
  {_word("rank2", "%s", RANK)}
  %wide = sext i32 %rank to i64
  %ranked = icmp eq i64 %wide, %rank2
  %a = and i1 %same, %flagged
  %b = and i1 %a, %ranked
  {_word("dims", "%o", 4, "ptr")}
  %dims2 = getelementptr i64, ptr %s, i64 {len(OPERAND)}
  br i1 %b, label %look, label %no
look:
  %k = phi i64 [0, %array], [%k2, %equal]
  %more = icmp slt i64 %k, %wide
  br i1 %more, label %compare, label %yes
compare:
  {_word("d", "%dims", "%k")}
  {_word("d2", "%dims2", "%k")}
  %k2 = add i64 %k, 1
  %fits = icmp eq i64 %d, %d2
  br i1 %fits, label %equal, label %no
equal:
  br label %look
yes:
  ret i1 true
no:
  ret i1 false
}}

; A Python number that has a value of this kind, if it is not too large.
define internal i1 @is_number(ptr %o, i64 %kind) {{
head:
  {_word("type", "%o", 1, "ptr")}
  switch i64 %kind, label %real [ i64 {AN_INT64}, label %whole i64 {A_BOOL}, label %bool ]
real:
  %exact = icmp eq ptr %type, @PyFloat_Type
  br i1 %exact, label %yes, label %ask
ask:
  %sub = call i32 @PyType_IsSubtype(ptr %type, ptr @PyFloat_Type)
  %is = icmp ne i32 %sub, 0
  br i1 %is, label %yes, label %whole
whole:
  %int = call i32 @PyType_IsSubtype(ptr %type, ptr @PyLong_Type)
  %is2 = icmp ne i32 %int, 0
  ret i1 %is2
bool:
  %true = icmp eq ptr %o, @_Py_TrueStruct
  %false = icmp eq ptr %o, @_Py_FalseStruct
  %either = or i1 %true, %false
  ret i1 %either
yes:
  ret i1 true
}}

; Write the value of a number; says no, without an error being set, for one that is too large.
define internal i1 @read(ptr %o, i64 %kind, ptr %slot) {{
head:
  switch i64 %kind, label %real [ i64 {AN_INT64}, label %whole i64 {A_BOOL}, label %bool ]
real:
  %x = call double @PyFloat_AsDouble(ptr %o)
  %odd = fcmp oeq double %x, -1.0
  br i1 %odd, label %ask, label %store
store:
  %v = phi double [%x, %real], [-1.0, %minus]
  %single = icmp eq i64 %kind, {A_FLOAT32}
  br i1 %single, label %short, label %long
long:
  store double %v, ptr %slot
  ret i1 true
short:
  %y = fptrunc double %v to float
  store float %y, ptr %slot
  ; Infinite only now: the general way warns of it.
  %back = fpext float %y to double
  %gap = fsub double %back, %v
  %size = call double @llvm.fabs.f64(double %gap)
  %lost = fcmp oeq double %size, 0x7FF0000000000000
  %kept = xor i1 %lost, true
  ret i1 %kept
whole:
  %i = call i64 @PyLong_AsLongLong(ptr %o)
  store i64 %i, ptr %slot
  %odd2 = icmp eq i64 %i, -1
  br i1 %odd2, label %ask, label %yes
bool:
  %true = icmp eq ptr %o, @_Py_TrueStruct
  %byte = zext i1 %true to i8
  store i8 %byte, ptr %slot
  br label %yes
ask:
  ; -1 may be the number itself.
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %minus, label %clear
minus:
  %whole2 = icmp eq i64 %kind, {AN_INT64}
  br i1 %whole2, label %yes, label %store
clear:
  call void @PyErr_Clear()
  ret i1 false
yes:
  ret i1 true
}}
declare double @llvm.fabs.f64(double)

; Whether two contiguous arrays share no byte.
define internal i1 @apart(ptr %a, ptr %sa, ptr %b, ptr %sb) {{
  {_word("da", "%a", 2)}
  {_word("db", "%b", 2)}
  {_word("na", "%sa", BYTES)}
  {_word("nb", "%sb", BYTES)}
  %ea = add i64 %da, %na
  %eb = add i64 %db, %nb
  %before = icmp ule i64 %ea, %db
  %after = icmp ule i64 %eb, %da
  %apart = or i1 %before, %after
  ret i1 %apart
}}

define internal ptr @following(ptr %s) {{
  {_word("rank", "%s", RANK)}
  %n = add i64 %rank, {len(OPERAND)}
  %next = getelementptr i64, ptr %s, i64 %n
  ret ptr %next
}}

define internal ptr @refusal() {{
  call void @Py_IncRef(ptr @_Py_NotImplementedStruct)
  ret ptr @_Py_NotImplementedStruct
}}
"""

_CHOICE = f"""
; The plan for these arguments, or null.
define internal ptr @choose(ptr %t, ptr %args, i64 %n) {{
head:
  {_word("count", "%t", N_IN)}
  {_word("type", "%t", ARRAY_TYPE, "ptr")}
  {_word("first", "%t", FIRST, "ptr")}
  %enough = icmp eq i64 %n, %count
  br i1 %enough, label %plans, label %none
plans:
  %p = phi ptr [%first, %head], [%next, %other]
  %empty = icmp eq ptr %p, null
  br i1 %empty, label %none, label %open
open:
  %s0 = getelementptr i64, ptr %p, i64 {len(PLAN)}
  br label %inputs
inputs:
  %k = phi i64 [0, %open], [%k2, %fits]
  %s = phi ptr [%s0, %open], [%s2, %fits]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %input, label %found
input:
  {_word("o", "%args", "%k", "ptr")}
  {_word("kind", "%s", KIND)}
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  %ok1 = call i1 @is_array(ptr %o, ptr %s, ptr %type, i32 {_READ})
  br i1 %ok1, label %fits, label %other
asnumber:
  %ok2 = call i1 @is_number(ptr %o, i64 %kind)
  br i1 %ok2, label %fits, label %other
fits:
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  br label %inputs
other:
  {_word("next", "%p", NEXT, "ptr")}
  br label %plans
found:
  ret ptr %p
none:
  ret ptr null
}}

; Put the addresses of the arguments into the context.
define internal i1 @take(ptr %p, ptr %args, i64 %n, ptr %c, ptr %slots) {{
head:
  %s0 = getelementptr i64, ptr %p, i64 {len(PLAN)}
  {_word("at", "%p", FIRST_IN)}
  %words = getelementptr i64, ptr %c, i64 %at
  br label %inputs
inputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %input, label %yes
input:
  {_word("o", "%args", "%k", "ptr")}
  {_word("kind", "%s", KIND)}
  %slot = getelementptr i64, ptr %slots, i64 %k
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  {_word("data", "%o", 2, "ptr")}
  br label %placed
asnumber:
  %ok = call i1 @read(ptr %o, i64 %kind, ptr %slot)
  br i1 %ok, label %placed, label %no
placed:
  %address = phi ptr [%data, %asarray], [%slot, %asnumber]
  %word = getelementptr i64, ptr %words, i64 %k
  store ptr %address, ptr %word
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  br label %inputs
yes:
  ret i1 true
no:
  ret i1 false
}}

; Put the addresses of given results into the context, if they are as wanted and apart from all else.
define internal i1 @accept(ptr %t, ptr %p, ptr %args, i64 %n, ptr %c, ptr %out) {{
head:
  {_word("type", "%t", ARRAY_TYPE, "ptr")}
  {_word("n_out", "%t", N_OUT)}
  {_word("start", "%p", OUTPUTS)}
  %s0 = getelementptr i64, ptr %p, i64 %start
  %in0 = getelementptr i64, ptr %p, i64 {len(PLAN)}
  {_word("at", "%p", FIRST_OUT)}
  %words = getelementptr i64, ptr %c, i64 %at
  br label %outputs
outputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n_out
  br i1 %more, label %output, label %yes
output:
  {_word("o", "%out", "%k", "ptr")}
  %ok = call i1 @is_array(ptr %o, ptr %s, ptr %type, i32 {_WRITE})
  br i1 %ok, label %inputs, label %no
inputs:
  %j = phi i64 [0, %output], [%j2, %farther]
  %r = phi ptr [%in0, %output], [%r2, %farther]
  %more_in = icmp slt i64 %j, %n
  br i1 %more_in, label %input, label %earlier
input:
  {_word("other", "%args", "%j", "ptr")}
  {_word("kind", "%r", KIND)}
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %near, label %farther
near:
  %ok1 = call i1 @apart(ptr %o, ptr %s, ptr %other, ptr %r)
  br i1 %ok1, label %farther, label %no
farther:
  %j2 = add i64 %j, 1
  %r2 = call ptr @following(ptr %r)
  br label %inputs
earlier:
  %i = phi i64 [0, %inputs], [%i2, %next]
  %q = phi ptr [%s0, %inputs], [%q2, %next]
  %more_out = icmp slt i64 %i, %k
  br i1 %more_out, label %before, label %placed
before:
  {_word("sibling", "%out", "%i", "ptr")}
  %ok2 = call i1 @apart(ptr %o, ptr %s, ptr %sibling, ptr %q)
  br i1 %ok2, label %next, label %no
next:
  %i2 = add i64 %i, 1
  %q2 = call ptr @following(ptr %q)
  br label %earlier
placed:
  {_word("data", "%o", 2, "ptr")}
  %word = getelementptr i64, ptr %words, i64 %k
  store ptr %data, ptr %word
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  br label %outputs
yes:
  ret i1 true
no:
  ret i1 false
}}
"""

_RESULTS = f"""
; Make arrays for the results, null for those that are numbers; their addresses go into the context.
define internal i1 @make(ptr %t, ptr %p, ptr %c, ptr %slots, ptr %results) {{
head:
  {_word("type", "%t", ARRAY_TYPE, "ptr")}
  {_word("new", "%t", NEW_ARRAY, "ptr")}
  {_word("n_in", "%t", N_IN)}
  {_word("n_out", "%t", N_OUT)}
  {_word("start", "%p", OUTPUTS)}
  %s0 = getelementptr i64, ptr %p, i64 %start
  {_word("at", "%p", FIRST_OUT)}
  %words = getelementptr i64, ptr %c, i64 %at
  %own = getelementptr i64, ptr %slots, i64 %n_in
  br label %outputs
outputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n_out
  br i1 %more, label %output, label %yes
output:
  {_word("kind", "%s", KIND)}
  %result = getelementptr ptr, ptr %results, i64 %k
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  {_word("rank", "%s", RANK, "i32")}
  {_word("number", "%s", TYPE_NUMBER, "i32")}
  %dims = getelementptr i64, ptr %s, i64 {len(OPERAND)}
  %a = call ptr %new(ptr %type, i32 %rank, ptr %dims, i32 %number, ptr null, ptr null, i32 0, i32 0, ptr null)
  %failed = icmp eq ptr %a, null
  br i1 %failed, label %undo, label %made
made:
  {_word("data", "%a", 2, "ptr")}
  br label %placed
asnumber:
  %slot = getelementptr i64, ptr %own, i64 %k
  br label %placed
placed:
  %object = phi ptr [%a, %made], [null, %asnumber]
  %address = phi ptr [%data, %made], [%slot, %asnumber]
  store ptr %object, ptr %result
  %word = getelementptr i64, ptr %words, i64 %k
  store ptr %address, ptr %word
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  br label %outputs
undo:
  call void @drop(ptr %results, i64 %k)
  ret i1 false
yes:
  ret i1 true
}}

define internal void @drop(ptr %results, i64 %n) {{
head:
  br label %look
look:
  %k = phi i64 [0, %head], [%k2, %dropped]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %one, label %end
one:
  {_word("a", "%results", "%k", "ptr")}
  %k2 = add i64 %k, 1
  %none = icmp eq ptr %a, null
  br i1 %none, label %dropped, label %some
some:
  call void @Py_DecRef(ptr %a)
  br label %dropped
dropped:
  br label %look
end:
  ret void
}}

define internal ptr @number(i64 %kind, ptr %slot) {{
head:
  switch i64 %kind, label %long [
    i64 {A_FLOAT32}, label %short i64 {AN_INT64}, label %whole i64 {A_BOOL}, label %bool ]
long:
  %x = load double, ptr %slot
  %o1 = call ptr @PyFloat_FromDouble(double %x)
  ret ptr %o1
short:
  %y = load float, ptr %slot
  %wide = fpext float %y to double
  %o2 = call ptr @PyFloat_FromDouble(double %wide)
  ret ptr %o2
whole:
  %i = load i64, ptr %slot
  %o3 = call ptr @PyLong_FromLongLong(i64 %i)
  ret ptr %o3
bool:
  %byte = load i8, ptr %slot
  %z = zext i8 %byte to i64
  %o4 = call ptr @PyBool_FromLong(i64 %z)
  ret ptr %o4
}}

; The result in its form, of arrays and numbers.
define internal ptr @pack(ptr %t, ptr %p, ptr %slots, ptr %results) {{
head:
  {_word("n_in", "%t", N_IN)}
  {_word("n_out", "%t", N_OUT)}
  {_word("form", "%t", FORM)}
  {_word("start", "%p", OUTPUTS)}
  %s0 = getelementptr i64, ptr %p, i64 %start
  %own = getelementptr i64, ptr %slots, i64 %n_in
  switch i64 %form, label %outputs [ i64 {LIST}, label %list i64 {TUPLE}, label %tuple ]
list:
  %l = call ptr @PyList_New(i64 %n_out)
  %l.bad = icmp eq ptr %l, null
  br i1 %l.bad, label %nobox, label %outputs
tuple:
  %u = call ptr @PyTuple_New(i64 %n_out)
  %u.bad = icmp eq ptr %u, null
  br i1 %u.bad, label %nobox, label %outputs
nobox:
  call void @drop(ptr %results, i64 %n_out)
  ret ptr null
outputs:
  %box = phi ptr [null, %head], [%l, %list], [%u, %tuple], [%box, %put], [%box, %intuple]
  %k = phi i64 [0, %head], [0, %list], [0, %tuple], [%k2, %put], [%k2, %intuple]
  %s = phi ptr [%s0, %head], [%s0, %list], [%s0, %tuple], [%s2, %put], [%s2, %intuple]
  %more = icmp slt i64 %k, %n_out
  br i1 %more, label %output, label %end
output:
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  {_word("made", "%results", "%k", "ptr")}
  {_word("kind", "%s", KIND)}
  %slot = getelementptr i64, ptr %own, i64 %k
  %isnumber = icmp eq ptr %made, null
  br i1 %isnumber, label %tonumber, label %ready
tonumber:
  %n = call ptr @number(i64 %kind, ptr %slot)
  br label %ready
ready:
  %object = phi ptr [%made, %output], [%n, %tonumber]
  %lost = icmp eq ptr %object, null
  br i1 %lost, label %nomemory, label %have
nomemory:
  ; What is in the box goes with it.
  %rest = getelementptr ptr, ptr %results, i64 %k2
  %n_rest = sub i64 %n_out, %k2
  call void @drop(ptr %rest, i64 %n_rest)
  %boxed = icmp ne ptr %box, null
  br i1 %boxed, label %unbox, label %nothing
unbox:
  call void @Py_DecRef(ptr %box)
  br label %nothing
nothing:
  ret ptr null
have:
  switch i64 %form, label %alone [ i64 {LIST}, label %inlist i64 {TUPLE}, label %intuple ]
alone:
  ret ptr %object
inlist:
  %r1 = call i32 @PyList_SetItem(ptr %box, i64 %k, ptr %object)
  br label %put
intuple:
  %r2 = call i32 @PyTuple_SetItem(ptr %box, i64 %k, ptr %object)
  br label %outputs
put:
  br label %outputs
end:
  ret ptr %box
}}
"""

_RUN = f"""
define internal void @enter(ptr %p, ptr %c, ptr %arena) {{
head:
  %word = ptrtoint ptr %arena to i64
  %raised = add i64 %word, {ALIGN - 1}
  %aligned = and i64 %raised, -{ALIGN}
  %place = getelementptr i64, ptr %c, i64 {ARENA}
  store i64 %aligned, ptr %place
  {_word("entry", "%p", ENTRY, "ptr")}
  {_word("mode", "%p", MODE)}
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
  {_word("size", "%known", SIZE)}
  %p = alloca i64, i64 %size, align 16
  %bytes = mul i64 %size, 8
  %ignored = call ptr @memcpy(ptr %p, ptr %known, i64 %bytes)
  {_word("n_out", "%t", N_OUT)}
  %many = add i64 %n, %n_out
  %slots = alloca i64, i64 %many, align 16
  %results = alloca ptr, i64 %n_out
  {_word("where", "%p", CONTEXT)}
  %c = getelementptr i64, ptr %p, i64 %where
  %taken = call i1 @take(ptr %p, ptr %args, i64 %n, ptr %c, ptr %slots)
  br i1 %taken, label %threads, label %refuse
threads:
  {_word("mode", "%p", MODE)}
  %bit = and i64 %mode, {THREADED}
  %threaded = icmp ne i64 %bit, 0
  br i1 %threaded, label %look, label %targets
look:
  {_word("pool", "%t", POOL, "ptr")}
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
  {_word("need", "%p", ARENA_BYTES)}
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
  {_word("status", "%c", STATUS)}
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
  {_word("t", "%self", 2, "ptr")}
  %r = call ptr @run(ptr %t, ptr %args, i64 %n, ptr null, ptr null)
  ret ptr %r
}}

; The first argument is `out`.
define ptr @door_out(ptr %self, ptr %args, i64 %n) {{
head:
  {_word("t", "%self", 2, "ptr")}
  {_word("form", "%t", FORM)}
  {_word("n_out", "%t", N_OUT)}
  {_word("given", "%args", 0, "ptr")}
  {_word("type", "%given", 1, "ptr")}
  {_word("size", "%given", 2)}
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

TEXT = _OBJECTS + _DECLARATIONS + _OPERANDS + _CHOICE + _RESULTS + _RUN
