import { scatterAlongOp, takeAlongOp } from './along.ts'
import { callOp } from './call.ts'
import { contractOp } from './contract.ts'
import { cumprodOp, cumsumOp } from './cumulative.ts'
import { dequantizeOp } from './dequantize.ts'
import { castOp, elementwiseOps } from './elementwise.ts'
import { functionOps } from './functions.ts'
import { loopOp } from './loop.ts'
import { maxOp, minOp } from './max.ts'
import { constantOp, iotaOp, placeholderOp, sizeOp } from './placeholder.ts'
import { nonzeroOp, oneHotOp, pickOp } from './pick.ts'
import { prodOp } from './prod.ts'
import { randomBitsOp } from './random-bits.ts'
import { randomUniformOp } from './random-uniform.ts'
import { reshapeOp, transposeOp } from './reshape.ts'
import { concatOp, padOp, sliceOp } from './slice.ts'
import { argsortOp } from './sort.ts'
import { broadcastToOp, sumOp } from './sum.ts'
import { resultOp } from './result.ts'
import { putOp, scatterAddOp, takeOp } from './take.ts'
import { foldOp, windowsOp } from './windows.ts'

/** The primitive ops by name. An op that is added here must get a lowering in every target, and every law tests it. */
export const primitives = {
  parameter: placeholderOp,
  constant: constantOp,
  size: sizeOp,
  iota: iotaOp,
  ...elementwiseOps,
  ...functionOps,
  cast: castOp,
  sum: sumOp,
  max: maxOp,
  min: minOp,
  prod: prodOp,
  cumsum: cumsumOp,
  cumprod: cumprodOp,
  broadcastTo: broadcastToOp,
  reshape: reshapeOp,
  transpose: transposeOp,
  contract: contractOp,
  take: takeOp,
  scatterAdd: scatterAddOp,
  put: putOp,
  takeAlong: takeAlongOp,
  scatterAlong: scatterAlongOp,
  argsort: argsortOp,
  pick: pickOp,
  oneHot: oneHotOp,
  nonzero: nonzeroOp,
  slice: sliceOp,
  pad: padOp,
  concat: concatOp,
  windows: windowsOp,
  fold: foldOp,
  randomBits: randomBitsOp,
  randomUniform: randomUniformOp,
  dequantize: dequantizeOp,
  call: callOp,
  loop: loopOp,
  result: resultOp,
} as const

export * from './along.ts'
export * from './binary.ts'
export * from './axes.ts'
export * from './call.ts'
export * from './composite.ts'
export * from './contract.ts'
export * from './cumulative.ts'
export * from './dequantize.ts'
export * from './dynamic.ts'
export * from './elementwise.ts'
export * from './further.ts'
export * from './loop.ts'
export * from './fill.ts'
export * as bits from './bits.ts'
export * from './matrix.ts'
export * from './max.ts'
export * from './order.ts'
export * from './pad.ts'
export * from './placeholder.ts'
export * from './pick.ts'
export * from './prod.ts'
export * from './random-bits.ts'
export * from './random-uniform.ts'
export * as random from './random.ts'
export * from './reshape.ts'
export * from './result.ts'
export * from './rounding.ts'
export * from './slice.ts'
export * from './sort.ts'
export * from './split.ts'
export * from './sum.ts'
export * from './take.ts'
export * from './unary.ts'
export * from './windows.ts'
export type { Binary, Logical, NumberFault, Select } from './operands.ts'
export type { Elementwise, Operand } from './verb.ts'
