import { callOp } from './call.ts'
import { contractOp } from './contract.ts'
import { dequantizeOp } from './dequantize.ts'
import { castOp, elementwiseOps } from './elementwise.ts'
import { maxOp } from './max.ts'
import { constantOp, iotaOp, placeholderOp, sizeOp } from './placeholder.ts'
import { nonzeroOp, oneHotOp, pickOp } from './pick.ts'
import { randomBitsOp } from './random-bits.ts'
import { reshapeOp, transposeOp } from './reshape.ts'
import { concatOp, padOp, sliceOp } from './slice.ts'
import { broadcastToOp, sumOp } from './sum.ts'
import { resultOp } from './result.ts'
import { putOp, scatterAddOp, takeOp } from './take.ts'

/** The primitive ops by name. An op that is added here must get a lowering in every target, and every law tests it. */
export const primitives = {
  parameter: placeholderOp,
  constant: constantOp,
  size: sizeOp,
  iota: iotaOp,
  ...elementwiseOps,
  cast: castOp,
  sum: sumOp,
  max: maxOp,
  broadcastTo: broadcastToOp,
  reshape: reshapeOp,
  transpose: transposeOp,
  contract: contractOp,
  take: takeOp,
  scatterAdd: scatterAddOp,
  put: putOp,
  pick: pickOp,
  oneHot: oneHotOp,
  nonzero: nonzeroOp,
  slice: sliceOp,
  pad: padOp,
  concat: concatOp,
  randomBits: randomBitsOp,
  dequantize: dequantizeOp,
  call: callOp,
  result: resultOp,
} as const

export * from './call.ts'
export * from './composite.ts'
export * from './contract.ts'
export * from './dequantize.ts'
export * from './elementwise.ts'
export * from './max.ts'
export * from './placeholder.ts'
export * from './pick.ts'
export * from './random-bits.ts'
export * from './reshape.ts'
export * from './result.ts'
export * from './slice.ts'
export * from './sum.ts'
export * from './take.ts'
export type { Elementwise, Operand } from './verb.ts'
