import io

import pytest

import pullback.numpy as jnp
from pullback import debug, grad, jit, vmap

AROUND = pytest.mark.parametrize(
    "around", [lambda f: f, jit, grad, lambda f: jit(grad(f))],
    ids=["eager", "jit", "grad", "jit of grad"],
)  # fmt: skip


@AROUND
def test_values_are_printed_once(around, capsys):
    def f(x):
        debug.print("x is {} and twice {twice:.2f}", x, twice=2 * x)
        return x * x

    around(f)(3.0)
    assert capsys.readouterr().out == "x is 3.0 and twice 6.00\n"


def test_vmap_prints_each_element(capsys):
    def f(x):
        debug.print("{}", x)
        return x

    vmap(f)(jnp.arange(3.0))
    assert capsys.readouterr().out == "0.0\n1.0\n2.0\n"


def test_a_compiled_function_prints_at_each_call(capsys):
    @jit
    def f(x):
        debug.print("{}", x)
        return x

    f(1.0)
    f(2.0)
    assert capsys.readouterr().out == "1.0\n2.0\n"


def test_a_compiled_function_prints_in_the_order_of_the_program(capsys):
    @jit
    def f(x):
        for i in range(5):
            debug.print(f"{i} {{}}", x.sum())
            debug.print(f"{i}")
            x = jnp.sin(x)
        return x

    f(jnp.arange(3.0))
    numbers = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert numbers == [str(i) for i in range(5) for _ in range(2)]


@AROUND
def test_callbacks_get_arrays_and_other_values(around):
    seen = []

    def f(x):
        debug.callback(
            lambda a, name, k: seen.append((float(a["x"]), name, k)), {"x": x}, "n", k=3
        )
        return x * x

    around(f)(3.0)
    assert seen == [(3.0, "n", 3)]


@pytest.mark.parametrize(
    "around", [jit, grad, lambda f: f], ids=["jit", "grad", "eager"]
)
def test_a_breakpoint_shows_the_local_variables(around):
    out = io.StringIO()
    script = "y\np x + 1\nlocals\nwhere\nlist\nnonsense\ncontinue\n"

    def f(x):
        y = x * 2
        debug.breakpoint(stdin=io.StringIO(script), stdout=out)
        return y

    around(f)(3.0)
    text = out.getvalue()
    assert "6." in text
    assert "4.0" in text
    assert "test_printing.py(" in text
    assert "f()" in text
    assert "-> " in text
    assert "NameError" in text


def test_quitting_a_breakpoint_stops_the_program():
    def f(x):
        debug.breakpoint(stdin=io.StringIO("quit\n"), stdout=io.StringIO())
        return x

    with pytest.raises(KeyboardInterrupt):
        f(1.0)
