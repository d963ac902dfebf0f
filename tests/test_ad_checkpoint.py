"""What reverse mode keeps, listed by where it comes from."""

import pullback.numpy as jnp
from pullback import ShapeDtypeStruct, jit, lax, named_scope
from pullback.ad_checkpoint import (
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    print_saved_residuals,
    saved_residuals,
)

W, X = jnp.ones((3, 2)), jnp.ones(2)
CONSTANT = jnp.ones((3, 3))


def sources(f, *args, **kwargs):
    """Lists what is kept, without the places."""
    found = saved_residuals(f, *args, **kwargs)
    return [(str(aval), text.split(" from test_")[0]) for aval, text in found]


def model(params, x, *, scale):
    with named_scope("first"):
        y = jnp.sin(params["w"] @ x) * scale
    y = checkpoint_name(jnp.exp(y), "powers")
    return jnp.sum(CONSTANT @ y)


def test_arguments_constants_names_and_operations_are_told_apart():
    assert sources(model, {"w": W}, X, scale=2.0) == [
        ("f32[2]", "from the argument x"),
        ("f32[3,2]", "from the argument params['w']"),
        ("f32[3]", "output of cos"),
        ("f32[]", "from the argument scale"),
        ("f32[3]", "output of sin"),
        ("f32[3]", "named 'powers'"),
        ("f32[3,3]", "from a constant"),
    ]


def test_lines_and_scopes_are_named():
    lines = [text for _, text in saved_residuals(model, {"w": W}, X, scale=2.0)]
    assert "output of cos from test_ad_checkpoint.py" in lines[2]
    assert lines[2].endswith("(model) in first")


def test_a_policy_keeps_what_it_names_beside_the_arguments():
    policy = checkpoint_policies.save_only_these_names("powers")
    kept = sources(checkpoint(model, policy=policy), {"w": W}, X, scale=2.0)
    assert ("f32[3]", "named 'powers'") in kept
    kept.remove(("f32[3]", "named 'powers'"))
    assert all(" argument " in text or "constant" in text for _, text in kept)


def test_calls_are_looked_into_and_loops_are_not():
    layer = jit(lambda x: jnp.sin(x) * x)
    found = saved_residuals(layer, 2.0)
    assert any("in the jitted function '<lambda>'" in text for _, text in found)
    loop = lambda x: lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=4)[0]  # noqa: E731
    assert sources(loop, 2.0) == [("f32[4]", "output of scan")]


def test_types_do_for_arguments_and_integers_are_not_differentiated():
    f = lambda n, x: jnp.sum(x * x) * n  # noqa: E731
    found = sources(f, ShapeDtypeStruct((), int), ShapeDtypeStruct((5,), float))
    assert ("f32[5]", "from the argument x") in found


def test_the_list_is_printed(capsys):
    print_saved_residuals(jnp.sin, 1.0)
    assert capsys.readouterr().out.startswith("f32[] output of cos from test_ad_ch")
