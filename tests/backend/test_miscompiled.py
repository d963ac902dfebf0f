"""What the compiler gets wrong is found in what it made, and compiled another way."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, random, vmap
from pullback.backend.miscompiled import (
    may_be_wrong,
    multiplies_by_one_number,
    remedy,
)
from pullback.backend.options import OWN_SUMS

ROWS, INNER, COLUMNS = 500, 8, 16


def ones(*shape):
    return jnp.ones(shape)


def repeated(x, *shape):
    return jnp.broadcast_to(x.ravel()[0], shape)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ((x @ ones(COLUMNS, COLUMNS)) ** 2).mean(),
        lambda x: (x @ ones(COLUMNS, COLUMNS)).sum(1),
        lambda x: x.sum(1) * (x[:, 0] @ repeated(x, COLUMNS, COLUMNS)),
        lambda x: x.sum(1) * (x[:, 0] @ jnp.exp(ones(COLUMNS, COLUMNS))),
        lambda x: jnp.abs(x.reshape(-1, COLUMNS) @ repeated(x, COLUMNS, 3)).sum(0),
        lambda x: x.sum(1) * (ones(ROWS, COLUMNS) @ ones(COLUMNS, COLUMNS)),
        lambda x: jnp.abs(vmap(lambda r: r @ ones(COLUMNS, COLUMNS))(x)).sum(1),
        grad(lambda x: (jnp.tanh(x.mean(1)) @ ones(COLUMNS, COLUMNS)).sum()),
    ],
)
def test_products_with_one_number_beside_reductions_are_right(f):
    x = random.normal(random.PRNGKey(0), (ROWS, INNER, COLUMNS))
    np.testing.assert_allclose(jit(f)(x), f(x), rtol=2e-4, atol=1e-3)


def compiled_text(right_factor):
    return "\n\n".join(
        [
            "HloModule f",
            "%fused_computation (param_0.1: f32[8,4], param_1: f32[]) -> f32[8] {\n"
            "  %param_0.1 = f32[8,4]{1,0} parameter(0)\n"
            "  %param_1 = f32[] parameter(1)\n"
            "  %constant.0 = f32[] constant(0)\n"
            "  %broadcast.1 = f32[4,4]{1,0} broadcast(%param_1), dimensions={}\n"
            f"  %right = f32[4,4]{{1,0}} {right_factor}\n"
            "  %dot.3 = f32[8,4]{1,0} dot(%param_0.1, %right), dims={1}\n"
            "  ROOT %reduce.0 = f32[8]{0} reduce(%dot.3, %constant.0), dimensions={1}\n"
            "}",
            "ENTRY %main { ROOT %a = f32[8] fusion(), calls=%fused_computation, "
            'backend_config={"fusion_config":{"kind":"__ynn_fusion"}} }',
        ]
    )


@pytest.mark.parametrize(
    ("right_factor", "wrong"),
    [
        ("exponential(%broadcast.1)", True),
        ("multiply(%broadcast.1, %broadcast.1)", True),
        ("slice(%param_0.1), slice={[0:4], [0:4]}", False),
        ("constant({...})", False),
        ("iota(), iota_dimension=0", False),
    ],
)
def test_right_factors_of_single_numbers_are_found(right_factor, wrong):
    text = compiled_text(right_factor)
    assert any(map(multiplies_by_one_number, text.split("\n\n"))) == wrong
    assert remedy(text) == (OWN_SUMS if wrong else ())
    assert remedy(text.replace("__ynn_fusion", "loop")) == ()


def test_only_programs_with_a_product_and_a_reduction_are_looked_at():
    def text(f):
        return jit(f).lower(ones(4, 4)).as_text()

    assert may_be_wrong(text(lambda x: (x @ x).sum()))
    assert not may_be_wrong(text(lambda x: x @ x))
    assert not may_be_wrong(text(lambda x: x.sum()))
