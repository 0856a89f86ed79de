"""The door's LLVM text for results: arrays and numbers made, and put in the form that the user declared."""

from __future__ import annotations

from backends.cpu.door_table import (
    A_BOOL,
    A_FLOAT32,
    AN_ARRAY,
    AN_INT64,
    ARRAY_TYPE,
    FIRST_OUT,
    FORM,
    KIND,
    LIST,
    N_IN,
    N_OUT,
    NEW_ARRAY,
    OPERAND,
    OUTPUTS,
    RANK,
    TUPLE,
    TYPE_NUMBER,
    word,
)

RESULTS = f"""
; Make arrays for the results, null for those that are numbers; their addresses go into the context.
define internal i1 @make(ptr %t, ptr %p, ptr %c, ptr %slots, ptr %results) {{
head:
  {word("type", "%t", ARRAY_TYPE, "ptr")}
  {word("new", "%t", NEW_ARRAY, "ptr")}
  {word("n_in", "%t", N_IN)}
  {word("n_out", "%t", N_OUT)}
  {word("start", "%p", OUTPUTS)}
  %s0 = getelementptr i64, ptr %p, i64 %start
  {word("at", "%p", FIRST_OUT)}
  %words = getelementptr i64, ptr %c, i64 %at
  %own = getelementptr i64, ptr %slots, i64 %n_in
  br label %outputs
outputs:
  %k = phi i64 [0, %head], [%k2, %placed]
  %s = phi ptr [%s0, %head], [%s2, %placed]
  %more = icmp slt i64 %k, %n_out
  br i1 %more, label %output, label %yes
output:
  {word("kind", "%s", KIND)}
  %result = getelementptr ptr, ptr %results, i64 %k
  %array = icmp eq i64 %kind, {AN_ARRAY}
  br i1 %array, label %asarray, label %asnumber
asarray:
  {word("rank", "%s", RANK, "i32")}
  {word("number", "%s", TYPE_NUMBER, "i32")}
  %dims = getelementptr i64, ptr %s, i64 {len(OPERAND)}
  %a = call ptr %new(ptr %type, i32 %rank, ptr %dims, i32 %number, ptr null, ptr null, i32 0, i32 0, ptr null)
  %failed = icmp eq ptr %a, null
  br i1 %failed, label %undo, label %made
made:
  {word("data", "%a", 2, "ptr")}
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
  {word("a", "%results", "%k", "ptr")}
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
  {word("n_in", "%t", N_IN)}
  {word("n_out", "%t", N_OUT)}
  {word("form", "%t", FORM)}
  {word("start", "%p", OUTPUTS)}
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
  {word("made", "%results", "%k", "ptr")}
  {word("kind", "%s", KIND)}
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
