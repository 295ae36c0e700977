import { call } from './call.ts'
import { products } from './contract.ts'
import { dequantize, type PackedNodes } from './dequantize.ts'
import { pointwise } from './elementwise.ts'
import { maxima } from './max.ts'
import { picks } from './pick.ts'
import { sources } from './placeholder.ts'
import { draws } from './random-bits.ts'
import { layouts } from './reshape.ts'
import { result } from './result.ts'
import { parts } from './slice.ts'
import { sums } from './sum.ts'
import { takes } from './take.ts'
import type { Node } from '../node.ts'
import type { Shape } from '../shape/index.ts'

/** The untyped verbs of all primitives, by their names. */
export const u = {
  ...sources,
  ...pointwise,
  ...sums,
  ...maxima,
  ...layouts,
  ...products,
  ...takes,
  ...picks,
  ...parts,
  ...draws,
  dequantize: (shape: Shape, packed: PackedNodes): Node => dequantize(shape as readonly never[], packed),
  call,
  result,
}
