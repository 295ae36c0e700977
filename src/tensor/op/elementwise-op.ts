import * as E from '../../either/index.ts'
import { pipe } from '../../either/index.ts'
import { savesOperands } from '../autograd.ts'
import { broadcasting, hasCorner, isSmooth, noDims } from '../facets.ts'
import { fitsByShape, type Node, type Op } from '../node.ts'
import { elementwise } from '../numbers.ts'
import { broadcast, type Shape } from '../shape/index.ts'
import { count, type DType } from '../value.ts'
import { sumTo } from './sum.ts'
import { typesFault } from './types.ts'
import type { Arity, Elementwise } from './verb.ts'

export type Cotangents = (inputs: readonly Node[], y: Node, dy: Node) => readonly (Node | undefined)[]

type Scalar = (...x: number[]) => number
/**
 * The dtypes that an op accepts in addition to float32, the dtype of its result if it differs from that of the
 * operands, and whether it has a corner.
 */
interface Types {
  /** The meaning for integers, if the op accepts them. */
  readonly i32?: Scalar
  /** True if the op accepts truth values, `only` if it accepts nothing else. */
  readonly bool?: boolean | 'only'
  readonly gives?: DType
  /** The number of leading operands that are conditions, which are truth values. */
  readonly conditions?: number
  /** True if the op or its derivative has a jump. */
  readonly corner?: boolean
  /** The tensors that PyTorch keeps of it (default: its operands). */
  readonly autograd?: Op['autograd']
}

/** The cotangents of an op without a derivative, or with one that is 0 wherever it exists. */
export const flat: Cotangents = () => []

/** An elementwise op from its meaning and the cotangents of its operands, with NumPy broadcasting. */
export const elementwiseOp = <N extends Arity>(
  name: string,
  f: Scalar,
  cotangents: Cotangents,
  { i32, bool = false, gives, conditions = 0, corner = false, autograd = savesOperands }: Types = {},
): Elementwise<N> => ({
  name,
  // the annotation of each op agrees with its meaning
  arity: f.length as N,
  shape: inputs =>
    pipe(
      inputs.length === f.length
        ? E.right(undefined)
        : E.left(`${name}: takes ${f.length} operands, not ${inputs.length}`),
      E.flatMap(() =>
        typesFault(
          name,
          inputs,
          [
            ...(bool === 'only' ? [] : ['f32' as const]),
            ...(i32 ? ['i32' as const] : []),
            ...(bool === false ? [] : ['bool' as const]),
          ],
          conditions,
        ),
      ),
      E.flatMap(() =>
        inputs.slice(1).reduce<E.Either<string, Shape>>(
          (shape, input) =>
            pipe(
              shape,
              E.flatMap(s => broadcast(s, input.shape)),
            ),
          E.right(inputs[0]!.shape),
        ),
      ),
      E.map(shape => ({ shape, dtype: gives ?? inputs[conditions]!.dtype })),
    ),
  misfit: fitsByShape,
  eval: (inputs, _, { sizes, inputs: declared }) =>
    elementwise(sizes, inputs, declared[conditions]!.dtype === 'i32' ? (i32 ?? f) : f),
  // a broadcast operand is used several times, so its cotangent is the sum
  vjp: (y, dy) => cotangents(y.inputs, y, dy).map((d, i) => d && sumTo(d, y.inputs[i]!.shape)),
  flops: (_, __, { sizes }) => count(sizes),
  kind: 'elementwise',
  along: broadcasting,
  dims: noDims,
  smooth: corner ? hasCorner : isSmooth,
  cheap: true,
  ...(cotangents === flat ? {} : { autograd }),
})
