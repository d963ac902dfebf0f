"""Text that is written again with other names."""

import pytest

from pullback import dtypes
from pullback.backend.lower import Module
from pullback.backend.stablehlo import _ONE_TYPE, Emitter
from pullback.backend.template import Operand, Template, placeholder
from pullback.backend.xla import backend
from pullback.core.aval import Aval
from pullback.numpy import add
from pullback.transforms.stage import make_jaxpr

F32 = Aval((3,), dtypes.float32)


def test_names_are_filled_in():
    lines = ["%8 = f %x0, %x1", "%9:2 = g %8, %x0 {note = '100% of %8'}"]
    template = Template(lines, 2, 7, 9, [Operand("%9#1", F32), Operand("%x1", F32)])
    written = []
    outs = template.fill(["%arg0", "%5"], 20, written)
    assert written == [
        "%21 = f %arg0, %5\n    %22:2 = g %21, %arg0 {note = '100% of %21'}"
    ]
    assert outs == ["%22#1", "%5"]
    assert template.count == 2


def test_names_in_other_lines_stay():
    template = Template(["%3 = f %outer, %2"], 0, 2, 3, [Operand("%3", F32)])
    written = []
    assert template.fill([], 6, written) == ["%7"]
    assert written == ["%7 = f %outer, %2"]


def test_an_operation_that_gives_its_operand_writes_nothing():
    template = Template([], 1, 4, 4, [Operand(placeholder(0), F32)])
    written = []
    assert template.fill(["%2"], 9, written) == ["%2"]
    assert written == []


def test_names_of_high_numbers_are_made_when_needed():
    template = Template(["%3 = f"], 0, 2, 3, [Operand("%3", F32)])
    assert template.fill([], 5000, []) == ["%5001"]
    assert template.fill([], 0, []) == ["%1"]


def test_constants_of_one_value_are_written_once():
    def f(x):
        for _ in range(3):
            x = add(x, 2.0)
        return x

    emitter = Emitter()
    emitter.jaxpr(make_jaxpr(f)(1.0).jaxpr, [Operand("%arg0", Aval((), F32.dtype))])
    assert sum("constant" in line for line in emitter.lines) == 1


TWO_OPERANDS = (
    "add and atan2 divide maximum minimum multiply or power remainder shift_left "
    "shift_right_arithmetic shift_right_logical subtract xor"
).split()
OF_INTEGERS = (
    "and count_leading_zeros not or popcnt shift_left shift_right_arithmetic "
    "shift_right_logical xor"
).split()


@pytest.mark.parametrize("name", sorted(_ONE_TYPE))
def test_the_short_form_is_understood(name):
    short = name.removeprefix("stablehlo.")
    kind = Aval((3,), dtypes.int32 if short in OF_INTEGERS else dtypes.float32)
    emitter = Emitter()
    x = Operand("%arg0", kind)
    y = emitter.emit(name, [x, x] if short in TWO_OPERANDS else [x], kind)
    emitter.returns("func.return", [y])
    body = "\n    ".join(emitter.lines)
    text = (
        f"module @m {{\n  func.func public @main(%arg0: {kind.text}) -> "
        f"({kind.text}) {{\n    {body}\n  }}\n}}\n"
    )
    backend().compile(Module(text, ()), [kind])
