import subprocess
import sys
import textwrap

import pytest

from pullback.cli import main

SOURCE = """
import pullback.numpy as jnp
from pullback import Array, custom_jvp, custom_vjp

@custom_vjp
def product(x: float, y: float):
    return x * y

product.defvjp(lambda x, y: (x * y, (x, y)), lambda r, g: (g * r[1], g * r[0]))

@custom_jvp
def wrong(x: Array):
    return jnp.sin(x)

wrong.defjvps(lambda t, ans, x: -t * jnp.cos(x))

@custom_jvp
def fragile(x: float):
    return jnp.logaddexp(x, 0.)

fragile.defjvps(lambda t, ans, x: t * jnp.exp(x) / (1 + jnp.exp(x)))

class Layer:
    @staticmethod
    @custom_jvp
    def scale(x: "jnp.ndarray", n: int):
        return x * n

Layer.scale.defjvps(lambda t, ans, x, n: t * n, None)

@custom_jvp
def bare(x):
    return 2. * x

bare.defjvps(lambda t, ans, x: 2. * t)

def plain(x: float):
    return jnp.sin(x)

text = "no function"
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "rules_to_check.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "rules_to_check"


def test_right_rules_exit_with_0_and_print_the_table(module, capsys):
    assert main(["check", f"{module}:product", "2.", "3."]) == 0
    out = capsys.readouterr().out
    assert "All" in out
    assert "checks passed" in out


def test_wrong_rules_exit_with_1_and_name_the_kind(module, capsys):
    assert main(["check", f"{module}:wrong", "[0.5, 1.0]"]) == 1
    assert "sign" in capsys.readouterr().out


def test_arguments_are_drawn_from_annotations_at_several_points(module, capsys):
    assert main(["check", f"{module}:product"]) == 0
    assert capsys.readouterr().out.count("checks passed") == 3
    assert (
        main(["check", f"{module}:wrong", "--shape", "2,2", "--quiet", "--points", "1"])
        == 1
    )
    assert "argument x[" in capsys.readouterr().out


def test_methods_and_integers(module):
    assert main(["check", f"{module}:Layer.scale", "--shape", "x=3"]) == 0


def test_a_shape_stands_in_for_an_annotation(module, capsys):
    assert main(["check", f"{module}:bare", "--shape", "x="]) == 0
    assert main(["check", f"{module}:bare"]) == 2
    assert "no annotation" in capsys.readouterr().err


def test_extreme_points_are_tried(module, capsys):
    assert main(["check", f"{module}:fragile", "1."]) == 0
    assert main(["check", f"{module}:fragile", "1.", "--extreme", "100."]) == 1
    assert "not finite" in capsys.readouterr().out


def test_functions_without_rules_are_held_against_finite_differences(module, capsys):
    assert main(["check", f"{module}:plain"]) == 0
    assert "no custom rules" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rules_to_check", "package.module:function"),
        ("no_such_module:f", "no module 'no_such_module'"),
        ("rules_to_check:nothing", "has no 'nothing'"),
        ("rules_to_check:text", "is no function but a str"),
    ],
)
def test_what_cannot_be_checked_exits_with_2(module, capsys, path, words):
    assert main(["check", path]) == 2
    assert words in capsys.readouterr().err


def test_an_argument_that_is_no_literal(module, capsys):
    assert main(["check", f"{module}:plain", "x+"]) == 2
    assert "no Python literal" in capsys.readouterr().err


def test_help_lists_the_commands(capsys):
    assert main([]) == 0
    assert "check" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "custom rules" in capsys.readouterr().out


@pytest.mark.slow
def test_it_runs_as_a_module(module):
    done = subprocess.run(
        [sys.executable, "-m", "pullback", "check", f"{module}:wrong", "0.5"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "sign" in done.stdout
