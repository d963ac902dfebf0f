import subprocess
import sys
import textwrap

import pytest

from pullback import config, custom_vjp, grad
from pullback.debugging.tracebacks import fold, folded, hides

SCRIPT = """
import pullback.numpy as jnp
from pullback import config, custom_vjp, grad, jit
{setting}

@custom_vjp
def f(x):
    return 2 * x

def f_bwd(res, g):
    return g, g

f.defvjp(lambda x: (2 * x, None), f_bwd)

def loss(x):
    {body}

def main():
    {call}

main()
"""


def run(body="return f(x)", call="grad(loss)(1.)", setting="", arguments=("-c",)):
    source = SCRIPT.format(body=body, call=call, setting=setting)
    done = subprocess.run(
        [sys.executable, *arguments, textwrap.dedent(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("call", ["grad(loss)(1.)", "jit(grad(loss))(1.)"])
def test_an_uncaught_error_shows_the_users_frames_only(call):
    text = run(call=call)
    assert "in main" in text
    assert "/pullback/" not in text
    assert "frames inside pullback are folded" in text
    assert "custom_vjp rule `f_bwd`" in text or "f_bwd" in text


@pytest.mark.slow
def test_the_switch_shows_all_frames():
    text = run(setting="config.update('full_traceback', True)")
    assert "/pullback/" in text
    assert "are folded" not in text


@pytest.mark.slow
def test_an_error_of_the_user_inside_a_transformation_is_folded_too():
    text = run(body="return undefined_name * x")
    assert "NameError" in text
    assert "in loss" in text
    assert "/pullback/" not in text


@pytest.mark.slow
def test_threads_fold_too():
    text = run(
        setting="import threading, sys",
        call="t = threading.Thread(target=grad(loss), args=(1.,)); "
        "t.start(); t.join(); sys.exit(1)",
    )
    assert "frames inside pullback are folded" in text


@pytest.mark.slow
def test_pytest_leaves_the_librarys_frames_out(tmp_path):
    source = SCRIPT.format(body="return f(x)", call="grad(loss)(1.)", setting="")
    source = (
        textwrap.dedent(source)
        .replace("\nmain()\n", "\n")
        .replace("def main", "def test_it")
    )
    (tmp_path / "test_sample.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "1 failed" in done.stdout
    assert "grad(loss)(1.)" in done.stdout
    assert "pullback/custom" not in done.stdout.replace("\\", "/")


def wrong_rule():
    f = custom_vjp(lambda x: 2 * x)
    f.defvjp(lambda x: (2 * x, None), lambda res, g: (g, g))
    return grad(f)


def caught(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_folding_counts_and_keeps_the_users_frames():
    error = caught(lambda: wrong_rule()(1.0))
    assert hides(error)
    assert fold(error) > 3
    tb = error.__traceback__
    while tb is not None:
        assert "/pullback/" not in tb.tb_frame.f_code.co_filename
        tb = tb.tb_next


def test_failures_of_the_library_itself_are_shown_in_full():
    error = caught(lambda: grad(3))  # type: ignore[arg-type]
    assert hides(error)
    inside = TypeError("made by hand")
    assert folded(inside.__traceback__) == (None, 0)
    assert not hides(inside)


def test_with_the_switch_nothing_is_folded():
    error = caught(lambda: wrong_rule()(1.0))
    with config.context(full_traceback=True):
        assert not hides(error)
        assert fold(error) == 0
