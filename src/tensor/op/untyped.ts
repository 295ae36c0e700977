import { alongs } from './along.ts'
import { call } from './call.ts'
import { products } from './contract.ts'
import { cumulations } from './cumulative.ts'
import { dequantize, type PackedNodes } from './dequantize.ts'
import { pointwise } from './elementwise.ts'
import { functions } from './functions.ts'
import { looped } from './loop.ts'
import { maxima } from './max.ts'
import { picks } from './pick.ts'
import { sources } from './placeholder.ts'
import { factorings } from './prod.ts'
import { folds } from './windows.ts'
import { draws } from './random-bits.ts'
import { uniforms } from './random-uniform.ts'
import { layouts } from './reshape.ts'
import { result } from './result.ts'
import { parts } from './slice.ts'
import { orders } from './sort.ts'
import { sums } from './sum.ts'
import { takes } from './take.ts'
import type { Node } from '../node.ts'
import type { Shape } from '../shape/index.ts'

/** The untyped verbs of all primitives, by their names. */
export const u = {
  ...sources,
  ...pointwise,
  ...functions,
  ...sums,
  ...maxima,
  ...factorings,
  ...cumulations,
  ...layouts,
  ...products,
  ...takes,
  ...alongs,
  ...orders,
  ...picks,
  ...parts,
  ...draws,
  ...folds,
  ...uniforms,
  dequantize: (shape: Shape, packed: PackedNodes): Node => dequantize(shape as readonly never[], packed),
  call,
  loop: looped,
  result,
}
