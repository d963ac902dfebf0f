module @mlp {
  func.func public @main(%arg0: tensor<3x2xf32>, %arg1: tensor<2xf32>, %arg2: tensor<5x3xf32>) -> (tensor<3x2xf32>, tensor<2xf32>) {
    %1 = "stablehlo.dot_general"(%arg2, %arg0) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<5x3xf32>, tensor<3x2xf32>) -> tensor<5x2xf32>
    %2 = "stablehlo.broadcast_in_dim"(%arg1) <{broadcast_dimensions = array<i64: 1>}> : (tensor<2xf32>) -> tensor<5x2xf32>
    %3 = "stablehlo.add"(%1, %2) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %4 = "stablehlo.tanh"(%3) : (tensor<5x2xf32>) -> tensor<5x2xf32>
    %5 = "stablehlo.multiply"(%4, %4) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %6 = "stablehlo.constant"() <{value = dense<1.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %7 = "stablehlo.broadcast_in_dim"(%6) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<5x2xf32>
    %8 = "stablehlo.subtract"(%7, %5) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %9 = "stablehlo.constant"() <{value = dense<2.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %10 = "stablehlo.broadcast_in_dim"(%9) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<5x2xf32>
    %11 = "stablehlo.multiply"(%4, %10) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %12 = "stablehlo.constant"() <{value = dense<1.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %13 = "stablehlo.broadcast_in_dim"(%12) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<5x2xf32>
    %14 = "stablehlo.multiply"(%13, %11) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %15 = "stablehlo.multiply"(%14, %8) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %16 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %20:1 = "stablehlo.reduce"(%15, %16) <{dimensions = array<i64: 0>}> ({
    ^bb0(%17: tensor<f32>, %18: tensor<f32>):
    %19 = "stablehlo.add"(%17, %18) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    "stablehlo.return"(%19) : (tensor<f32>) -> ()
    }) : (tensor<5x2xf32>, tensor<f32>) -> (tensor<2xf32>)
    %21 = "stablehlo.transpose"(%15) <{permutation = array<i64: 1, 0>}> : (tensor<5x2xf32>) -> tensor<2x5xf32>
    %22 = "stablehlo.dot_general"(%21, %arg2) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<2x5xf32>, tensor<5x3xf32>) -> tensor<2x3xf32>
    %23 = "stablehlo.transpose"(%22) <{permutation = array<i64: 1, 0>}> : (tensor<2x3xf32>) -> tensor<3x2xf32>
    "func.return"(%23, %20#0) : (tensor<3x2xf32>, tensor<2xf32>) -> ()
  }
}
