module @branch {
  func.func public @main(%arg0: tensor<f32>) -> (tensor<f32>) {
    %1 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %2 = "stablehlo.compare"(%arg0, %1) <{comparison_direction = #stablehlo<comparison_direction GT>, compare_type = #stablehlo<comparison_type FLOAT>}> : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %3 = "stablehlo.convert"(%2) : (tensor<i1>) -> tensor<i32>
    %7 = "stablehlo.case"(%3) ({
    %4 = stablehlo.constant dense<2.000000000e+00> : tensor<f32>
    %5 = stablehlo.multiply %arg0, %4 : tensor<f32>
    stablehlo.return %5 : tensor<f32>
    }, {
    %6 = stablehlo.sine %arg0 : tensor<f32>
    stablehlo.return %6 : tensor<f32>
    }) : (tensor<i32>) -> (tensor<f32>)
    func.return %7 : tensor<f32>
  }
}
