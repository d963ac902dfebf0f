module @running {
  func.func public @main(%arg0: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
    %1 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %2 = "stablehlo.convert"(%1) : (tensor<f32>) -> tensor<f32>
    %3 = stablehlo.constant dense<0.000000000e+00> : tensor<4xf32>
    %4 = stablehlo.constant dense<0> : tensor<i32>
    %5 = stablehlo.constant dense<4> : tensor<i32>
    %26:5 = "stablehlo.while"(%4, %5, %2, %arg0, %3) ({
    ^bb0(%6: tensor<i32>, %7: tensor<i32>, %8: tensor<f32>, %9: tensor<4xf32>, %10: tensor<4xf32>):
    %11 = "stablehlo.compare"(%6, %7) <{comparison_direction = #stablehlo<comparison_direction LT>, compare_type = #stablehlo<comparison_type SIGNED>}> : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %11 : tensor<i1>
    }, {
    ^bb0(%12: tensor<i32>, %13: tensor<i32>, %14: tensor<f32>, %15: tensor<4xf32>, %16: tensor<4xf32>):
    %17 = stablehlo.constant dense<1> : tensor<i32>
    %18 = stablehlo.constant dense<0> : tensor<i32>
    %19 = "stablehlo.dynamic_slice"(%15, %12) <{slice_sizes = array<i64: 1>}> : (tensor<4xf32>, tensor<i32>) -> tensor<1xf32>
    %20 = "stablehlo.reshape"(%19) : (tensor<1xf32>) -> tensor<f32>
    %21 = stablehlo.sine %14 : tensor<f32>
    %22 = stablehlo.multiply %21, %20 : tensor<f32>
    %23 = "stablehlo.reshape"(%14) : (tensor<f32>) -> tensor<1xf32>
    %24 = "stablehlo.dynamic_update_slice"(%16, %23, %12) : (tensor<4xf32>, tensor<1xf32>, tensor<i32>) -> tensor<4xf32>
    %25 = stablehlo.add %12, %17 : tensor<i32>
    stablehlo.return %25, %13, %22, %15, %24 : tensor<i32>, tensor<i32>, tensor<f32>, tensor<4xf32>, tensor<4xf32>
    }) : (tensor<i32>, tensor<i32>, tensor<f32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<i32>, tensor<i32>, tensor<f32>, tensor<4xf32>, tensor<4xf32>)
    func.return %26#2, %26#4 : tensor<f32>, tensor<4xf32>
  }
}
