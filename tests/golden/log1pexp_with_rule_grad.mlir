module @log1pexp_with_rule {
  func.func public @main(%arg0: tensor<f32>) -> (tensor<f32>) {
    %1 = stablehlo.exponential %arg0 : tensor<f32>
    %2 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %3 = stablehlo.add %1, %2 : tensor<f32>
    %4 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %5 = stablehlo.divide %4, %3 : tensor<f32>
    %6 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %7 = stablehlo.subtract %6, %5 : tensor<f32>
    %8 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %9 = stablehlo.multiply %7, %8 : tensor<f32>
    func.return %9 : tensor<f32>
  }
}
