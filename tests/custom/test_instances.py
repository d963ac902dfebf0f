"""Methods of classes and of instances, and instances that are called."""

import numpy as np

import pullback.numpy as jnp
from pullback import custom_vjp, grad, jit, vmap


class Scaled:
    """A class whose method has a rule that returns three times the derivative."""

    factor = 2.0

    @classmethod
    @custom_vjp
    def square(cls, x):
        return cls.factor * x**2


Scaled.__dict__["square"].__func__.defvjp(
    lambda cls, x: (cls.square(x), x), lambda x, ct: (None, 12 * x * ct)
)


class Renamed:
    """A class whose methods call their first parameter otherwise."""

    factor = 3.0

    @custom_vjp
    def method(me, x):
        return me.factor * x

    @classmethod
    @custom_vjp
    def of_the_class(kind, x):
        return kind.factor * x


for _method in (Renamed.method, Renamed.__dict__["of_the_class"].__func__):
    _method.defvjp(lambda me, x: (me.factor * x, None), lambda _, ct: (None, 5 * ct))


class Weighted:
    """An instance that is called, and that a method's rule looks into."""

    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        return self.w * x

    @custom_vjp
    def method(self, x):
        return self.w * x


Weighted.method.defvjp(
    lambda self, x: (self.method(x), self.w), lambda w, ct: (None, 3 * w * ct)
)


def test_class_methods_have_rules():
    assert float(Scaled.square(3.0)) == 18.0
    assert float(grad(Scaled.square)(3.0)) == 36.0
    assert float(jit(grad(Scaled.square))(3.0)) == 36.0
    mapped = vmap(grad(Scaled.square))(jnp.arange(3.0))
    np.testing.assert_allclose(mapped, [0.0, 12.0, 24.0])


def test_methods_of_callable_instances_have_rules():
    assert float(grad(Weighted(5.0).method)(2.0)) == 15.0


def test_attributes_of_a_callable_argument_are_there_in_rules():
    @custom_vjp
    def apply(model, x):
        return model(x) * model.w

    apply.defvjp(
        lambda model, x: (apply(model, x), model),
        lambda model, ct: (None, model.w**2 * ct),
    )
    assert float(grad(apply, 1)(Weighted(3.0), 2.0)) == 9.0


def test_the_first_parameter_of_a_method_may_have_any_name():
    assert grad(Renamed().method)(2.0) == 5.0
    assert grad(Renamed.of_the_class)(2.0) == 5.0
    assert jit(grad(Renamed().method))(2.0) == 5.0
