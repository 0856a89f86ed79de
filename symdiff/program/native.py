"""Which operations of programs are one machine instruction or two: the others are functions, divisions and roots."""

# fmt: off
NATIVE = frozenset({
    "add", "sub", "mul", "neg", "abs", "sign", "max", "min", "floor", "ceil", "trunc", "lt", "le", "gt", "ge", "eq",
    "ne", "and", "or", "xor", "not", "where", "cast", "bit_and", "bit_xor", "shift_right",
})
# fmt: on
