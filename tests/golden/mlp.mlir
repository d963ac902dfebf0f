module @mlp {
  func.func public @main(%arg0: tensor<3x2xf32>, %arg1: tensor<2xf32>, %arg2: tensor<5x3xf32>) -> (tensor<f32>) {
    %1 = "stablehlo.dot_general"(%arg2, %arg0) <{dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<5x3xf32>, tensor<3x2xf32>) -> tensor<5x2xf32>
    %2 = "stablehlo.broadcast_in_dim"(%arg1) <{broadcast_dimensions = array<i64: 1>}> : (tensor<2xf32>) -> tensor<5x2xf32>
    %3 = "stablehlo.add"(%1, %2) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %4 = "stablehlo.tanh"(%3) : (tensor<5x2xf32>) -> tensor<5x2xf32>
    %5 = "stablehlo.multiply"(%4, %4) : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
    %6 = "stablehlo.constant"() <{value = dense<0.000000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %10:1 = "stablehlo.reduce"(%5, %6) <{dimensions = array<i64: 0, 1>}> ({
    ^bb0(%7: tensor<f32>, %8: tensor<f32>):
    %9 = "stablehlo.add"(%7, %8) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    "stablehlo.return"(%9) : (tensor<f32>) -> ()
    }) : (tensor<5x2xf32>, tensor<f32>) -> (tensor<f32>)
    "func.return"(%10#0) : (tensor<f32>) -> ()
  }
}
