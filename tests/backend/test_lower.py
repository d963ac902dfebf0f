"""Jaxprs as StableHLO text."""

import numpy as np
import pytest

from pullback import dtypes
from pullback.backend.lower import Module, lower
from pullback.backend.stablehlo import (
    Emitter,
    Operand,
    identifier,
    scalar_text,
    type_text,
)
from pullback.backend.xla import backend
from pullback.calls.jit import jit
from pullback.core.array import from_host
from pullback.core.aval import Aval
from pullback.primitives.table import add, mul, neg, sin
from pullback.transforms.stage import make_jaxpr

GOLDEN = """\
module @f {
  func.func public @main(%arg0: tensor<f32>, %arg1: tensor<3xf32>) -> (tensor<3xf32>) {
    %1 = stablehlo.sine %arg0 : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %1, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %3 = stablehlo.multiply %2, %arg1 : tensor<3xf32>
    func.return %3 : tensor<3xf32>
  }
}
"""


def test_a_program_is_one_module():
    def f(x, y):
        return mul(sin(x), y)

    jaxpr = make_jaxpr(f)(1.0, np.ones(3, "f4")).jaxpr
    module = lower(jaxpr)
    assert module.text == GOLDEN
    assert module.callbacks == ()


def test_donated_inputs_are_marked():
    jaxpr = make_jaxpr(add)(1.0, 2.0).jaxpr
    text = lower(jaxpr, [False, True]).text
    assert "%arg1: tensor<f32> {jax.buffer_donor = true}" in text
    assert text.count("buffer_donor") == 1


def test_programs_that_are_called_twice_are_written_once():
    inner = jit(neg)
    jaxpr = make_jaxpr(lambda x: inner(inner(x)))(1.0).jaxpr
    text = lower(jaxpr).text
    assert text.count("stablehlo.negate") == 1
    assert text.count("func.call") == 2


def test_functions_of_one_name_are_told_apart():
    def make(op):
        def main(x):
            return op(x)

        return jit(main)

    f, g = make(neg), make(sin)
    h = jit(lambda x: g(f(x)))
    assert float(h(1.0)) == pytest.approx(np.sin(-1.0))
    assert "@main_1(" in h.lower(1.0).as_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f", "f"),
        ("<lambda>", "_lambda_"),
        ("2d", "f2d"),
        ("", "f"),
        ("naïve", "na_ve"),
    ],
)
def test_names_are_made_fit(name, text):
    assert identifier(name) == text


VALUES = {
    "bool": [True, False],
    "int8": [-128, 127],
    "uint8": [0, 255],
    "int16": [-(2**15), 2**15 - 1],
    "uint16": [0, 2**16 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "uint32": [0, 2**32 - 1],
    "int64": [-(2**63), 2**63 - 1],
    "uint64": [0, 2**64 - 1],
    "bfloat16": [0.1, -0.0, np.inf, -np.inf, np.nan, 1e-40],
    "float8_e4m3fn": [0.1, -0.0, np.nan, 448.0],
    "float8_e5m2": [0.1, -0.0, np.inf, -np.inf, np.nan],
    "float8_e3m4": [0.3, -0.0, np.inf, -np.inf, np.nan, 15.5],
    "float8_e4m3": [0.1, -0.0, np.inf, -np.inf, np.nan, 240.0],
    "float8_e4m3b11fnuz": [0.1, np.nan, 30.0],
    "float8_e4m3fnuz": [0.1, np.nan, 240.0],
    "float8_e5m2fnuz": [0.1, np.nan, 57344.0],
    "float16": [0.1, -0.0, np.inf, -np.inf, np.nan, 6e-8],
    "float32": [0.1, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38],
    "float64": [0.1, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7e308],
    "complex64": [0.1 + 0.2j, complex(np.inf, np.nan), -0.0j],
    "complex128": [0.1 + 0.2j, complex(-np.inf, 1e-300)],
}


@pytest.mark.parametrize("name", VALUES)
def test_constants_are_read_back_to_the_last_bit(name):
    dtype = np.dtype(name)
    values = np.array(VALUES[name], dtype)
    here = backend()
    emitter = Emitter()
    aval, scalar = Aval((len(values),), dtype), Aval((), dtype)
    made = [
        emitter.constant(values, aval),
        *[emitter.constant(v, scalar) for v in values],
    ]
    emitter.returns("func.return", made)
    results = ", ".join(type_text(x.aval) for x in made)
    body = "\n".join(emitter.lines)
    text = f"module @m {{ func.func public @main() -> ({results}) {{ {body} }} }}"
    outs = here.compile(Module(text, ()), [x.aval for x in made])([])
    found = [np.asarray(here.to_host(b)) for b in outs]
    together = np.stack(found[1:])
    bits = f"V{dtype.itemsize}"
    assert np.array_equal(found[0].view(bits), values.view(bits))
    assert np.array_equal(together.view(bits), values.view(bits))


def test_a_type_is_written_as_the_compiler_reads_it():
    assert type_text(Aval((2, 3), dtypes.float32)) == "tensor<2x3xf32>"
    assert type_text(Aval((), dtypes.complex64)) == "tensor<complex<f32>>"
    assert scalar_text(np.float32(np.inf), dtypes.float32) == "0x7F800000"


def test_a_region_collects_its_own_lines():
    emitter = Emitter()
    scalar = Aval((), dtypes.float32)
    region = emitter.region([scalar], lambda x: [emitter.emit("op", [x], scalar)])
    assert emitter.lines == []
    assert region[0].startswith("^bb0(%")
    assert region[-1].startswith("stablehlo.return %")


def test_emitted_results_are_numbered():
    emitter = Emitter()
    x = Operand("%x", Aval((), dtypes.float32))
    outs = emitter.emit_many("op", [x], [x.aval, x.aval])
    assert [y.name for y in outs] == ["%1#0", "%1#1"]


def test_a_scalar_array_in_a_program_is_a_constant():
    captured = from_host(np.float32(7))
    text = jit(lambda x: add(x, captured)).lower(1.0).as_text()
    assert "dense<7.000000000e+00>" in text
