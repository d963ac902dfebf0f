module @log1pexp_with_rule {
  func.func public @main(%arg0: tensor<f32>) -> (tensor<f32>) {
    %1 = stablehlo.exponential %arg0 : tensor<f32>
    %2 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %3 = stablehlo.add %1, %2 : tensor<f32>
    %4 = stablehlo.log %3 : tensor<f32>
    func.return %4 : tensor<f32>
  }
}
