module @pieces {
  func.func public @main(%arg0: tensor<4xf32>) -> (tensor<6x1xf32>) {
    %1 = "stablehlo.slice"(%arg0) <{start_indices = array<i64: 0>, limit_indices = array<i64: 2>, strides = array<i64: 1>}> : (tensor<4xf32>) -> tensor<2xf32>
    %2 = "stablehlo.slice"(%arg0) <{start_indices = array<i64: 2>, limit_indices = array<i64: 4>, strides = array<i64: 1>}> : (tensor<4xf32>) -> tensor<2xf32>
    %3 = "stablehlo.reverse"(%arg0) <{dimensions = array<i64: 0>}> : (tensor<4xf32>) -> tensor<4xf32>
    %4 = "stablehlo.concatenate"(%1, %3) <{dimension = 0 : i64}> : (tensor<2xf32>, tensor<4xf32>) -> tensor<6xf32>
    %5 = "stablehlo.reshape"(%4) : (tensor<6xf32>) -> tensor<6x1xf32>
    %6 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %7 = "stablehlo.convert"(%6) : (tensor<f32>) -> tensor<f32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [] : (tensor<f32>) -> tensor<1xf32>
    %9 = stablehlo.constant dense<0> : tensor<i32>
    %10 = "stablehlo.reshape"(%9) : (tensor<i32>) -> tensor<1xi32>
    %14 = "stablehlo.scatter"(%5, %10, %8) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [0], inserted_window_dims = [0], input_batching_dims = [], scatter_indices_batching_dims = [], scatter_dims_to_operand_dims = [0], index_vector_dim = 0>, indices_are_sorted = true, unique_indices = true}> ({
    ^bb0(%11: tensor<f32>, %12: tensor<f32>):
    %13 = stablehlo.add %11, %12 : tensor<f32>
    stablehlo.return %13 : tensor<f32>
    }) : (tensor<6x1xf32>, tensor<1xi32>, tensor<1xf32>) -> (tensor<6x1xf32>)
    func.return %14 : tensor<6x1xf32>
  }
}
