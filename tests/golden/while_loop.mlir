module @countdown {
  func.func public @main(%arg0: tensor<f32>) -> (tensor<f32>) {
    %7 = "stablehlo.while"(%arg0) ({
    ^bb0(%1: tensor<f32>):
    %2 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %3 = "stablehlo.compare"(%1, %2) <{comparison_direction = #stablehlo<comparison_direction GT>, compare_type = #stablehlo<comparison_type FLOAT>}> : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %3 : tensor<i1>
    }, {
    ^bb0(%4: tensor<f32>):
    %5 = stablehlo.constant dense<2.000000000e+00> : tensor<f32>
    %6 = stablehlo.divide %4, %5 : tensor<f32>
    stablehlo.return %6 : tensor<f32>
    }) : (tensor<f32>) -> (tensor<f32>)
    func.return %7 : tensor<f32>
  }
}
