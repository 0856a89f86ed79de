"""The door's LLVM text for arguments: what they are, which plan is made for them, where they and given results lie."""

from __future__ import annotations

from backends.cpu.door_table import (
    A_BOOL,
    A_FLOAT32,
    AN_ARRAY,
    AN_INT64,
    ARRAY_TYPE,
    BYTES,
    DESCR,
    FIRST,
    FIRST_IN,
    FIRST_OUT,
    KIND,
    N_IN,
    N_OUT,
    NEXT,
    OPERAND,
    OUTPUTS,
    PLAN,
    RANK,
    READ,
    WRITE,
    word,
)

OPERANDS = f"""
; An array of exactly this dtype and shape, with these flags.
define internal i1 @is_array(ptr %o, ptr %s, ptr %wanted, i32 %need) {{
head:
  {word("kind", "%o", 1, "ptr")}
  %exact = icmp eq ptr %kind, %wanted
  br i1 %exact, label %array, label %no
array:
  {word("descr", "%o", 7, "ptr")}
  {word("descr2", "%s", DESCR, "ptr")}
  %same = icmp eq ptr %descr, %descr2
  {word("flags", "%o", 8, "i32")}
  %masked = and i32 %flags, %need
  %flagged = icmp eq i32 %masked, %need
  {word("rank", "%o", 3, "i32")}
  {word("rank2", "%s", RANK)}
  %wide = sext i32 %rank to i64
  %ranked = icmp eq i64 %wide, %rank2
  %a = and i1 %same, %flagged
  %b = and i1 %a, %ranked
  {word("dims", "%o", 4, "ptr")}
  %dims2 = getelementptr i64, ptr %s, i64 {len(OPERAND)}
  br i1 %b, label %look, label %no
look:
  %k = phi i64 [0, %array], [%k2, %equal]
  %more = icmp slt i64 %k, %wide
  br i1 %more, label %compare, label %yes
compare:
  {word("d", "%dims", "%k")}
  {word("d2", "%dims2", "%k")}
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
  {word("type", "%o", 1, "ptr")}
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
  {word("da", "%a", 2)}
  {word("db", "%b", 2)}
  {word("na", "%sa", BYTES)}
  {word("nb", "%sb", BYTES)}
  %ea = add i64 %da, %na
  %eb = add i64 %db, %nb
  %before = icmp ule i64 %ea, %db
  %after = icmp ule i64 %eb, %da
  %apart = or i1 %before, %after
  ret i1 %apart
}}

define internal ptr @following(ptr %s) {{
  {word("rank", "%s", RANK)}
  %n = add i64 %rank, {len(OPERAND)}
  %next = getelementptr i64, ptr %s, i64 %n
  ret ptr %next
}}

define internal ptr @refusal() {{
  call void @Py_IncRef(ptr @_Py_NotImplementedStruct)
  ret ptr @_Py_NotImplementedStruct
}}
"""

CHOICE = f"""
; The plan for these arguments, or null.
define internal ptr @choose(ptr %t, ptr %args, i64 %n) {{
head:
  {word("count", "%t", N_IN)}
  {word("type", "%t", ARRAY_TYPE, "ptr")}
  {word("first", "%t", FIRST, "ptr")}
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
  {word("o", "%args", "%k", "ptr")}
  {word("kind", "%s", KIND)}
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  %ok1 = call i1 @is_array(ptr %o, ptr %s, ptr %type, i32 {READ})
  br i1 %ok1, label %fits, label %other
asnumber:
  %ok2 = call i1 @is_number(ptr %o, i64 %kind)
  br i1 %ok2, label %fits, label %other
fits:
  %k2 = add i64 %k, 1
  %s2 = call ptr @following(ptr %s)
  br label %inputs
other:
  {word("next", "%p", NEXT, "ptr")}
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
  {word("at", "%p", FIRST_IN)}
  %words = getelementptr i64, ptr %c, i64 %at
  br label %inputs
inputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %input, label %yes
input:
  {word("o", "%args", "%k", "ptr")}
  {word("kind", "%s", KIND)}
  %slot = getelementptr i64, ptr %slots, i64 %k
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  {word("data", "%o", 2, "ptr")}
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
  {word("type", "%t", ARRAY_TYPE, "ptr")}
  {word("n_out", "%t", N_OUT)}
  {word("start", "%p", OUTPUTS)}
  %s0 = getelementptr i64, ptr %p, i64 %start
  %in0 = getelementptr i64, ptr %p, i64 {len(PLAN)}
  {word("at", "%p", FIRST_OUT)}
  %words = getelementptr i64, ptr %c, i64 %at
  br label %outputs
outputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n_out
  br i1 %more, label %output, label %yes
output:
  {word("o", "%out", "%k", "ptr")}
  %ok = call i1 @is_array(ptr %o, ptr %s, ptr %type, i32 {WRITE})
  br i1 %ok, label %inputs, label %no
inputs:
  %j = phi i64 [0, %output], [%j2, %farther]
  %r = phi ptr [%in0, %output], [%r2, %farther]
  %more_in = icmp slt i64 %j, %n
  br i1 %more_in, label %input, label %earlier
input:
  {word("other", "%args", "%j", "ptr")}
  {word("kind", "%r", KIND)}
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
  {word("sibling", "%out", "%i", "ptr")}
  %ok2 = call i1 @apart(ptr %o, ptr %s, ptr %sibling, ptr %q)
  br i1 %ok2, label %next, label %no
next:
  %i2 = add i64 %i, 1
  %q2 = call ptr @following(ptr %q)
  br label %earlier
placed:
  {word("data", "%o", 2, "ptr")}
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
