"""settle: values take the place of what only derivatives need, in loops too, and not before derivatives are built."""

import symdiff as sd
from symdiff.ir.graph import made_order
from symdiff.ops.custom import stop_gradient
from symdiff.passes import PIPELINE, optimise
from symdiff.passes.settle import settle
from symdiff.passes.stabilise import stabilise

x, y = sd.symbols("x y")


def product():
    f = sd.custom_derivative(lambda p, q: sd.sin(p) * q)
    f.jvp(lambda primals, tangents: 3 * tangents[0])
    return f


def test_values_are_put_in_place_and_nothing_else_changes():
    f = product()
    assert settle([f(x, y) + 1, stop_gradient(x) * y]) == [sd.sin(x) * y + 1, x * y]
    assert settle([f(f(x, y), stop_gradient(y))]) == [sd.sin(sd.sin(x) * y) * y]
    plain = [sd.sin(x) * y]
    assert settle(plain) == plain


def test_loops_are_settled_by_the_pipeline():
    f = product()
    out = sd.while_loop(lambda u, k: k < 2, lambda u, k: [f(u, y), k + 1], [x, 0.0])[0]
    (root,) = optimise([out])
    body = next(node for node in made_order([root]) if node.op.name == "while_loop").params["body"]
    assert not any(node.op.name == "custom" for node in made_order(body.outputs))
    assert PIPELINE[0] is settle


def test_the_pass_before_differentiation_keeps_rules():
    (kept,) = stabilise([product()(x, y)])
    assert kept.op.name == "custom"
    assert str(sd.diff(kept, x)) == "3"
