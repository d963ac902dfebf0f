"""The operations themselves: no promotion, no implicit broadcasting of ranks.

Operands have one dtype; Python numbers take it. `pullback.numpy` is the friendlier
interface; this one says exactly what is computed.
"""

from typing import Any as _Any

from pullback.calls.cond import cond as cond
from pullback.calls.cond import switch as switch
from pullback.calls.loops import fori_loop as fori_loop
from pullback.calls.loops import map as map
from pullback.calls.loops import scan as scan
from pullback.calls.while_loop import while_loop as while_loop
from pullback.errors import missing_name as _missing_name
from pullback.implicit import custom_linear_solve as custom_linear_solve
from pullback.implicit import custom_root as custom_root
from pullback.lax import linalg as linalg
from pullback.lax.arrays import Precision as Precision
from pullback.lax.arrays import batch_matmul as batch_matmul
from pullback.lax.arrays import bitcast_convert_type as bitcast_convert_type
from pullback.lax.arrays import broadcast as broadcast
from pullback.lax.arrays import broadcast_in_dim as broadcast_in_dim
from pullback.lax.arrays import broadcast_shapes as broadcast_shapes
from pullback.lax.arrays import broadcast_to_rank as broadcast_to_rank
from pullback.lax.arrays import broadcasted_iota as broadcasted_iota
from pullback.lax.arrays import collapse as collapse
from pullback.lax.arrays import concatenate as concatenate
from pullback.lax.arrays import dot as dot
from pullback.lax.arrays import dot_general as dot_general
from pullback.lax.arrays import expand_dims as expand_dims
from pullback.lax.arrays import full as full
from pullback.lax.arrays import full_like as full_like
from pullback.lax.arrays import index_in_dim as index_in_dim
from pullback.lax.arrays import iota as iota
from pullback.lax.arrays import pad as pad
from pullback.lax.arrays import reshape as reshape
from pullback.lax.arrays import rev as rev
from pullback.lax.arrays import slice as slice
from pullback.lax.arrays import slice_in_dim as slice_in_dim
from pullback.lax.arrays import sort as sort
from pullback.lax.arrays import sort_key_val as sort_key_val
from pullback.lax.arrays import split as split
from pullback.lax.arrays import squeeze as squeeze
from pullback.lax.arrays import top_k as top_k
from pullback.lax.arrays import transpose as transpose
from pullback.lax.collectives import all_gather as all_gather
from pullback.lax.collectives import all_to_all as all_to_all
from pullback.lax.collectives import axis_index as axis_index
from pullback.lax.collectives import axis_size as axis_size
from pullback.lax.collectives import pmax as pmax
from pullback.lax.collectives import pmean as pmean
from pullback.lax.collectives import pmin as pmin
from pullback.lax.collectives import ppermute as ppermute
from pullback.lax.collectives import pshuffle as pshuffle
from pullback.lax.collectives import psum as psum
from pullback.lax.collectives import psum_scatter as psum_scatter
from pullback.lax.collectives import pswapaxes as pswapaxes
from pullback.lax.compositions import FftType as FftType
from pullback.lax.compositions import approx_max_k as approx_max_k
from pullback.lax.compositions import approx_min_k as approx_min_k
from pullback.lax.compositions import broadcast_like as broadcast_like
from pullback.lax.compositions import (
    conv_general_dilated_patches as conv_general_dilated_patches,
)
from pullback.lax.compositions import (
    conv_general_permutations as conv_general_permutations,
)
from pullback.lax.compositions import (
    conv_general_shape_tuple as conv_general_shape_tuple,
)
from pullback.lax.compositions import conv_shape_tuple as conv_shape_tuple
from pullback.lax.compositions import (
    conv_transpose_shape_tuple as conv_transpose_shape_tuple,
)
from pullback.lax.compositions import (
    conv_with_general_padding as conv_with_general_padding,
)
from pullback.lax.compositions import dtype as dtype
from pullback.lax.compositions import empty as empty
from pullback.lax.compositions import fft as fft
from pullback.lax.compositions import mulhi as mulhi
from pullback.lax.compositions import optimization_barrier as optimization_barrier
from pullback.lax.compositions import padtype_to_pads as padtype_to_pads
from pullback.lax.compositions import platform_dependent as platform_dependent
from pullback.lax.compositions import ragged_dot as ragged_dot
from pullback.lax.compositions import random_gamma_grad as random_gamma_grad
from pullback.lax.compositions import (
    reduce_window_shape_tuple as reduce_window_shape_tuple,
)
from pullback.lax.compositions import stack as stack
from pullback.lax.compositions import tile as tile
from pullback.lax.compositions import unstack as unstack
from pullback.lax.elementwise import RoundingMethod as RoundingMethod
from pullback.lax.elementwise import abs as abs
from pullback.lax.elementwise import acos as acos
from pullback.lax.elementwise import acosh as acosh
from pullback.lax.elementwise import add as add
from pullback.lax.elementwise import asin as asin
from pullback.lax.elementwise import asinh as asinh
from pullback.lax.elementwise import atan as atan
from pullback.lax.elementwise import atan2 as atan2
from pullback.lax.elementwise import atanh as atanh
from pullback.lax.elementwise import bessel_i0e as bessel_i0e
from pullback.lax.elementwise import bessel_i1e as bessel_i1e
from pullback.lax.elementwise import betainc as betainc
from pullback.lax.elementwise import bitwise_and as bitwise_and
from pullback.lax.elementwise import bitwise_not as bitwise_not
from pullback.lax.elementwise import bitwise_or as bitwise_or
from pullback.lax.elementwise import bitwise_xor as bitwise_xor
from pullback.lax.elementwise import cbrt as cbrt
from pullback.lax.elementwise import ceil as ceil
from pullback.lax.elementwise import clamp as clamp
from pullback.lax.elementwise import clz as clz
from pullback.lax.elementwise import complex as complex
from pullback.lax.elementwise import conj as conj
from pullback.lax.elementwise import convert_element_type as convert_element_type
from pullback.lax.elementwise import cos as cos
from pullback.lax.elementwise import cosh as cosh
from pullback.lax.elementwise import digamma as digamma
from pullback.lax.elementwise import div as div
from pullback.lax.elementwise import eq as eq
from pullback.lax.elementwise import erf as erf
from pullback.lax.elementwise import erf_inv as erf_inv
from pullback.lax.elementwise import erfc as erfc
from pullback.lax.elementwise import exp as exp
from pullback.lax.elementwise import exp2 as exp2
from pullback.lax.elementwise import expm1 as expm1
from pullback.lax.elementwise import floor as floor
from pullback.lax.elementwise import ge as ge
from pullback.lax.elementwise import gt as gt
from pullback.lax.elementwise import igamma as igamma
from pullback.lax.elementwise import igamma_grad_a as igamma_grad_a
from pullback.lax.elementwise import igammac as igammac
from pullback.lax.elementwise import imag as imag
from pullback.lax.elementwise import integer_pow as integer_pow
from pullback.lax.elementwise import is_finite as is_finite
from pullback.lax.elementwise import le as le
from pullback.lax.elementwise import lgamma as lgamma
from pullback.lax.elementwise import log as log
from pullback.lax.elementwise import log1p as log1p
from pullback.lax.elementwise import logistic as logistic
from pullback.lax.elementwise import lt as lt
from pullback.lax.elementwise import max as max
from pullback.lax.elementwise import min as min
from pullback.lax.elementwise import mul as mul
from pullback.lax.elementwise import ne as ne
from pullback.lax.elementwise import neg as neg
from pullback.lax.elementwise import nextafter as nextafter
from pullback.lax.elementwise import polygamma as polygamma
from pullback.lax.elementwise import population_count as population_count
from pullback.lax.elementwise import pow as pow
from pullback.lax.elementwise import real as real
from pullback.lax.elementwise import reciprocal as reciprocal
from pullback.lax.elementwise import rem as rem
from pullback.lax.elementwise import round as round
from pullback.lax.elementwise import rsqrt as rsqrt
from pullback.lax.elementwise import select as select
from pullback.lax.elementwise import select_n as select_n
from pullback.lax.elementwise import shift_left as shift_left
from pullback.lax.elementwise import shift_right_arithmetic as shift_right_arithmetic
from pullback.lax.elementwise import shift_right_logical as shift_right_logical
from pullback.lax.elementwise import sign as sign
from pullback.lax.elementwise import sin as sin
from pullback.lax.elementwise import sinh as sinh
from pullback.lax.elementwise import sqrt as sqrt
from pullback.lax.elementwise import square as square
from pullback.lax.elementwise import stop_gradient as stop_gradient
from pullback.lax.elementwise import sub as sub
from pullback.lax.elementwise import tan as tan
from pullback.lax.elementwise import tanh as tanh
from pullback.lax.elementwise import zeros_like_array as zeros_like_array
from pullback.lax.elementwise import zeta as zeta
from pullback.lax.indexing import GatherScatterMode as GatherScatterMode
from pullback.lax.indexing import dynamic_index_in_dim as dynamic_index_in_dim
from pullback.lax.indexing import dynamic_slice as dynamic_slice
from pullback.lax.indexing import dynamic_slice_in_dim as dynamic_slice_in_dim
from pullback.lax.indexing import (
    dynamic_update_index_in_dim as dynamic_update_index_in_dim,
)
from pullback.lax.indexing import dynamic_update_slice as dynamic_update_slice
from pullback.lax.indexing import (
    dynamic_update_slice_in_dim as dynamic_update_slice_in_dim,
)
from pullback.lax.indexing import gather as gather
from pullback.lax.indexing import scatter as scatter
from pullback.lax.indexing import scatter_add as scatter_add
from pullback.lax.indexing import scatter_apply as scatter_apply
from pullback.lax.indexing import scatter_max as scatter_max
from pullback.lax.indexing import scatter_min as scatter_min
from pullback.lax.indexing import scatter_mul as scatter_mul
from pullback.lax.indexing import scatter_sub as scatter_sub
from pullback.lax.reductions import argmax as argmax
from pullback.lax.reductions import argmin as argmin
from pullback.lax.reductions import associative_scan as associative_scan
from pullback.lax.reductions import cumlogsumexp as cumlogsumexp
from pullback.lax.reductions import cummax as cummax
from pullback.lax.reductions import cummin as cummin
from pullback.lax.reductions import cumprod as cumprod
from pullback.lax.reductions import cumsum as cumsum
from pullback.lax.reductions import reduce as reduce
from pullback.lax.reductions import reduce_and as reduce_and
from pullback.lax.reductions import reduce_max as reduce_max
from pullback.lax.reductions import reduce_min as reduce_min
from pullback.lax.reductions import reduce_or as reduce_or
from pullback.lax.reductions import reduce_precision as reduce_precision
from pullback.lax.reductions import reduce_prod as reduce_prod
from pullback.lax.reductions import reduce_sum as reduce_sum
from pullback.lax.reductions import reduce_window as reduce_window
from pullback.lax.reductions import reduce_xor as reduce_xor
from pullback.primitives.convolution import ConvDimensionNumbers as ConvDimensionNumbers
from pullback.primitives.convolution import conv as conv
from pullback.primitives.convolution import (
    conv_dimension_numbers as conv_dimension_numbers,
)
from pullback.primitives.convolution import conv_general_dilated as conv_general_dilated
from pullback.primitives.convolution import conv_transpose as conv_transpose
from pullback.primitives.indexing import (
    GatherDimensionNumbers as GatherDimensionNumbers,
)
from pullback.primitives.indexing import (
    ScatterDimensionNumbers as ScatterDimensionNumbers,
)

ConvGeneralDilatedDimensionNumbers = ConvDimensionNumbers


def __getattr__(name: str) -> _Any:
    """Say that a name is not here."""
    raise _missing_name("pullback.lax", name)
