module @mlp {
  func.func public @main(%arg0: tensor<3x2xf32>, %arg1: tensor<2xf32>, %arg2: tensor<5x3xf32>) -> (tensor<f32>) {
    %1 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0] : (tensor<5x3xf32>, tensor<3x2xf32>) -> tensor<5x2xf32>
    %2 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<5x2xf32>
    %3 = stablehlo.add %1, %2 : tensor<5x2xf32>
    %4 = stablehlo.tanh %3 : tensor<5x2xf32>
    %5 = stablehlo.multiply %4, %4 : tensor<5x2xf32>
    %6 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %7 = stablehlo.reduce(%5 init: %6) applies stablehlo.add across dimensions = [0, 1] : (tensor<5x2xf32>, tensor<f32>) -> tensor<f32>
    func.return %7 : tensor<f32>
  }
}
