"""The shape of the source: layers, sizes, docstrings, and what is allowed to change.

Everything here is read from the syntax trees of the files; nothing is imported.
"""

import ast
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pullback"

# The layer table, bottom to top. A module may import the rows above its own in this
# listing, that is the lower layers, and the other modules of its own group. Groups of
# one row do not know each other. The longest matching prefix places a module.
LAYERS = (
    # L0: what everything may use.
    (("errors", "config", "lazy", "collector"),),
    (("dtypes", "tree"),),
    # L1: values, jaxprs, traces.
    (("core",),),
    # L2: text for the compiler, and the compiler.
    (("backend.template",),),
    (("backend.stablehlo", "backend.interface"),),
    (("backend",),),
    # L3: the operations with their rules.
    (("primitives.own_loops",),),
    (("primitives.structural",),),
    (("primitives.recipes",),),
    (("primitives.elementwise",),),
    (("primitives",),),
    # L4: the transformations.
    (("transforms.stage",), ("transforms.tangents",), ("transforms.linearity",)),
    (("transforms.jvp",), ("transforms.batch",)),
    (("transforms.linearize",),),
    (("transforms.transpose",),),
    (("transforms.vjp",),),
    (("transforms",),),
    # L5: custom rules, and calls which hold a jaxpr.
    (("custom",), ("calls",)),
    # L6: the NumPy interface.
    (("numpy",),),
    # L7: what the user imports.
    (
        (
            "__main__",
            "ad_checkpoint",
            "checking",
            "cli",
            "custom_batching",
            "custom_derivatives",
            "custom_transpose",
            "debug",
            "debugging",
            "drawing",
            "experimental",
            "extend",
            "external",
            "flatten_util",
            "image",
            "implicit",
            "lax",
            "nn",
            "ode",
            "ops",
            "random",
            "runtime",
            "scipy",
            "stages",
            "test_util",
            "tree_util",
            "typing",
            "",
        ),
    ),
)

FUNCTION_LIMIT = 50  # lines, without the docstring
FILE_LIMIT = 650
LINE_LIMIT = 88

# "module:function" or "module", each with the reason why it may be longer.
LONG_FUNCTIONS: dict[str, str] = {}
LONG_FILES: dict[str, str] = {
    "numpy": "the public names, each imported and listed on a line of its own",
}

# "module:name" of what changes while the library runs, each with its reason.
MUTABLE_GLOBALS = {
    "backend.template:_names": "cache: the names of numbers, as many as were needed",
    "calls.by_element:lift_checks": "filled once, by `experimental.checkify`",
    "calls.executable:nan_finder": "filled once, by `debugging.switch`",
    "config:listeners": "the switches tell the compiled call path when they change",
    "core.array:begin_to_host": "filled once, with how a copy from a device begins",
    "core.array:to_host": "filled once, with the way back from a device",
    "core.jaxpr:printer": "filled once, by `core.pretty`",
    "core.trace:leak_watches": "filled while kept values are looked for",
    "core.origin:_speakers": "functions that stand for a place in the user's code",
    "core.origin:_internal": "cache: is this file one of the library's own?",
    "transforms.linearize:make_steps": "exchanged while nans are looked for",
    "numpy.ufuncs:_looks_at_ranks": "a copy of a switch, for the quick functions",
    "tree:registered": "the pytree registry, for listeners that come late",
    "tree:registration_listeners": "the pytree registry tells who must know too",
}

# Modules that import others by name, each with its reason.
IMPORT_BY_NAME = {
    "": "namespaces that few programs use take a tenth of the import's time",
    "cli": "the user names a module on the command line",
    "backend.xla": "the compiler is imported when first needed",
    "core.trace": "NumPy's error mode has no public name",
    "backend.cuda": "the plugin is that of whichever CUDA generation is installed",
    "numpy": "so do its `fft` and `linalg`",
    "scipy": "so do its modules",
    "scipy.stats": "so do the distributions, a module each",
    "lazy": "SciPy costs more to import than all the rest",
}

MUTABLE_TYPES = {
    "dict",
    "list",
    "set",
    "bytearray",
    "Counter",
    "OrderedDict",
    "defaultdict",
    "deque",
    "WeakKeyDictionary",
    "WeakSet",
    "WeakValueDictionary",
}
MUTATING_METHODS = {
    "add",
    "append",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "setdefault",
    "update",
}


# Reading the source


def module_name(path: Path) -> str:
    """Names a module from the package downwards; the package itself is ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Parses every file of the package."""
    return {
        module_name(path): ast.parse(path.read_text(), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def walk(node, inside=()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yields each node with the nodes around it, outermost first."""
    for child in ast.iter_child_nodes(node):
        yield child, inside
        yield from walk(child, (*inside, child))


def imported(node) -> list[str]:
    """Lists the dotted names which an import statement may bind."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return []


def names_imported(module: str) -> Iterator[str]:
    """Yields what a module imports by name, as far as the name stands in the source."""
    for node, _ in walk(sources()[module]):
        if isinstance(node, ast.Call) and node.args:
            function = ast.unparse(node.func).split(".")[-1].lstrip("_")
            if function in ("LazyModule", "import_module", "__import__"):
                constants = (getattr(n, "value", None) for n in ast.walk(node.args[0]))
                yield next((c for c in constants if isinstance(c, str)), "?")


def own_module(name: str) -> str | None:
    """Gives the module of the package which a dotted name refers to, if one."""
    first, *rest = name.split(".")
    if first != "pullback":
        return None
    while rest and ".".join(rest) not in sources():
        rest.pop()
    return ".".join(rest)


def is_type_checking(node) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def is_function(node) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def functions(tree) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yields every function and method with its dotted name inside the module."""
    for node, inside in walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            around = [n.name for n in inside if hasattr(n, "name")]
            yield ".".join([*around, node.name]), node


def place(module: str) -> tuple[int, int]:
    """Finds the row and group of a module by its longest prefix in the table."""
    found = [
        (len(prefix), row, group)
        for row, groups in enumerate(LAYERS)
        for group, prefixes in enumerate(groups)
        for prefix in prefixes
        if module == prefix or (prefix and module.startswith(prefix + "."))
    ]
    if not found:
        raise LookupError(f"`{module}` stands in no layer of the table")
    return max(found)[1:]


# Imports


def test_every_module_has_a_place_in_the_layer_table():
    for module in sources():
        place(module)


def test_lower_layers_never_import_higher_ones():
    upward = []
    for module, tree in sources().items():
        row, group = place(module)
        for node, _ in walk(tree):
            for name in imported(node):
                target = own_module(name)
                if target is None or target == module:
                    continue
                target_row, target_group = place(target)
                below = target_row < row
                if not below and (target_row, target_group) != (row, group):
                    upward.append(f"{module}:{node.lineno} imports {target}")
    assert upward == []


def test_imports_between_modules_have_no_cycle():
    graph: dict[str, set[str | None]] = {module: set() for module in sources()}
    for module, tree in sources().items():
        for node, inside in walk(tree):
            if not any(map(is_type_checking, inside)):
                graph[module] |= {own_module(name) for name in imported(node)}
        graph[module] -= {None, module}
    while leaves := {module for module, targets in graph.items() if not targets}:
        graph = {m: t - leaves for m, t in graph.items() if m not in leaves}
    assert graph == {}


def test_no_import_stands_inside_a_function():
    inner = [
        f"{module}:{node.lineno}"
        for module, tree in sources().items()
        for node, inside in walk(tree)
        if imported(node) and any(map(is_function, inside))
    ]
    assert inner == []


def test_modules_are_imported_by_name_only_where_listed():
    importers = {module for module in sources() if list(names_imported(module))}
    assert importers == set(IMPORT_BY_NAME)


def test_modules_imported_by_name_are_those_of_others_or_below_their_package():
    own = [
        f"{module} imports {name}"
        for module in sources()
        for name in names_imported(module)
        if name.split(".")[0] in ("pullback", "jax")
        and not f"{name}.".startswith(f"pullback.{module}".rstrip(".") + ".")
    ]
    assert own == []


def test_no_import_is_relative():
    relative = [
        f"{module}:{node.lineno}"
        for module, tree in sources().items()
        for node, _ in walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_jaxlib_is_imported_by_the_xla_backend_only():
    importers = {
        module
        for module, tree in sources().items()
        for name in itertools.chain(
            names_imported(module), *(imported(node) for node, _ in walk(tree))
        )
        if name.split(".")[0] == "jaxlib"
    }
    assert importers == {"backend.xla"}


def test_jax_is_imported_nowhere():
    files = [
        path
        for folder in ("pullback", "tests", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    importers = {
        str(path.relative_to(ROOT))
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported(node)
        if name.split(".")[0] == "jax"
    }
    assert importers == set()


def test_the_operator_slots_are_filled_once_from_numpy_operators():
    fillers = [
        module
        for module, tree in sources().items()
        for node, _ in walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] == "fill_operators"
    ]
    assert fillers == ["numpy.operators"]


# Docstrings


def documented(tree) -> Iterator[tuple[str, Any]]:
    """Yields what must have a docstring: module, classes, public functions."""
    yield "", tree
    for node, inside in walk(tree):
        if any(map(is_function, inside)):
            continue
        if isinstance(node, ast.ClassDef):
            yield node.name, node
        at_top = not any(isinstance(around, ast.ClassDef) for around in inside)
        overload = "overload" in map(ast.unparse, getattr(node, "decorator_list", ()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and at_top:
            if not node.name.startswith("_") and not overload:
                yield node.name, node


@pytest.mark.parametrize("module", sources())
def test_modules_classes_and_public_functions_have_docstrings(module):
    bare = [
        name or "the module itself"
        for name, node in documented(sources()[module])
        if not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("module", sources())
def test_first_lines_of_docstrings_fit_and_end_a_sentence(module):
    wrong = []
    for name, node in documented(sources()[module]):
        first, *rest = (ast.get_docstring(node) or ".").splitlines()
        closed = not rest or not rest[0]
        if len(first) > LINE_LIMIT or first[-1] not in ".:?!" or not closed:
            wrong.append(f"{name}: {first}")
    assert wrong == []


# Sizes


def code_lines(function) -> int:
    """Counts the lines of a function without decorators and docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def test_functions_keep_the_size_limit():
    long = {
        f"{module}:{name}": code_lines(function)
        for module, tree in sources().items()
        for name, function in functions(tree)
        if code_lines(function) > FUNCTION_LIMIT
    }
    assert {name: n for name, n in long.items() if name not in LONG_FUNCTIONS} == {}
    assert set(LONG_FUNCTIONS) <= set(long), "an exception is no longer needed"


def test_files_keep_the_size_limit():
    lengths = {
        module_name(path): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    long = {module: n for module, n in lengths.items() if n > FILE_LIMIT}
    assert {module: n for module, n in long.items() if module not in LONG_FILES} == {}
    assert set(LONG_FILES) <= set(long), "an exception is no longer needed"


# Globals


def is_mutable(value) -> bool:
    """Is this expression a dict, list or set, displayed or constructed?"""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).split(".")[-1].split("[")[0] in MUTABLE_TYPES
    displays = ast.Dict | ast.DictComp | ast.List | ast.ListComp | ast.Set | ast.SetComp
    return isinstance(value, displays)


def mutable_globals(tree) -> set[str]:
    """Names the dicts, lists and sets which a module binds at its top level."""
    names = set()
    for node, inside in walk(tree):
        if any(is_function(n) or isinstance(n, ast.ClassDef) for n in inside):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_mutable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names - {"__all__"}


def changed_in_functions(tree) -> set[str]:
    """Names the globals which some function of the module rebinds or changes."""
    changed = set()
    for _, function in functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                changed |= set(node.names)
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                changed.add(ast.unparse(node.value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in MUTATING_METHODS:
                    changed.add(ast.unparse(node.func.value))
    return changed


def rebound_globals(tree) -> set[str]:
    """Names what the `global` statements of a module mention."""
    return {
        name
        for node, _ in walk(tree)
        if isinstance(node, ast.Global)
        for name in node.names
    }


def test_globals_do_not_change_unless_listed():
    # Upper case says "constant table", so such a name must not change; any other
    # dict, list or set at module level is presumed to.
    changing = {
        f"{module}:{name}"
        for module, tree in sources().items()
        for name in (
            {n for n in mutable_globals(tree) if not n.isupper()}
            | (mutable_globals(tree) & changed_in_functions(tree))
            | rebound_globals(tree)
        )
    }
    assert changing - set(MUTABLE_GLOBALS) == set()
    assert set(MUTABLE_GLOBALS) <= changing, "an exception is no longer needed"
