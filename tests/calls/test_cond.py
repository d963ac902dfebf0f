"""Branches: values, every rule, and errors."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import grad, jit, jvp, lax, make_jaxpr, vjp, vmap
from pullback.errors import ArgumentError, ControlFlowError
from tests.rule_checks import check_rules_of

X = np.linspace(0.3, 1.2, 3)


def branching(x, w):
    """Branches with residuals of their own, captured values, and two results."""

    def big(y):
        return jnp.sin(y) * w, jnp.sum(y * y)

    def small(y):
        return y * y * y, jnp.sum(jnp.exp(y) * w)

    return list(lax.cond(jnp.sum(x) > 2.0, big, small, x))


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_cond_rules(scale):
    check_rules_of(branching, scale * X, np.array([0.5, 1.5, -0.7]))


def test_switch_rules():
    def f(x, i):
        branches = [jnp.sin, lambda y: y * y, lambda y: jnp.cos(y) * y]
        return [lax.switch(i, branches, x)]

    for i in range(3):
        check_rules_of(f, X, np.asarray(i, "int32"))


def test_cond_runs_the_branch_that_python_would():
    for pred in (True, False, 1, 0, 2.5, np.bool_(True)):
        expected = 10.0 if pred else 20.0
        assert lax.cond(pred, lambda: 10.0, lambda: 20.0) == expected


def test_cond_takes_its_operand_by_name():
    assert lax.cond(True, lambda x: x + 1, lambda x: x, operand=3) == 4
    assert lax.cond(False, lambda x: 0, lambda x: 1, operand=None) == 1


def test_each_branch_may_have_an_operand_of_its_own():
    f = lambda p, x: lax.cond(p, x, jnp.sin, (x, 2), lambda y: y[0] * y[1])  # noqa: E731
    assert f(True, 0.5) == jnp.sin(0.5)
    assert jit(grad(f, 1))(False, 0.5) == 2


def test_cond_runs_one_branch_only():
    seen = []

    def tell(name, x):
        return pullback.pure_callback(
            lambda y: seen.append(name) or y, pullback.ShapeDtypeStruct((), "f4"), x
        )

    def f(x):
        return lax.cond(x > 0, lambda y: tell("yes", y), lambda y: tell("no", y), x)

    f(jnp.float32(1.0))
    jit(f)(jnp.float32(-1.0)).block_until_ready()
    assert seen == ["yes", "no"]


def test_cond_captures_tracers_of_every_level():
    def f(a, b):
        return grad(lambda x: lax.cond(x > a, lambda: x * x * b, lambda: x * a))(3.0)

    assert f(1.0, 5.0) == 30.0
    assert jit(f)(1.0, 5.0) == 30.0
    assert grad(f, 1)(1.0, 5.0) == 6.0
    assert grad(f, 0)(4.0, 5.0) == 1.0
    np.testing.assert_allclose(vmap(f, (0, None))(jnp.array([1.0, 4.0]), 5.0), [30, 4])


def test_cond_joins_weak_types():
    out = lax.cond(True, lambda: 1.0, lambda: jnp.float16(2.0))
    assert (out.dtype, out.weak_type) == (np.dtype("f2"), False)
    assert lax.cond(True, lambda: 1.0, lambda: 2.0).weak_type


def test_cond_of_integers_and_booleans_differentiates_the_rest():
    def f(x):
        n, flag, y = lax.cond(x > 0, lambda: (1, True, x * 2), lambda: (2, False, x))
        return y * n + jnp.where(flag, x, 0.0)

    assert grad(f)(1.0) == 3.0
    assert grad(f)(-1.0) == 2.0
    assert jvp(f, (1.0,), (1.0,))[1] == 3.0


def test_residuals_of_branches_share_slots():
    def f(x):
        return lax.cond(x[0] > 0, lambda y: jnp.sin(y), lambda y: jnp.tan(y), x)

    jaxpr = make_jaxpr(lambda x: vjp(f, x)[1](x))(jnp.ones(4))
    forward = next(e for e in jaxpr.eqns if e.primitive.name == "cond")
    # The output and one residual: cos(y) in one branch, tan(y)**2 + 1 in the other.
    assert [str(v.aval) for v in forward.outputs] == ["f32[4]", "f32[4]"]


def test_unused_results_of_branches_are_pruned_with_their_work():
    def f(x):
        one, _ = lax.cond(x > 0, lambda: (x, jnp.sin(x)), lambda: (x * 2, jnp.cos(x)))
        return one

    text = jit(f).lower(1.0).as_text()
    assert "sine" not in text
    assert "cosine" not in text


def test_batched_predicate_selects_by_element():
    def f(p, x):
        return lax.cond(p, lambda y: y * 2, lambda y: -y, x)

    p, x = np.array([True, False]), np.arange(2.0, 4.0, dtype="f4")
    np.testing.assert_allclose(vmap(f)(p, x), [4, -3])
    np.testing.assert_allclose(vmap(f, (0, None))(p, x), [[4, 6], [-2, -3]])
    np.testing.assert_allclose(jit(vmap(grad(f, 1)))(p, x), [2, -1])


def test_unbatched_predicate_stays_a_branch():
    def f(p, x):
        return lax.cond(p, jnp.sin, lambda y: 1.0 * jnp.cos(y), x)

    jaxpr = make_jaxpr(vmap(f, (None, 0)))(True, jnp.arange(3.0))
    assert [e.primitive.name for e in jaxpr.eqns][-1] == "cond"


def test_switch_moves_its_index_into_the_range():
    branches = [lambda: 10, lambda: 11, lambda: 12]
    for i, expected in ((-5, 10), (1, 11), (7, 12)):
        assert lax.switch(i, branches) == expected
        assert jit(lambda i: lax.switch(i, branches))(i) == expected


def test_cond_in_python_when_jit_is_disabled():
    with pullback.config.context(disable_jit=True):
        assert lax.cond(True, lambda x: float(x), lambda x: 0.0, 3.0) == 3.0


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda: lax.cond(True, lambda: {"a": 1}, lambda: {"b": 1}), "['a']"),
        (lambda: lax.cond(True, lambda: (1, 2), lambda: (1.5, 2)), "f32[]"),
        (
            lambda: lax.cond(
                True, lambda: {"a": jnp.ones(2)}, lambda: {"a": jnp.ones(3)}
            ),
            "output['a']",
        ),
        (lambda: lax.cond(jnp.ones(2) > 0, lambda: 1, lambda: 2), "bool[2]"),
        (lambda: lax.switch(1.5, [lambda: 1, lambda: 2]), "integer"),
    ],
)
def test_errors_of_branches_say_what_differs(f, words):
    if words == "f32[]":
        # A weak integer yields to a float.
        assert f()[0].dtype == np.dtype("f4")
        return
    with pytest.raises(ControlFlowError) as caught:
        f()
    assert words in str(caught.value)
    assert "test_cond.py" in str(caught.value)


def test_wrong_calls_are_explained():
    with pytest.raises(ArgumentError, match="no branches"):
        lax.switch(0, [])
    with pytest.raises(ArgumentError, match="by position"):
        lax.cond(True, lambda: 1, lambda: 2, unknown=3)
    with pytest.raises(TypeError, match="cond was given"):
        lax.cond(True, 1, 2)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_unused_branches_must_not_reach_cotangents(wrap):
    def branches(a, x):
        return lax.cond(x > 0, lambda x: jnp.sqrt(a * x), lambda x: 2.0 * a * x, x)

    def total(a, xs):
        return vmap(branches, (None, 0))(a, xs).sum()

    a_bar, xs_bar = wrap(grad(total, (0, 1)))(1.0, jnp.array([0.0, 4.0, -1.0]))
    np.testing.assert_allclose(a_bar, 1.0 - 2.0)
    np.testing.assert_allclose(xs_bar, [2.0, 0.25, 2.0])


@pytest.mark.parametrize("shape", [(3,), (200,), (2, 2)], ids=["few", "many", "matrix"])
@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_unused_branches_must_not_reach_captured_arrays(wrap, shape):
    xs = jnp.array([1.0, 2.0])

    def total(w, used):
        roots, whole = lambda x: x * jnp.sqrt(w).sum(), lambda x: x * w.sum()
        return vmap(lambda u, x: lax.cond(u, roots, whole, x))(used, xs).sum()

    never = jnp.array([False, False])
    np.testing.assert_allclose(wrap(grad(total))(jnp.zeros(shape), never), 3.0)
    maps = vmap(grad(total), (None, 0))
    found = wrap(maps)(jnp.full(shape, 4.0), jnp.array([[False, True], [True, False]]))
    np.testing.assert_allclose(found[0], 1.5)
    np.testing.assert_allclose(found[1], 2.25)


def test_nested_batches_must_guard_their_branches():
    def chosen(x):
        return lax.switch((x > 0).astype(int), [lambda x: 2.0 * x, jnp.sqrt], x)

    xs = jnp.array([[0.0, 1.0], [4.0, -1.0]])
    found = grad(lambda xs: vmap(vmap(chosen))(xs).sum())(xs)
    np.testing.assert_allclose(found, [[2.0, 0.5], [0.25, 2.0]])


# -- names of mapped axes --------------------------------------------------------------


def test_branches_may_refer_to_a_mapped_axis():
    def f(x):
        total = lax.psum(x, "i")
        return lax.cond(
            total > 0,
            lambda x: lax.psum(jnp.sin(x), "i") * x,
            lambda x: lax.pmean(x, "i") - x * x,
            x,
        )

    for sign in (1, -1):
        x = sign * np.array([0.3, -0.2, 0.9])
        check_rules_of(vmap(f, axis_name="i"), x)
        check_rules_of(vmap(grad(f), axis_name="i"), x, order=1)


def test_elements_must_share_what_branches_of_others_make_of_them():
    # Every branch sees all elements, also those that take another one.
    def f(x):
        return lax.cond(
            x > 0,
            lambda x: lax.psum(x, "i") * x,
            lambda x: lax.pmean(jnp.sin(x), "i") - x * x,
            x,
        )

    def whole(x):
        return jnp.where(x > 0, x.sum() * x, jnp.sin(x).mean() - x * x)

    x = np.array([0.3, -0.2, 0.9])
    check_rules_of(vmap(f, axis_name="i"), x, reference=lambda x: whole(jnp.asarray(x)))
    both = vmap(lambda x, y: f(x * y), (None, 0))
    check_rules_of(vmap(lambda x: both(x, jnp.array([1.0, -2.0])), axis_name="i"), x)


def test_branches_of_what_is_not_mapped_may_refer_to_the_axis():
    def f(x):
        pred = jnp.array(True)
        return x + lax.cond(pred, lambda y: y + lax.axis_index("i"), lambda y: y, 1.0)

    got = vmap(f, axis_name="i")(jnp.zeros(3))
    np.testing.assert_array_equal(got, [1.0, 2.0, 3.0])
