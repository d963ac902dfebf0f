"""Programs about decorated functions as objects: rules.md, section 1."""

import copy
import functools
import inspect
import pickle
import time

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    tree_util,
    value_and_grad,
    vjp,
    vmap,
)
from pullback.errors import ArgumentError, MissingCustomRule, RuleArityError

BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])


@custom_jvp
def softsign(x):
    """Squash into (-1, 1)."""
    return x / (1 + jnp.abs(x))


softsign.defjvps(lambda t, ans, x: t / (1 + jnp.abs(x)) ** 2)


@custom_vjp
def halve(x):
    """Give half of it."""
    return x / 2


halve.defvjp(lambda x: (halve(x), None), lambda res, g: (g / 2,))


@BOTH
def test_decorated_function_keeps_name_doc_and_signature(decorator):
    @decorator
    def energy(mass: float, *, speed: float = 3.0) -> float:
        """E = m v**2."""
        return mass * speed**2

    assert energy.__name__ == "energy"
    assert energy.__doc__ == "E = m v**2."
    assert energy.__module__ == __name__
    assert str(inspect.signature(energy)) == (
        "(mass: float, *, speed: float = 3.0) -> float"
    )
    assert energy.__wrapped__(2.0) == 18.0


@BOTH
def test_keyword_form_gives_a_decorator(decorator):
    @decorator(nondiff_argnums=(1,))
    def power(x, n):
        return x**n

    assert isinstance(power, decorator)
    assert power(3.0, 2) == 9.0


@BOTH
def test_partial_form_gives_a_decorator(decorator):
    @functools.partial(decorator, nondiff_argnums=0)
    def scaled(name, x):
        return 2.0 * x

    assert scaled("a", 4.0) == 8.0


@BOTH
def test_decorator_refuses_what_is_no_function(decorator):
    with pytest.raises(TypeError, match=f"{decorator.__name__}.*function"):
        decorator(3.0)


def test_repr_names_function_and_rules():
    assert repr(softsign) == "<custom_jvp softsign: jvps=(<lambda>)>"

    @custom_vjp
    def f(x):
        return x

    assert repr(f) == "<custom_vjp f: no rules>"

    def f_fwd(x):
        return x, None

    def f_bwd(res, g):
        return (g,)

    f.defvjp(f_fwd, f_bwd)
    assert repr(f) == "<custom_vjp f: fwd=f_fwd, bwd=f_bwd>"


@pytest.mark.parametrize("f", [softsign, halve])
def test_decorated_function_pickles_by_name(f):
    assert pickle.loads(pickle.dumps(f)) is f


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_take_rules_of_their_own(duplicate):
    twin = duplicate(softsign)
    twin.defjvps(lambda t, ans, x: 100.0 * t)
    assert grad(twin)(0.0) == 100.0
    assert grad(softsign)(0.0) == 1.0
    assert twin.__name__ == "softsign"


def test_deepcopy_of_a_container_of_decorated_functions():
    kept = copy.deepcopy({"f": [halve], "n": 3})
    assert grad(kept["f"][0])(1.0) == 0.5


def test_rule_attached_as_decorator_stays_a_plain_function():
    @custom_jvp
    def f(x):
        return x

    @f.defjvp
    def f_jvp(primals, tangents):
        return primals[0], 7.0 * tangents[0]

    assert inspect.isfunction(f_jvp)
    assert grad(f)(1.0) == 7.0


def test_method_of_a_plain_object_is_bound_through_the_instance():
    class Spring:
        def __init__(self, label):
            self.label = label

        @custom_jvp
        def force(self, x):
            return -x

        @force.defjvp
        def force_jvp(primals, tangents):
            self, x = primals
            assert self.label == "coil"
            return self.force(x), -3.0 * tangents[1]

    spring = Spring("coil")
    assert spring.force(2.0) == -2.0
    assert grad(spring.force)(2.0) == -3.0
    assert jit(grad(spring.force))(2.0) == -3.0
    np.testing.assert_array_equal(vmap(grad(spring.force))(jnp.ones(2)), [-3.0, -3.0])


def test_method_with_reverse_rule_of_a_plain_object():
    class Gate:
        slope = 4.0

        @custom_vjp
        def through(self, x):
            return jnp.round(x)

        def through_fwd(self, x):
            return jnp.round(x), None

        def through_bwd(res, g):
            return None, 4.0 * g

        through.defvjp(through_fwd, through_bwd)

    assert grad(Gate().through)(0.7) == 4.0
    assert jit(grad(Gate().through))(0.7) == 4.0


@tree_util.register_pytree_node_class
class Linear:
    """A layer whose weights are leaves."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def tree_flatten(self):
        return (self.w, self.b), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)

    @custom_vjp
    def __call__(self, x):
        return self.w * x + self.b

    def fwd(self, x):
        return self(x), (self, x)

    def bwd(res, g):
        self, x = res
        return Linear(10.0 * x * g, g), self.w * g

    __call__.defvjp(fwd, bwd)


def test_method_of_a_pytree_gives_the_instance_a_cotangent():
    layer = Linear(2.0, 1.0)
    d_layer, d_x = grad(lambda m, x: m(x), (0, 1))(layer, 3.0)
    assert (d_layer.w, d_layer.b, d_x) == (30.0, 1.0, 2.0)


def test_static_and_class_methods_stand_above_the_decorator():
    class Units:
        factor = 5.0

        @staticmethod
        @custom_jvp
        def twice(x):
            return 2 * x

        @classmethod
        @custom_jvp
        def scale(cls, x):
            return cls.factor * x

    Units.twice.defjvps(lambda t, ans, x: 20.0 * t)
    assert grad(Units.twice)(1.0) == 20.0
    assert Units.scale(2.0) == 10.0


@BOTH
@pytest.mark.parametrize("wrapper", [staticmethod, classmethod])
def test_decorating_a_staticmethod_says_how_to_order(decorator, wrapper):
    with pytest.raises(ArgumentError, match=f"@{wrapper.__name__} above"):
        decorator(wrapper(lambda x: x))


def test_partial_object_can_be_decorated():
    def affine(a, x, b=0.0):
        return a * x + b

    f = custom_jvp(functools.partial(affine, 3.0, b=1.0))
    f.defjvp(lambda primals, tangents: (f(*primals), 30.0 * tangents[0]))
    assert f(2.0) == 7.0
    assert grad(f)(2.0) == 30.0
    assert "affine" in repr(f)


@pytest.mark.parametrize("transform", [jit, vmap, grad])
def test_transformed_function_can_be_decorated(transform):
    x = jnp.ones(2) if transform is vmap else 1.0
    f = custom_vjp(transform(lambda x: jnp.sin(x)))
    f.defvjp(lambda x: (f(x), None), lambda res, g: (9.0 * g,))
    assert jnp.all(grad(lambda x: jnp.sum(f(x)))(x) == 9.0)


def test_keyword_arguments_reach_the_rule_by_position():
    @custom_jvp
    def blend(x, y, z=10.0):
        return x + y + z

    @blend.defjvp
    def blend_jvp(primals, tangents):
        (x, y, z), (dx, dy, dz) = primals, tangents
        return blend(x, y, z), 1.0 * dx + 10.0 * dy + 100.0 * dz

    assert grad(lambda y: blend(y=y, x=1.0))(2.0) == 10.0
    assert grad(lambda z: blend(1.0, z=z, y=3.0))(2.0) == 100.0
    assert blend(1.0, 2.0) == 13.0
    assert jvp(lambda x: blend(x, 2.0), (1.0,), (1.0,))[1] == 1.0


def test_defaults_are_filled_in_for_fwd():
    seen = []

    @custom_vjp
    def f(x, y=4.0):
        return x * y

    def f_fwd(x, y):
        seen.append(y)
        return x * y, (x, y)

    f.defvjp(f_fwd, lambda res, g: (g * res[1], g * res[0]))
    assert grad(f)(2.0) == 4.0
    assert float(seen[0]) == 4.0


def test_keyword_only_parameter_is_differentiable_with_jvp_rule():
    @custom_jvp
    def f(x, *, rate):
        return x * rate

    @f.defjvp
    def f_jvp(primals, tangents):
        (x, rate), (dx, drate) = primals, tangents
        return f(x, rate=rate), 2.0 * dx + 5.0 * drate

    assert grad(lambda r: f(3.0, rate=r))(1.0) == 5.0
    assert grad(lambda x: f(x, rate=2.0))(1.0) == 2.0


def test_keyword_only_parameter_is_differentiable_with_vjp_rule():
    @custom_vjp
    def f(x, *, rate=2.0):
        return x * rate

    def f_fwd(x, *, rate):
        return f(x, rate=rate), (x, rate)

    def f_bwd(res, g):
        _, rate = res
        return g * rate, 7.0 * g

    f.defvjp(f_fwd, f_bwd)
    assert grad(f)(3.0) == 2.0
    assert grad(lambda r: f(3.0, rate=r))(1.0) == 7.0
    assert jit(grad(lambda r: f(3.0, rate=r)))(1.0) == 7.0


def test_variable_number_of_arguments():
    @custom_vjp
    def total(*xs):
        return sum(xs)

    total.defvjp(
        lambda *xs: (total(*xs), len(xs)),
        lambda n, g: tuple((i + 1.0) * g for i in range(n)),
    )
    assert grad(total, (0, 1, 2))(1.0, 1.0, 1.0) == (1.0, 2.0, 3.0)
    assert grad(total)(1.0) == 1.0


def test_arbitrary_keywords_are_refused_by_name():
    @custom_jvp
    def f(x, **options):
        return x

    f.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
    with pytest.raises(TypeError, match=r"(?s)f takes arbitrary.*speed.*signature"):
        grad(lambda x: f(x, speed=2.0))(1.0)


def test_wrong_call_is_told_in_pythons_words():
    @custom_jvp
    def f(x, y):
        return x

    with pytest.raises(
        TypeError,
        match=r"f was called with missing a required argument: 'y'.*Its parameters",
    ):
        grad(lambda x: f(x))(1.0)


def test_def_fwd_and_def_bwd_are_decorators():
    @custom_vjp
    def f(x):
        return jnp.sin(x)

    @f.def_fwd
    def f_fwd(x):
        return f(x), x

    @f.def_bwd
    def f_bwd(x, g):
        return (6.0 * g,)

    assert grad(f)(1.0) == 6.0
    assert f_fwd.__name__ == "f_fwd"
    assert f_bwd(None, 1.0) == (6.0,)


@pytest.mark.parametrize("half", ["def_fwd", "def_bwd"])
def test_half_a_reverse_rule_names_the_other_half(half):
    @custom_vjp
    def f(x):
        return x

    getattr(f, half)((lambda x: (x, None)) if half == "def_fwd" else lambda r, g: (g,))
    other = "def_bwd" if half == "def_fwd" else "def_fwd"
    with pytest.raises(TypeError, match=rf"f .*{other}"):
        grad(f)(1.0)


@pytest.mark.parametrize(
    ("attach", "named"),
    [
        (lambda f: f.defjvp(lambda primals: None), "primals, tangents"),
        (lambda f: f.defvjp(lambda x: None, lambda r, g: None), "fwd"),
        (lambda f: f.defvjp(lambda x, y: None, lambda g: None), "residuals, cotangent"),
        (lambda f: f.defjvps(lambda t, ans, x: t, None), "primal_out"),
        (lambda f: f.defvmap(lambda size: None), "axis_size, in_batched"),
    ],
)
def test_arity_is_checked_when_the_rule_is_attached(attach, named):
    @custom_jvp
    def f(x, y):
        return x

    with pytest.raises(RuleArityError, match=named) as caught:
        attach(f)
    assert "test_objects.py:" in str(caught.value)


def test_fwd_must_take_keyword_only_parameters_by_keyword():
    f = custom_vjp(lambda x, *, rate: x * rate)
    with pytest.raises(RuleArityError, match=r"1 positional arguments and rate by key"):
        f.defvjp(lambda x, factor: (x, None), lambda res, g: (g, g))


def test_defjvps_counts_its_rules():
    @custom_jvp
    def f(x, y):
        return x * y

    with pytest.raises(RuleArityError, match=r"f was given 1 rule.*2 differentiable"):
        f.defjvps(lambda t, ans, x, y: t)


def test_rule_that_is_no_function_is_refused():
    @custom_jvp
    def f(x):
        return x

    with pytest.raises(
        RuleArityError, match=r"rule of f must be a function; got a int"
    ):
        f.defjvp(3)


def test_redefining_replaces_the_rule():
    @custom_jvp
    def f(x):
        return x

    f.defjvps(lambda t, ans, x: 2.0 * t)
    assert grad(f)(1.0) == 2.0
    f.defjvp(lambda primals, tangents: (primals[0], 3.0 * tangents[0]))
    assert grad(f)(1.0) == 3.0
    f.defjvps(lambda t, ans, x: 4.0 * t)
    assert grad(f)(1.0) == 4.0


def test_redefining_replaces_the_rule_after_jit():
    @custom_vjp
    def f(x):
        return x

    compiled = jit(lambda x: 1.0 * f(x))
    derivative = jit(grad(compiled))
    f.defvjp(lambda x: (f(x), None), lambda res, g: (2.0 * g,))
    assert derivative(1.0) == 2.0
    assert grad(compiled)(1.0) == 2.0
    f.defvjp(lambda x: (f(x), None), lambda res, g: (3.0 * g,))
    assert grad(compiled)(1.0) == 3.0
    assert derivative(1.0) == 3.0


def test_rule_defined_after_the_first_jit_call_is_used():
    @custom_jvp
    def f(x):
        return x * x

    compiled = jit(f)
    assert compiled(3.0) == 9.0
    f.defjvps(lambda t, ans, x: 5.0 * t)
    assert grad(compiled)(3.0) == 5.0


@BOTH
def test_function_without_rules_runs_but_has_no_derivative(decorator):
    @decorator
    def cube(x):
        return x**3

    assert cube(2.0) == 8.0
    assert jit(cube)(2.0) == 8.0
    np.testing.assert_array_equal(vmap(cube)(jnp.arange(3.0)), [0, 1, 8])
    wanted = "cube.defjvp" if decorator is custom_jvp else "cube.defvjp"
    with pytest.raises(MissingCustomRule, match=wanted) as caught:
        grad(cube)(2.0)
    assert isinstance(caught.value, (TypeError, AttributeError))
    assert f"{decorator.__name__} function cube" in str(caught.value)
    assert "test_objects.py:" in str(caught.value)
    with pytest.raises(MissingCustomRule, match=wanted):
        jit(grad(cube))(2.0)
    with pytest.raises(MissingCustomRule, match=wanted):
        grad(jit(cube))(2.0)


def test_constant_call_of_function_without_rules_needs_none():
    @custom_jvp
    def f(x):
        return x

    assert grad(lambda x: x * f(2.0))(3.0) == 2.0


def test_decorating_twice_adds_to_the_rules():
    @custom_vjp
    @custom_jvp
    def f(x):
        return x

    f.defjvps(lambda t, ans, x: 2.0 * t)
    f.defvjp(lambda x: (f(x), None), lambda res, g: (3.0 * g,))
    assert jvp(f, (1.0,), (1.0,))[1] == 2.0
    assert grad(f)(1.0) == 3.0


def test_rules_can_be_shared_by_several_functions():
    def rule(primals, tangents):
        return primals[0] + 0.0, 8.0 * tangents[0]

    f, g = custom_jvp(lambda x: x), custom_jvp(lambda x: 1.0 * x)
    f.defjvp(rule)
    g.defjvp(rule)
    assert grad(f)(1.0) == grad(g)(1.0) == 8.0


def test_call_outside_of_transformations_is_cheap():
    plain = jit(lambda x: x + 1.0)
    f = custom_jvp(lambda x: plain(x))
    f.defjvps(lambda t, ans, x: t)
    x = jnp.float32(1.0)

    def cost(g):
        g(x)
        rounds = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(500):
                g(x)
            rounds.append(time.perf_counter() - start)
        return min(rounds)

    assert cost(f) <= 4 * cost(plain)


def test_vjp_through_a_decorated_builtin():
    f = custom_vjp(abs)
    f.defvjp(lambda x: (abs(x), None), lambda res, g: (g,))
    _, pull = vjp(f, -2.0)
    assert pull(1.0) == (1.0,)


def test_redefining_half_of_a_rule_takes_its_plain_form():
    f = custom_vjp(lambda x: x)
    f.defvjp_with_logs(lambda x: (x, None), lambda res, g: ((2.0 * g,), {"g": g}))
    f.def_bwd(lambda res, g: (3.0 * g,))
    assert grad(f)(1.0) == 3.0
    f.defvjp(lambda x: (x.value, None), lambda res, g: (4.0 * g,), symbolic_zeros=True)
    f.def_fwd(lambda x: (2.0 * x, None))
    assert value_and_grad(f)(1.0) == (2.0, 4.0)
    f.defvjp(lambda x: (x.value, None), lambda res, g: (4.0 * g,), symbolic_zeros=True)
    f.defvjp_with_logs(lambda x: (2.0 * x, None), lambda res, g: ((5.0 * g,), {}))
    assert value_and_grad(f)(1.0) == (2.0, 5.0)
