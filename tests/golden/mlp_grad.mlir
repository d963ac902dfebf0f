module @mlp {
  func.func public @main(%arg0: tensor<3x2xf32>, %arg1: tensor<2xf32>, %arg2: tensor<5x3xf32>) -> (tensor<3x2xf32>, tensor<2xf32>) {
    %1 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0] : (tensor<5x3xf32>, tensor<3x2xf32>) -> tensor<5x2xf32>
    %2 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<5x2xf32>
    %3 = stablehlo.add %1, %2 : tensor<5x2xf32>
    %4 = stablehlo.tanh %3 : tensor<5x2xf32>
    %5 = stablehlo.multiply %4, %4 : tensor<5x2xf32>
    %6 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %7 = stablehlo.broadcast_in_dim %6, dims = [] : (tensor<f32>) -> tensor<5x2xf32>
    %8 = stablehlo.subtract %7, %5 : tensor<5x2xf32>
    %9 = stablehlo.constant dense<2.000000000e+00> : tensor<f32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [] : (tensor<f32>) -> tensor<5x2xf32>
    %11 = stablehlo.multiply %4, %10 : tensor<5x2xf32>
    %12 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %13 = stablehlo.broadcast_in_dim %12, dims = [] : (tensor<f32>) -> tensor<5x2xf32>
    %14 = stablehlo.multiply %13, %11 : tensor<5x2xf32>
    %15 = stablehlo.multiply %14, %8 : tensor<5x2xf32>
    %16 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %17 = stablehlo.reduce(%15 init: %16) applies stablehlo.add across dimensions = [0] : (tensor<5x2xf32>, tensor<f32>) -> tensor<2xf32>
    %18 = stablehlo.dot_general %arg2, %15, contracting_dims = [0] x [0] : (tensor<5x3xf32>, tensor<5x2xf32>) -> tensor<3x2xf32>
    func.return %18, %17 : tensor<3x2xf32>, tensor<2xf32>
  }
}
