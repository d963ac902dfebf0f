"""StableHLO text: types, constants, and the emitter operations lower themselves to."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.backend.template import Operand, Template, placeholder
from pullback.core.array import SCALARS
from pullback.core.aval import Aval, Shape
from pullback.core.jaxpr import Eqn, Jaxpr
from pullback.dtypes import Dtype

_ELEMENT: dict[Dtype, str] = {
    dtypes.bool_: "i1",
    dtypes.bfloat16: "bf16",
    **{d: "f8" + d.name[7:].upper() for d in dtypes.EIGHT_BITS},
    dtypes.complex64: "complex<f32>",
    dtypes.complex128: "complex<f64>",
    dtypes.float0: "i1",
    **{np.dtype(f"i{n}"): f"i{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"u{n}"): f"ui{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"f{n}"): f"f{8 * n}" for n in (2, 4, 8)},
}


#: How often an operation is lowered until a template is made of it: making one costs
#: as much as four lowerings.
_OFTEN = 4
#: The operations whose operands and result have one type, which is written once.
_ONE_TYPE = frozenset(
    f"stablehlo.{name}"
    for name in (
        "abs add and atan2 cbrt ceil cosine count_leading_zeros divide exponential "
        "exponential_minus_one floor log log_plus_one logistic maximum minimum "
        "multiply negate not or popcnt power remainder round_nearest_afz "
        "round_nearest_even rsqrt shift_left shift_right_arithmetic "
        "shift_right_logical sign sine sqrt subtract tan tanh xor"
    ).split()
)


def type_text(aval: Aval) -> str:
    """Write a type: `tensor<3x4xf32>`."""
    text = aval.text
    if text is None:
        dims = "".join([f"{n}x" for n in aval.shape])
        text = aval.text = f"tensor<{dims}{_ELEMENT[aval.dtype]}>"
    return text


def scalar_text(value: Any, dtype: Dtype) -> str:
    """Write one number as MLIR reads it back exactly."""
    if dtype == dtypes.bool_ or dtype == dtypes.float0:
        return "true" if value else "false"
    if dtypes.is_integer(dtype):
        return str(int(value))
    if dtypes.is_complex(dtype):
        real = dtypes.real_dtype(dtype)
        parts = (scalar_text(np.real(value), real), scalar_text(np.imag(value), real))
        return f"({parts[0]}, {parts[1]})"
    number = dtype.type(value)
    if not np.isfinite(np.float64(number)):
        bits = number.view(f"u{dtype.itemsize}") if hasattr(number, "view") else 0
        return f"0x{int(bits):0{2 * dtype.itemsize}X}"
    return (
        f"{float(number):.17e}" if dtype == dtypes.float64 else f"{float(number):.9e}"
    )


class Emitter:
    """Collects the lines of a function body; passed as `ctx` to `lower` rules.

    Args:
        callbacks: Python callables the program calls back; an operation appends its
            own and refers to it by index.
        platform: "cpu" or "cuda", for lowerings that differ.

    `functions` holds the text of private functions, by the program each stands for or
    by name and types; `place` the program and the eqn whose operation is being lowered,
    None at first; `effects` the last result, in each block, of a callback whose
    effects keep an order; `uses` what operations count; `templates` the text of the
    operations met so far, by operation and types, or how often they were met; in
    `repeated` steps of a loop they may differ, and are apart.
    """

    __slots__ = (
        "callbacks",
        "count",
        "effects",
        "functions",
        "lines",
        "names",
        "place",
        "platform",
        "repeated",
        "templates",
        "templates_of_loops",
        "uses",
    )

    def __init__(self, platform: str = "cpu") -> None:
        self.lines: list[str] = []
        self.count = 0
        self.callbacks: list[Callable[..., Any]] = []
        self.effects: list[tuple[list[str], Operand]] = []
        self.platform = platform
        self.place: tuple[Jaxpr, Eqn] | None = None
        self.functions: dict[Any, str] = {}
        self.names: dict[Any, str] = {}
        self.uses: collections.Counter[Any] = collections.Counter()
        self.templates: dict[Any, Template | int] = {}
        self.templates_of_loops: dict[Any, Template | int] = {}
        self.repeated = False

    def fresh(self) -> str:
        """Give a new name."""
        self.count += 1
        return f"%{self.count}"

    @staticmethod
    def ints(values: Sequence[int]) -> str:
        """Write an attribute that is a list of 64-bit integers."""
        return f"array<i64: {', '.join(map(str, values))}>" if values else "array<i64>"

    def emit(
        self,
        op: str,
        operands: Sequence[Operand],
        out: Aval,
        attributes: str = "",
        remarks: str = "",
    ) -> Operand:
        """Emit an operation with one result.

        Args:
            op: the full name, "stablehlo.sine".
            operands: its operands.
            out: the result's type.
            attributes: what stands between `<{` and `}>`.
            remarks: attributes that the operation does not know, for the compiler.
        """
        self.count += 1
        name = f"%{self.count}"
        result = out.text or type_text(out)
        names = ", ".join([x.name for x in operands])
        kinds = [x.aval.text or type_text(x.aval) for x in operands]
        if op in _ONE_TYPE and kinds.count(result) == len(kinds):
            self.lines.append(f"{name} = {op} {names} : {result}")
        else:
            inside = f" <{{{attributes}}}>" if attributes else ""
            if remarks:
                inside += f" {{{remarks}}}"
            types = f"({', '.join(kinds)}) -> {result}"
            self.lines.append(f'{name} = "{op}"({names}){inside} : {types}')
        return Operand(name, out)

    def write(
        self, op: str, operands: Sequence[Operand], out: Aval, attributes: str = ""
    ) -> Operand:
        """Emit an operation with one result in the form that is its own.

        Args:
            op: the full name.
            operands: its operands.
            out: the result's type.
            attributes: what stands after the operands: ", dims = [1, 0]".
        """
        self.count += 1
        name = f"%{self.count}"
        names = ", ".join([x.name for x in operands])
        types = ", ".join([type_text(x.aval) for x in operands])
        result = type_text(out)
        self.lines.append(f"{name} = {op} {names}{attributes} : ({types}) -> {result}")
        return Operand(name, out)

    def emit_many(
        self,
        op: str,
        operands: Sequence[Operand],
        outs: Sequence[Aval],
        attributes: str = "",
        regions: Sequence[Sequence[str]] = (),
        discardable: str = "",
    ) -> list[Operand]:
        """Emit an operation with any number of results and regions.

        Args:
            op: the full name.
            operands: its operands.
            outs: the results' types.
            attributes: its properties, between `<{` and `}>`.
            regions: for each region its lines, as `region` gives them.
            discardable: further attributes, between `{` and `}`.
        """
        self.count += 1
        name = f"%{self.count}"
        names = ", ".join([x.name for x in operands])
        types = ", ".join([type_text(x.aval) for x in operands])
        inside = f" <{{{attributes}}}>" if attributes else ""
        extra = f" {{{discardable}}}" if discardable else ""
        results = ", ".join([type_text(a) for a in outs])
        mark = f":{len(outs)}" if len(outs) > 1 else ""
        left = f"{name}{mark} = " if outs else ""
        if not regions:
            self.lines.append(
                f'{left}"{op}"({names}){inside}{extra} : ({types}) -> ({results})'
            )
        else:
            self.lines.append(f'{left}"{op}"({names}){inside} ({{')
            for i, lines in enumerate(regions):
                self.lines.extend(lines)
                if i + 1 < len(regions):
                    self.lines.append("}, {")
            self.lines.append(f"}}){extra} : ({types}) -> ({results})")
        if len(outs) == 1:
            return [Operand(name, outs[0])]
        return [Operand(f"{name}#{i}", a) for i, a in enumerate(outs)]

    @contextmanager
    def collecting(self) -> Iterator[list[str]]:
        """Collect the lines emitted inside the block apart, for a region."""
        outer, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = outer

    def region(
        self,
        avals: Sequence[Aval],
        body: Callable[..., Sequence[Operand]],
    ) -> list[str]:
        """Write a region: a block of typed arguments whose body returns operands."""
        arguments = [Operand(self.fresh(), a) for a in avals]
        with self.collecting() as lines:
            if avals:
                typed = ", ".join(f"{x.name}: {type_text(x.aval)}" for x in arguments)
                lines.append(f"^bb0({typed}):")
            self.returns("stablehlo.return", body(*arguments))
        return lines

    def loop(
        self,
        operands: Sequence[Operand],
        holds: Callable[..., Sequence[Operand]],
        step: Callable[..., Sequence[Operand]],
    ) -> list[Operand]:
        """Emit a loop that replaces its operands by a step's results while one holds.

        Args:
            operands: the first values; the results have their types.
            holds: gives, in a list, whether there is another step.
            step: gives the next values.
        """
        avals = [x.aval for x in operands]
        outer = self.repeated, self.templates
        self.repeated, self.templates = True, self.templates_of_loops
        try:
            regions = [self.region(avals, holds), self.region(avals, step)]
        finally:
            self.repeated, self.templates = outer
        return self.emit_many("stablehlo.while", operands, avals, "", regions)

    def returns(self, op: str, results: Sequence[Operand]) -> None:
        """Emit the terminator of a block."""
        names = ", ".join(x.name for x in results)
        types = ", ".join(type_text(x.aval) for x in results)
        self.lines.append(f"{op} {names} : {types}" if results else op)

    def constant(self, value: Any, aval: Aval) -> Operand:
        """Emit a constant: one Python or NumPy number repeated, or a small array."""
        kind = type_text(aval)
        self.count += 1
        name = f"%{self.count}"
        if np.ndim(value) == 0:
            text = scalar_text(value, aval.dtype)
        else:
            text = nested_text(np.asarray(value), aval.dtype)
        self.lines.append(f"{name} = stablehlo.constant dense<{text}> : {kind}")
        return Operand(name, aval)

    def broadcast(self, x: Operand, shape: Shape, axes: Sequence[int]) -> Operand:
        """Emit a broadcast of `x` to `shape`, its axes going to `axes`."""
        out = Aval(tuple(shape), x.aval.dtype, x.aval.weak)
        attribute = f", dims = {list(axes)}"
        return self.write("stablehlo.broadcast_in_dim", [x], out, attribute)

    def fit(self, x: Operand, shape: Shape) -> Operand:
        """Repeat an operand to `shape` by NumPy's rules, if it is not so already."""
        if x.aval.shape == shape:
            return x
        start = len(shape) - len(x.aval.shape)
        return self.broadcast(x, shape, range(start, len(shape)))

    def convert(self, x: Operand, dtype: Dtype) -> Operand:
        """Emit a conversion to another dtype."""
        if x.aval.dtype == dtype:
            return x
        return self.emit("stablehlo.convert", [x], Aval(x.aval.shape, dtype))

    def reduce(self, op: str, x: Operand, initial: Any, axes: Sequence[int]) -> Operand:
        """Emit a reduction by a binary operation ("add", "maximum", "or")."""
        scalar = Aval((), x.aval.dtype)
        shape = tuple(n for i, n in enumerate(x.aval.shape) if i not in axes)
        start = self.constant(initial, scalar)
        name = self.fresh()
        out = Aval(shape, x.aval.dtype, x.aval.weak)
        types = f"({type_text(x.aval)}, {type_text(scalar)}) -> {type_text(out)}"
        self.lines.append(
            f"{name} = stablehlo.reduce({x.name} init: {start.name}) applies "
            f"stablehlo.{op} across dimensions = {list(axes)} : {types}"
        )
        return Operand(name, out)

    def jaxpr(self, jaxpr: Jaxpr, args: Sequence[Operand]) -> list[Operand]:
        """Emit a whole jaxpr in place, and give the operands of its outputs."""
        env: dict[Any, str] = {
            v: x.name for v, x in zip(jaxpr.inputs, args, strict=True)
        }
        written: dict[Any, str] = {}

        def literal(atom: Any) -> str:
            # The program keeps its values, so that their ids stay their own.
            key = id(atom.value), type_text(atom.aval)
            if key not in written:
                value = atom.value
                if type(value) not in SCALARS:
                    value = value.fetch()
                written[key] = self.constant(value, atom.aval).name
            env[atom] = written[key]
            return written[key]

        get, known = env.get, self.templates.get
        for eqn in jaxpr.eqns:
            names = [get(x) or literal(x) for x in eqn.inputs]
            types = [x.aval.text or type_text(x.aval) for x in eqn.inputs]
            key = (eqn.primitive, *types)
            template = known(key)
            if type(template) is Template:
                outs = template.fill(names, self.count, self.lines)
                self.count += template.count
            else:
                self.place = jaxpr, eqn
                outs = self.apply(eqn, names, key)
            if len(outs) == 1:
                env[eqn.outputs[0]] = outs[0]
            else:
                env.update(zip(eqn.outputs, outs))
        return [Operand(get(v) or literal(v), v.aval) for v in jaxpr.outputs]

    def apply(self, eqn: Eqn, names: list[str], key: Any) -> list[str]:
        """Lower an operation; make a template of one that comes often."""
        primitive, before = eqn.primitive, self._kept()
        operands = [Operand(name, x.aval) for name, x in zip(names, eqn.inputs)]
        out = primitive.lower(self, *operands)
        # What leaves more behind than lines is lowered each time.
        plain = not primitive.calls and self._kept() == before
        met: Any = self.templates.get(key, 0)
        met = met + 1 if plain else 0
        self.templates[key] = self.template(eqn) if met == _OFTEN else met
        return [x.name for x in out] if primitive.multiple else [out.name]

    def template(self, eqn: Eqn) -> Template:
        """Lower an operation on stand-ins, apart from the program."""
        start = self.count
        operands = [Operand(placeholder(i), x.aval) for i, x in enumerate(eqn.inputs)]
        with self.collecting() as lines:
            out = eqn.primitive.lower(self, *operands)
        outs = out if eqn.primitive.multiple else (out,)
        made = Template(lines, len(operands), start, self.count, outs)
        self.count = start
        return made

    def _kept(self) -> tuple[int, int, int]:
        """Give a measure of what is kept beside lines and functions."""
        return len(self.callbacks), len(self.effects), self.uses.total()

    def call(self, jaxpr: Jaxpr, args: Sequence[Operand]) -> list[Operand]:
        """Emit a call of a program, which is written once however often it is called.

        So the text stays linear in the size of a jaxpr whose parts are shared.
        """
        if jaxpr not in self.names:
            name = self.name_function(jaxpr, identifier(jaxpr.name))
            self.functions[jaxpr] = self.function(jaxpr, f"private @{name}")
        outs = jaxpr.out_avals
        return self.emit_many("func.call", args, outs, f"callee = @{self.names[jaxpr]}")

    def name_function(self, key: Any, name: str) -> str:
        """Give a private function a name that no other has."""
        if name == "main" or name in self.names.values():
            name = f"{name}_{len(self.names)}"
        self.names[key] = name
        return name

    def call_shared(
        self,
        name: str,
        operands: Sequence[Operand],
        out: Aval,
        body: Callable[..., Operand],
        apart: bool = False,
    ) -> Operand:
        """Emit a call of a private function of one result, written once for its types.

        Args:
            name: its name, which together with the types says what it does.
            operands: its arguments.
            out: the type of its result.
            body: writes it: a function of operands, called if it is not written yet.
            apart: whether the compiler is to keep it a function, whose result is
                stored, and not to put what it does where it is called.
        """
        key = (name, *[x.aval for x in operands], out)
        if key not in self.names:
            title = self.name_function(key, name)
            arguments = [Operand(f"%arg{i}", x.aval) for i, x in enumerate(operands)]
            with self.collecting() as lines:
                self.returns("func.return", [body(*arguments)])
            typed = ", ".join(f"{x.name}: {type_text(x.aval)}" for x in arguments)
            text = "\n    ".join(lines)
            head = f"private @{title}({typed}) -> {type_text(out)}"
            self.functions[key] = f"  func.func {head} {{\n    {text}\n  }}\n"
        callee = f"callee = @{self.names[key]}"
        remarks = 'mhlo.frontend_attributes = {inlineable = "false"}' if apart else ""
        return self.emit("func.call", operands, out, callee, remarks)

    def function(
        self, jaxpr: Jaxpr, head: str, donated: Sequence[bool] | None = None
    ) -> str:
        """Write a program as a function; `head` is its visibility and name."""
        arguments = [Operand(f"%arg{i}", a) for i, a in enumerate(jaxpr.in_avals)]
        with self.collecting() as lines:
            outputs = self.jaxpr(jaxpr, arguments)
            self.returns("func.return", outputs)
        marks = donated or [False] * len(arguments)
        typed = ", ".join(
            f"{x.name}: {type_text(x.aval)}{' {jax.buffer_donor = true}' if d else ''}"
            for x, d in zip(arguments, marks, strict=True)
        )
        results = ", ".join(type_text(x.aval) for x in outputs)
        body = "\n    ".join(lines)
        return f"  func.func {head}({typed}) -> ({results}) {{\n    {body}\n  }}\n"


def identifier(name: str) -> str:
    """Make a name that MLIR takes of a function's name."""
    text = "".join(
        c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name
    )
    return f"f{text}" if not text or text[0].isdigit() else text


def nested_text(value: np.ndarray[Any, Any], dtype: Dtype) -> str:
    """Write a small array as nested lists."""
    if value.ndim == 0:
        return scalar_text(value[()], dtype)
    return f"[{', '.join(nested_text(v, dtype) for v in value)}]"
