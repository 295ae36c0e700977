import type { GraphType } from './types.ts'

/**
 * The TensorFlow ops that graphs are made of, in TensorFlow's own notation: names and types of arguments and results. A
 * type is one of ours, the name of an attribute with a type, `list(A)` with the types in attribute A, or `N*A`: as many
 * as the value of attribute N.
 */
const operations = {
  // elementwise, those that no op of the language uses yet included: a new op needs no edit here
  AddV2: 'x: T, y: T -> z: T',
  Sub: 'x: T, y: T -> z: T',
  Mul: 'x: T, y: T -> z: T',
  RealDiv: 'x: T, y: T -> z: T',
  Pow: 'x: T, y: T -> z: T',
  Maximum: 'x: T, y: T -> z: T',
  Minimum: 'x: T, y: T -> z: T',
  FloorDiv: 'x: T, y: T -> z: T',
  TruncateDiv: 'x: T, y: T -> z: T',
  FloorMod: 'x: T, y: T -> z: T',
  AddN: 'inputs: N*T -> sum: T',
  Equal: 'x: T, y: T -> z: bool',
  NotEqual: 'x: T, y: T -> z: bool',
  Less: 'x: T, y: T -> z: bool',
  LessEqual: 'x: T, y: T -> z: bool',
  Greater: 'x: T, y: T -> z: bool',
  GreaterEqual: 'x: T, y: T -> z: bool',
  LogicalAnd: 'x: bool, y: bool -> z: bool',
  LogicalOr: 'x: bool, y: bool -> z: bool',
  LogicalNot: 'x: bool -> y: bool',
  IsFinite: 'x: T -> y: bool',
  BitwiseAnd: 'x: T, y: T -> z: T',
  RightShift: 'x: T, y: T -> z: T',
  SelectV2: 'condition: bool, t: T, e: T -> output: T',
  Neg: 'x: T -> y: T',
  Exp: 'x: T -> y: T',
  Log: 'x: T -> y: T',
  Sqrt: 'x: T -> y: T',
  Rsqrt: 'x: T -> y: T',
  Tanh: 'x: T -> y: T',
  Sigmoid: 'x: T -> y: T',
  Abs: 'x: T -> y: T',
  Sign: 'x: T -> y: T',
  Sin: 'x: T -> y: T',
  Cos: 'x: T -> y: T',
  Erf: 'x: T -> y: T',
  Tan: 'x: T -> y: T',
  Asin: 'x: T -> y: T',
  Acos: 'x: T -> y: T',
  Atan: 'x: T -> y: T',
  Sinh: 'x: T -> y: T',
  Cosh: 'x: T -> y: T',
  Asinh: 'x: T -> y: T',
  Acosh: 'x: T -> y: T',
  Atanh: 'x: T -> y: T',
  Atan2: 'y: T, x: T -> z: T',
  Log1p: 'x: T -> y: T',
  Expm1: 'x: T -> y: T',
  Square: 'x: T -> y: T',
  Reciprocal: 'x: T -> y: T',
  Floor: 'x: T -> y: T',
  Ceil: 'x: T -> y: T',
  Rint: 'x: T -> y: T',
  Erfc: 'x: T -> y: T',
  Softplus: 'features: T -> activations: T',
  Elu: 'features: T -> activations: T',
  Selu: 'features: T -> activations: T',
  Relu6: 'features: T -> activations: T',
  Cast: 'x: SrcT -> y: DstT',
  Bitcast: 'input: T -> output: type',
  Sum: 'input: T, reduction_indices: Tidx -> output: T',
  Max: 'input: T, reduction_indices: Tidx -> output: T',
  Min: 'input: T, reduction_indices: Tidx -> output: T',
  Mean: 'input: T, reduction_indices: Tidx -> output: T',
  Prod: 'input: T, reduction_indices: Tidx -> output: T',
  All: 'input: bool, reduction_indices: Tidx -> output: bool',
  Any: 'input: bool, reduction_indices: Tidx -> output: bool',
  L2Loss: 't: T -> output: T',
  Cumsum: 'x: T, axis: Tidx -> out: T',
  Cumprod: 'x: T, axis: Tidx -> out: T',
  TopKV2: 'input: T, k: i32 -> values: T, indices: i32',
  MatMul: 'a: T, b: T -> product: T',
  BatchMatMulV2: 'x: T, y: T -> output: T',
  Conv2D: 'input: T, filter: T -> output: T',
  Conv2DBackpropInput: 'input_sizes: i32, filter: T, out_backprop: T -> output: T',
  Conv2DBackpropFilter: 'input: T, filter_sizes: i32, out_backprop: T -> output: T',
  DepthwiseConv2dNative: 'input: T, filter: T -> output: T',
  DepthwiseConv2dNativeBackpropInput: 'input_sizes: i32, filter: T, out_backprop: T -> output: T',
  DepthwiseConv2dNativeBackpropFilter: 'input: T, filter_sizes: i32, out_backprop: T -> output: T',
  Softmax: 'logits: T -> softmax: T',
  LogSoftmax: 'logits: T -> logsoftmax: T',
  SparseSoftmaxCrossEntropyWithLogits: 'features: T, labels: Tlabels -> loss: T, backprop: T',

  Const: '-> output: dtype',
  Placeholder: '-> output: dtype',
  Identity: 'input: T -> output: T',
  NoOp: '->',
  Fill: 'dims: index_type, value: T -> output: T',
  Empty: 'shape: i32 -> output: dtype',
  Range: 'start: Tidx, limit: Tidx, delta: Tidx -> output: Tidx',
  ZerosLike: 'x: T -> y: T',
  Shape: 'input: T -> output: i32',
  Size: 'input: T -> output: i32',
  BroadcastTo: 'input: T, shape: Tidx -> output: T',
  Reshape: 'tensor: T, shape: Tshape -> output: T',
  Transpose: 'x: T, perm: Tperm -> y: T',
  ExpandDims: 'input: T, dim: Tdim -> output: T',
  Squeeze: 'input: T -> output: T',
  Tile: 'input: T, multiples: Tmultiples -> output: T',
  Slice: 'input: T, begin: Index, size: Index -> output: T',
  StridedSlice: 'input: T, begin: Index, end: Index, strides: Index -> output: T',
  Pad: 'input: T, paddings: Tpaddings -> output: T',
  PadV2: 'input: T, paddings: Tpaddings, constant_values: T -> output: T',
  ConcatV2: 'values: N*T, axis: Tidx -> output: T',
  Split: 'split_dim: i32, value: T -> output: num_split*T',
  SplitV: 'value: T, size_splits: Tlen, split_dim: i32 -> output: num_split*T',
  Pack: 'values: N*T -> output: T',
  Unpack: 'value: T -> output: num*T',
  GatherV2: 'params: Tparams, indices: Tindices, axis: Taxis -> output: Tparams',
  GatherNd: 'params: Tparams, indices: Tindices -> output: Tparams',
  ScatterNd: 'indices: Tindices, updates: T, shape: Tindices -> output: T',
  TensorScatterUpdate: 'tensor: T, indices: Tindices, updates: T -> output: T',
  TensorScatterAdd: 'tensor: T, indices: Tindices, updates: T -> output: T',
  TensorScatterSub: 'tensor: T, indices: Tindices, updates: T -> output: T',
  StatelessRandomUniformFullIntV2: 'shape: Tshape, key: u64, counter: u64, alg: i32 -> output: dtype',
  OneHot: 'indices: TI, depth: i32, on_value: T, off_value: T -> output: T',
  Where: 'input: T -> index: i64',

  VarHandleOp: '-> resource: resource',
  ReadVariableOp: 'resource: resource -> value: dtype',
  VarIsInitializedOp: 'resource: resource -> is_initialized: bool',
  AssignVariableOp: 'resource: resource, value: dtype ->',
  AssignAddVariableOp: 'resource: resource, value: dtype ->',
  AssignSubVariableOp: 'resource: resource, value: dtype ->',
  DestroyResourceOp: 'resource: resource ->',
  ResourceScatterUpdate: 'resource: resource, indices: Tindices, updates: dtype ->',
  InplaceUpdate: 'x: T, i: i32, v: T -> y: T',
  DeepCopy: 'x: T -> y: T',

  EmptyTensorList: 'element_shape: shape_type, max_num_elements: i32 -> handle: variant',
  TensorListReserve: 'element_shape: shape_type, num_elements: i32 -> handle: variant',
  TensorListFromTensor: 'tensor: element_dtype, element_shape: shape_type -> output_handle: variant',
  TensorListPushBack: 'input_handle: variant, tensor: element_dtype -> output_handle: variant',
  TensorListPopBack: 'input_handle: variant, element_shape: i32 -> output_handle: variant, tensor: element_dtype',
  TensorListGetItem: 'input_handle: variant, index: i32, element_shape: i32 -> item: element_dtype',
  TensorListSetItem: 'input_handle: variant, index: i32, item: element_dtype -> output_handle: variant',
  TensorListStack: 'input_handle: variant, element_shape: i32 -> tensor: element_dtype',
  TensorListLength: 'input_handle: variant -> length: i32',
  TensorListConcatV2:
    'input_handle: variant, element_shape: shape_type, leading_dims: i64 -> tensor: element_dtype, lengths: i64',

  StackV2: 'max_size: i32 -> handle: resource',
  StackPushV2: 'handle: resource, elem: T -> output: T',
  StackPopV2: 'handle: resource -> elem: elem_type',

  PartitionedCall: 'args: list(Tin) -> output: list(Tout)',
  StatefulPartitionedCall: 'args: list(Tin) -> output: list(Tout)',
  While: 'input: list(T) -> output: list(T)',
  If: 'cond: Tcond, input: list(Tin) -> output: list(Tout)',
  Case: 'branch_index: i32, input: list(Tin) -> output: list(Tout)',
} as const

export type OperationName = keyof typeof operations

/**
 * Ops with effects beyond their results, such as `InplaceUpdate` on its operand: a function must run them even if
 * nothing reads their results.
 */
const effects: ReadonlySet<string> = new Set<OperationName>([
  'AssignVariableOp',
  'AssignAddVariableOp',
  'AssignSubVariableOp',
  'DestroyResourceOp',
  'ResourceScatterUpdate',
  'InplaceUpdate',
  'StackPushV2',
  'StackPopV2',
  'StatefulPartitionedCall',
  'While',
  'If',
  'Case',
])
const reading: ReadonlySet<string> = new Set<OperationName>([
  'StackV2',
  'VarHandleOp',
  'ReadVariableOp',
  'VarIsInitializedOp',
])

export const hasEffect = (name: OperationName): boolean => effects.has(name)
/** True for ops whose results are not a function of their operands alone. */
export const isStateful = (name: OperationName): boolean => effects.has(name) || reading.has(name)

/** The declaration of one argument or result. `type` is one of ours or the name of an attribute. */
export interface Argument {
  readonly name: string
  readonly type: string
  readonly kind: 'one' | 'list' | 'many'
  readonly count?: string
}
export interface Declaration {
  readonly inputs: readonly Argument[]
  readonly outputs: readonly Argument[]
}

const argument = (text: string): Argument => {
  const [name = '', type = ''] = text.split(': ')
  const list = /^list\((\w+)\)$/.exec(type)
  const many = /^(\w+)\*(\w+)$/.exec(type)
  return list
    ? { name, type: list[1]!, kind: 'list' }
    : many
      ? { name, type: many[2]!, kind: 'many', count: many[1]! }
      : { name, type, kind: 'one' }
}
const argumentsOf = (text: string): readonly Argument[] =>
  text
    .trim()
    .split(', ')
    .filter(part => part !== '')
    .map(argument)

/** The declaration of an op. @example declarationOf('Neg').outputs is [{ name: 'y', type: 'T', kind: 'one' }] */
export const declarationOf = (name: OperationName): Declaration => {
  const [inputs = '', outputs = ''] = operations[name].split('->')
  return { inputs: argumentsOf(inputs), outputs: argumentsOf(outputs) }
}

/** The value of an attribute. A shape's unknown sizes are -1; `undefined` is a shape of unknown rank. */
export type Attribute =
  | { readonly type: GraphType }
  | { readonly types: readonly GraphType[] }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly shape: readonly number[] | undefined }
  | { readonly function: string }
  | { readonly functions: readonly string[] }
  | { readonly tensor: { readonly type: GraphType; readonly sizes: readonly number[]; readonly content: Uint8Array } }
export type Attributes = Readonly<Record<string, Attribute>>
