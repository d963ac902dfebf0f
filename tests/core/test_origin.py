"""Places in the user's code, and the names of functions."""

import _thread
import contextlib
import functools
import inspect
import queue
import sys
import types

import pytest

import pullback.numpy as jnp
from pullback import grad, jit, make_jaxpr, vmap
from pullback.core import origin
from pullback.core.jaxpr import evaluate
from pullback.core.origin import (
    Origin,
    called_at,
    defined_at,
    is_internal,
    name_of,
    user_origin,
)
from pullback.errors import ShapeError


def here():
    return inspect.currentframe().f_back.f_lineno  # type: ignore[union-attr]


def lines_of(closed):
    return [eqn.origin and eqn.origin.line for eqn in closed.eqns]


class Callable:
    def __call__(self, x):
        return x

    def method(self, x):
        return x


def test_called_at_must_name_file_line_and_function():
    text, line = called_at(), here()
    assert text == (
        f"Called at test_origin.py:{line} "
        "(test_called_at_must_name_file_line_and_function)."
    )


def test_origin_must_be_the_line_of_a_call_over_several_lines():
    line = here() + 1
    closed = make_jaxpr(
        lambda x: (
            jnp.sin(x)
            + jnp.cos(
                x,
            )
        )
    )(1.0)
    assert lines_of(closed) == [line + 2, line + 3, line + 2]


@pytest.mark.parametrize(
    "wrap", [jit, vmap, grad, lambda f: f, lambda f: functools.partial(f)]
)
def test_error_must_name_the_users_line_through_transformations(wrap):
    line = here() + 3

    def f(x):
        return (x + jnp.ones((2, 3)) @ jnp.ones((2, 3))).sum()

    with pytest.raises(ValueError, match=rf"test_origin\.py:{line} \(f\)"):
        wrap(f)(jnp.ones(3))


def test_error_of_a_program_must_name_the_line_that_wrote_it():
    closed = make_jaxpr(lambda x: jnp.sin(x) * 2)(1.0)
    line = here() - 1
    again = make_jaxpr(lambda x: evaluate(closed.jaxpr, [x]))(1.0)
    assert lines_of(again) == [line, line]


def test_origin_must_be_none_without_a_users_frame():
    # A thread of its own has no frames of ours below; "<string>" is no file of ours.
    code = compile("def run():\n    queue.put((find(), write()))", "<string>", "exec")
    scope: dict = {"queue": queue.Queue(), "find": user_origin, "write": called_at}
    exec(code, scope)
    _thread.start_new_thread(scope["run"], ())
    assert scope["queue"].get(timeout=60) == (None, "")


def test_origin_must_be_none_without_frames(monkeypatch):
    frames = types.SimpleNamespace(_getframe=lambda depth: None)
    monkeypatch.setattr("pullback.core.origin.sys", frames)
    assert user_origin() is None


def test_code_from_a_prompt_must_be_named_as_python_does():
    code = compile("def f(x):\n    return x", "<stdin>", "exec")
    scope: dict = {}
    exec(code, scope)
    assert str(Origin(scope["f"].__code__, 2)) == "<stdin>:2 (f)"
    assert defined_at(scope["f"]) == "<stdin>:1"


def test_code_of_a_notebook_must_be_named_by_its_cell(monkeypatch):
    cells = {"/tmp/ipykernel_1/460828948.py": ("Cell", "In[2]")}
    shell = types.SimpleNamespace(
        compile=types.SimpleNamespace(format_code_name=cells.get)
    )
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    in_a_cell = compile("\ndef f(): pass", next(iter(cells)), "exec")
    names = {}
    exec(in_a_cell, names)
    assert defined_at(names["f"]) == "Cell In[2]:2"
    assert defined_at(shell_free).startswith("test_origin.py:")


def shell_free():
    """A function of a file, not of a cell."""


def test_line_of_an_instruction_past_the_end_must_be_the_last():
    def f(x):
        return x

    line = f.__code__.co_firstlineno
    assert Origin(f.__code__, 10**6).line == line + 1


def test_library_and_its_tools_must_be_internal():
    assert is_internal(jnp.sin.__code__.co_filename)
    assert is_internal(functools.__file__)
    assert is_internal(contextlib.__file__)
    assert is_internal("<string>")
    assert not is_internal(__file__)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (here, "here"),
        (functools.partial(here), "here"),
        (functools.partial(functools.partial(here)), "here"),
        (Callable(), "Callable"),
        (Callable().method, "method"),
        (Callable, "Callable"),
        (len, "len"),
        (jit(here), "here"),
    ],
)
def test_name_must_be_the_best_of_any_callable(f, name):
    assert name_of(f) == name


def test_name_must_be_found_behind_a_wrapper():
    class Wrapper:
        __wrapped__ = staticmethod(here)

    assert name_of(Wrapper()) == "here"


@pytest.mark.parametrize(
    "f", [here, functools.partial(here), jit(here), functools.partial(jit(here))]
)
def test_definition_must_be_found_behind_wrappers(f):
    assert defined_at(f) == f"test_origin.py:{here.__code__.co_firstlineno}"


def test_definition_of_a_method_must_be_that_of_its_function():
    line = Callable.method.__code__.co_firstlineno
    assert defined_at(Callable().method) == f"test_origin.py:{line}"


def test_definition_of_what_has_no_code_must_be_its_repr():
    assert defined_at(len) == repr(len)


def test_message_must_stand_without_an_unknown_place():
    assert str(ShapeError("What.", where="", mend="Mend.")) == "What. Mend."


def first_speaker():
    return user_origin()


def second_speaker():
    return user_origin()


def test_each_of_two_speakers_in_a_file_gives_its_own_place(monkeypatch):
    monkeypatch.setattr(origin, "_internal", dict(origin._internal))
    monkeypatch.setattr(origin, "_speakers", dict(origin._speakers))
    places = [Origin(here.__code__, 0), Origin(lines_of.__code__, 0)]
    origin.speaks_for(first_speaker, lambda frame: places[0])
    origin.speaks_for(second_speaker, lambda frame: places[1])
    assert first_speaker() is places[0]
    assert second_speaker() is places[1]
