"""What users see: names, signatures, documentation, and what an import costs."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pullback
import pullback.numpy as jnp
from pullback.errors import MissingName

ROOT = Path(__file__).resolve().parent.parent
#: Names that must be there: the foundation. What is there beyond them is free to grow.
NAMES = {
    "pullback": """
        Array ShapeDtypeStruct checkpoint checkpoint_name checkpoint_policies
        closure_convert config custom_gradient custom_jvp custom_vjp debug eval_shape
        extend float0 grad hessian io_callback jacfwd jacobian jacrev jit jvp lax
        linear_transpose linearize make_jaxpr nn numpy pure_callback random remat scipy
        test_util tree tree_util value_and_grad vjp vmap block_until_ready device_get
        device_put devices disable_jit enable_x64 default_backend""",
    "pullback.lax": """
        abs add argmax argmin associative_scan bitwise_and bitwise_not bitwise_or
        bitwise_xor broadcast broadcast_in_dim broadcasted_iota clamp concatenate cond
        conv conv_general_dilated conv_transpose convert_element_type cos cumlogsumexp
        cummax cummin cumprod cumsum custom_linear_solve custom_root digamma div dot
        dot_general dynamic_slice dynamic_slice_in_dim dynamic_update_slice eq erf
        erf_inv erfc exp expm1 fori_loop full full_like gather ge gt integer_pow iota
        le lgamma log log1p logistic lt map max min mul ne neg pad pow reduce
        reduce_max reduce_min reduce_precision reduce_sum reduce_window rem reshape rev
        round rsqrt scan scatter scatter_add select sign sin slice slice_in_dim sort
        sort_key_val sqrt squeeze stop_gradient sub switch tan tanh top_k transpose
        while_loop""",
    "pullback.nn": """
        celu elu gelu glu hard_sigmoid hard_tanh initializers leaky_relu log_sigmoid
        log_softmax logsumexp one_hot relu relu6 selu sigmoid silu soft_sign softmax
        softplus standardize swish tanh""",
    "pullback.random": """
        PRNGKey bernoulli beta bits categorical cauchy choice dirichlet exponential
        fold_in gamma gumbel key key_data laplace logistic multivariate_normal normal
        permutation poisson randint split t truncated_normal uniform wrap_key_data""",
    "pullback.numpy": """
        abs all allclose any append arange arccos arctan2 argmax argmin argsort array
        asarray astype atleast_1d average bfloat16 bincount bool_ broadcast_to ceil
        clip column_stack complex64 concatenate conj convolve cos cosh cross cumprod
        cumsum diag diff divide dot e einsum empty equal exp expand_dims expm1 eye fft
        finfo flip float32 floor full full_like gradient hstack hypot identity imag inf
        inner interp int32 isclose isfinite isinf isnan kron less linalg linspace log
        log1p logaddexp logical_and logspace matmul max maximum mean median meshgrid
        min minimum mod moveaxis multiply nan nan_to_num nanmean ndarray newaxis
        nonzero ones ones_like outer pad percentile pi power prod promote_types
        quantile ravel real reciprocal repeat reshape result_type roll round
        searchsorted select sign sin sinc sinh size sort split sqrt square squeeze
        stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile
        trace transpose trapezoid tri tril triu uint8 unique var vdot vectorize vstack
        where zeros zeros_like""",
    "pullback.numpy.linalg": """
        cholesky cond det eig eigh eigvals eigvalsh inv lstsq matrix_power matrix_rank
        multi_dot norm pinv qr slogdet solve svd""",
    "pullback.tree": "flatten leaves map structure unflatten",
}

#: The ecosystem's documented parameters, by name and kind; what comes after them here
#: is our own. `/` and `*` are as Python writes them.
SIGNATURES = {
    "jit": "fun * static_argnums static_argnames donate_argnums donate_argnames",
    "grad": "fun argnums has_aux holomorphic allow_int",
    "value_and_grad": "fun argnums has_aux holomorphic allow_int",
    "jacfwd": "fun argnums has_aux holomorphic",
    "jacrev": "fun argnums has_aux holomorphic allow_int",
    "hessian": "fun argnums has_aux holomorphic",
    "vjp": "fun *primals has_aux",
    "jvp": "fun primals tangents has_aux",
    "linearize": "fun *primals has_aux",
    "fwd_and_bwd": "fun argnums has_aux jitted",
    "vmap": "fun in_axes out_axes axis_name axis_size spmd_axis_name",
    "custom_jvp": "fun nondiff_argnums nondiff_argnames",
    "custom_vjp": "fun nondiff_argnums nondiff_argnames",
    "checkpoint": "fun * policy prevent_cse static_argnums",
    "make_jaxpr": "fun static_argnums axis_env return_shape",
    "experimental.jet.jet": "fun primals series factorial_scaled",
    "lax.while_loop": "cond_fun body_fun init_val",
    "lax.fori_loop": "lower upper body_fun init_val * unroll",
    "lax.scan": "f init xs length reverse unroll",
    "lax.cond": "pred true_fun false_fun *operands",
    "lax.switch": "index branches *operands",
    "lax.map": "f xs * batch_size",
    "lax.associative_scan": "fn elems reverse axis",
    "lax.psum": "x axis_name * axis_index_groups",
    "lax.pmean": "x axis_name * axis_index_groups",
    "lax.pmax": "x axis_name * axis_index_groups",
    "lax.pmin": "x axis_name * axis_index_groups",
    "lax.axis_index": "axis_name",
    "lax.axis_size": "axis_name",
    "lax.all_gather": "x axis_name * axis_index_groups axis tiled",
    "lax.all_to_all": "x axis_name split_axis concat_axis * axis_index_groups tiled",
    "lax.ppermute": "x axis_name perm",
    "lax.pshuffle": "x axis_name perm",
    "lax.pswapaxes": "x axis_name axis * axis_index_groups",
    "lax.psum_scatter": "x axis_name * scatter_dimension axis_index_groups tiled",
}
METHODS = {
    "custom_jvp.defjvp": "self jvp * symbolic_zeros",
    "custom_jvp.defjvps": "self *jvps",
    "custom_vjp.defvjp": "self fwd bwd symbolic_zeros optimize_remat",
}
#: Modules of which every callable must say what it does.
BORROWED = ("typing", "collections.abc")
DOCUMENTED = (*NAMES, "pullback.tree_util", "pullback.errors", "pullback.numpy.fft")


def parameters_of(path):
    """Write the parameters of a public function as the table above does."""
    owner, *attributes = path.split(".")
    found = getattr(pullback, owner)
    for name in attributes:
        found = getattr(found, name)
    if inspect.isclass(found):
        found = found.__init__
    words, keyword_only = [], False
    for p in inspect.signature(found).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            words.append(f"*{p.name}")
            keyword_only = True
        elif p.kind is p.KEYWORD_ONLY and not keyword_only:
            words += ["*", p.name]
            keyword_only = True
        elif p.kind is not p.VAR_KEYWORD:
            words.append(p.name)
    return [w for w in words if not (inspect.isfunction(found) and w == "self")]


@pytest.mark.parametrize("module", NAMES)
def test_the_names_of_the_foundation_are_there(module):
    found = importlib.import_module(module)
    assert [n for n in NAMES[module].split() if not hasattr(found, n)] == []


@pytest.mark.parametrize("path", SIGNATURES)
def test_parameters_have_the_names_of_the_ecosystem(path):
    wanted = SIGNATURES[path].split()
    assert parameters_of(path)[: len(wanted)] == wanted


@pytest.mark.parametrize("path", METHODS)
def test_methods_have_the_parameters_of_the_ecosystem(path):
    kind, method = path.split(".")
    found = inspect.signature(getattr(getattr(pullback, kind), method)).parameters
    wanted = [w.lstrip("*") for w in METHODS[path].split() if w != "*"]
    assert list(found) == wanted


@pytest.mark.parametrize("module", DOCUMENTED)
def test_every_public_callable_says_what_it_does(module):
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [n for n in dir(found) if n[0] != "_"]
    values = {n: getattr(found, n) for n in names}
    silent = [
        n
        for n, v in values.items()
        if callable(v)
        and getattr(v, "__module__", "") not in BORROWED
        and not (v.__doc__ or "").strip()
    ]
    assert silent == []


# -- names that are not there ----------------------------------------------------------


def test_a_numpy_name_that_is_not_there_yet_says_so():
    with pytest.raises(AttributeError, match="busday_count yet; NumPy has it") as info:
        jnp.busday_count  # noqa: B018
    assert isinstance(info.value, MissingName)
    assert "pure_callback" in str(info.value)


def test_a_name_that_numpy_has_not_either_is_a_misspelling():
    with pytest.raises(AttributeError, match="Check the spelling"):
        jnp.no_such_function  # noqa: B018


def test_asking_for_names_works_with_hasattr_and_getattr():
    assert not hasattr(jnp, "no_such_function")
    assert getattr(jnp, "no_such_function", 3) == 3


# -- what an import loads --------------------------------------------------------------


def run_alone(code):
    """Run code in a new Python, and give what it printed."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def modules_after(code):
    """Run code in a new Python, and give the top-level modules it loaded."""
    ending = "import sys, json; print(json.dumps([*sys.modules]))"
    found = run_alone(f"{code}\n{ending}")
    return {m.split(".")[0] for m in json.loads(found.splitlines()[-1])}


def test_importing_the_package_loads_no_compiler():
    loaded = modules_after("import pullback")
    assert "pullback" in loaded
    assert loaded.isdisjoint({"jax", "jaxlib", "scipy", "matplotlib"})


LATE_MODULES = {
    "ad_checkpoint",
    "custom_derivatives",
    "debug",
    "experimental",
    "extend",
    "flatten_util",
    "image",
    "implicit",
    "lax",
    "nn",
    "numpy.fft",
    "numpy.linalg",
    "ode",
    "ops",
    "random",
    "scipy",
    "stages",
    "test_util",
    "typing",
}


def test_late_namespaces_are_listed_and_imported_when_asked_for():
    found = run_alone(f"""
import sys, pullback
from operator import attrgetter
late = {sorted(LATE_MODULES)}
print([n for n in late if f"pullback.{{n}}" in sys.modules])
listed = {{*dir(pullback), *(f"numpy.{{n}}" for n in dir(pullback.numpy))}}
print(sorted({{*late, "draw", "fwd_and_bwd", "implicit_diff"}} - listed))
print([n for n in late if attrgetter(n)(pullback) != sys.modules["pullback." + n]])
print(repr(pullback.draw(lambda x: x)(1.0)))
print(pullback.implicit_diff is pullback.implicit.implicit_diff)
from pullback.numpy import *
print(fft is pullback.numpy.fft)
""")
    *lists, same, star = [x for x in found.splitlines() if x in ("[]", "True")]
    assert lists == ["[]"] * 3
    assert [same, star] == ["True"] * 2
    assert "<picture" in found


@pytest.mark.parametrize(
    "switch_on",
    [
        "import pullback; pullback.config.update('debug_nans', True)",
        "import pullback; pullback.config.update('jax_debug_infs', True)",
        "import os; os.environ['PULLBACK_DEBUG_NANS'] = '1'; import pullback",
    ],
)
def test_the_search_for_nans_is_imported_when_it_is_switched_on(switch_on):
    found = run_alone(f"""
import sys
{switch_on}
print("pullback.debugging.switch" in sys.modules)
for f in (pullback.numpy.log, pullback.jit(pullback.numpy.log)):
    try:
        f(float(pullback.config.debug_infs) - 1.0)
    except FloatingPointError as error:
        print(error.what)
""")
    assert found.splitlines()[0] == "True"
    assert found.count("operation log gave") == 2, found


def test_the_search_for_kept_values_is_imported_when_it_is_switched_on():
    found = run_alone("""
import sys, pullback
name = "pullback.debugging.leaks"
print(name in sys.modules)
with pullback.checking_leaks():
    print(name in sys.modules)
""")
    assert found.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("before", "on", "frozen"),
    [
        ("", True, "0"),
        ("gc.disable()", False, "0"),
        ("gc.freeze()", True, "some"),
    ],
)
def test_an_import_leaves_the_collector_as_it_was(before, on, frozen):
    found = run_alone(f"""
import gc
{before}
import pullback
print(gc.isenabled(), gc.get_freeze_count() and "some")
""")
    assert found.split() == [str(on), frozen]


def test_eager_code_and_its_derivatives_load_no_compiler():
    loaded = modules_after("""
import pullback, pullback.numpy as jnp
f = lambda x: jnp.sum(jnp.log(1.0 + jnp.exp(x)))
pullback.grad(f)(jnp.ones(3)), pullback.vmap(pullback.grad(f))(jnp.ones((2, 3)))
print(pullback.make_jaxpr(f)(jnp.ones(3)))
pullback.lax.scan(lambda c, x: (c * x, c), 1.0, jnp.ones(3))
""")
    assert loaded.isdisjoint({"jax", "jaxlib"})


def test_compiled_code_loads_the_compiler_but_not_jax():
    loaded = modules_after("import pullback; pullback.jit(lambda x: x + 1)(2.0)")
    assert "jaxlib" in loaded
    assert "jax" not in loaded


def test_nothing_in_the_project_imports_jax():
    assert "jax" not in sys.modules
    guilty = []
    for folder in ("pullback", "tests", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [
                    a.name for a in getattr(node, "names", []) if hasattr(a, "name")
                ]
                source = getattr(node, "module", None) or ""
                if isinstance(node, ast.ImportFrom):
                    names = [source]
                if isinstance(node, (ast.Import, ast.ImportFrom)) and any(
                    n.split(".")[0] == "jax" for n in names
                ):
                    guilty.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert guilty == []


def test_traced_values_must_pass_for_arrays():
    seen = []

    def f(x):
        seen.append(isinstance(x, pullback.Array) and isinstance(x, jnp.ndarray))
        return x

    pullback.jit(f)(1.0)
    pullback.grad(f)(1.0)
    pullback.vmap(f)(jnp.ones(2))
    assert seen == [True] * 3
    assert isinstance(jnp.ones(2), pullback.Array)
    assert not isinstance(1.0, pullback.Array)
