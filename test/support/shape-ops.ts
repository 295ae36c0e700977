import { readFileSync } from 'node:fs'
import {
  dynamicSlice,
  dynamicUpdate,
  expandDims,
  eye,
  f32,
  flip,
  integer,
  linspace,
  linalg,
  matmul,
  pad,
  repeatAlong,
  roll,
  split,
  squeeze,
  stack,
  stride,
  tile,
  tril,
  triu,
  type Node,
} from '../../src/index.ts'
import type { Numbers } from '../../src/compiler.ts'

/** Ops on axes and matrices as a user writes them, with the values and gradients of PyTorch and NumPy. */

/** An expression and its leaves. */
export interface Built {
  readonly leaves: readonly Node[]
  readonly root: Node
}
export const on = <const T extends readonly Node[]>(leaves: T, build: (...leaves: T) => Node): Built => ({
  leaves,
  root: build(...leaves),
})

const built: { readonly [name: string]: Built } = {
  expandDims: on([f32(2, 3)], x => expandDims(x, 1)),
  squeeze: on([f32(2, 1, 3)], x => squeeze(x, 1)),
  stack: on([f32(2, 3), f32(2, 3)], (x, y) => stack([x, y], -1)),
  split: on([f32(2, 6)], x => split(x, [1, 2, 3], 1)[1]),
  splitEvenly: on([f32(2, 6)], x => split(x, 3, 1)[2]),
  flip: on([f32(2, 3, 4)], x => flip(x, 1)),
  roll: on([f32(2, 5)], x => roll(x, 2, -1)),
  rollBack: on([f32(5, 2)], x => roll(x, -7, 0)),
  tile: on([f32(2, 3)], x => tile(x, 1, 2)),
  repeatAlong: on([f32(2, 3)], x => repeatAlong(x, 1, 2)),
  pad: on([f32(2, 3)], x => pad(x, -1, { as: 6, start: [1], value: 0.5 })),
  padZeros: on([f32(2, 3)], x => pad(x, 0, { as: 4, start: [2] })),
  padReflect: on([f32(2, 4)], x => pad(x, 1, { as: 9, start: [3], mode: 'reflect' })),
  padReflectFar: on([f32(2, 3)], x => pad(x, 1, { as: 14, start: [5], mode: 'reflect' })),
  padEdge: on([f32(3, 2)], x => pad(x, 0, { as: 8, start: [2], mode: 'edge' })),
  padWrap: on([f32(3, 2)], x => pad(x, 0, { as: 12, start: [4], mode: 'wrap' })),
  stride: on([f32(2, 7)], x => stride(x, 1, { as: 2, step: 3, start: [1] })),
  tril: on([f32(2, 3, 4)], x => tril(x, 1)),
  triu: on([f32(4, 3)], x => triu(x, -1)),
  diagonal: on([f32(2, 3, 3)], x => linalg.diagonal(x)),
  diag: on([f32(2, 3)], x => linalg.diag(x)),
  trace: on([f32(3, 3)], x => linalg.trace(x)),
  outer: on([f32(3), f32(4)], (x, y) => linalg.outer(x, y)),
  dot: on([f32(5), f32(5)], (x, y) => linalg.dot(x, y)),
  dynamicSlice: on([f32(4, 5)], x => dynamicSlice(x, [integer(1), 2], [2, 3])),
  dynamicUpdate: on([f32(4, 5), f32(2, 3)], (x, y) => dynamicUpdate(x, y, [1, integer(2)])),
  matmulOfAll: on([f32(2, 3, 4), f32(4, 5)], (x, y) => matmul(x, y)),
  matmulOneByMany: on([f32(3, 4), f32(2, 4, 5)], (x, y) => matmul(x, y)),
  matmulBroadcast: on([f32(2, 1, 3, 4), f32(5, 4, 2)], (x, y) => matmul(x, y)),
  matmulBothBroadcast: on([f32(2, 1, 3, 4), f32(1, 5, 4, 2)], (x, y) => matmul(x, y)),
  matmulOneOfMany: on([f32(2, 3, 4), f32(1, 4, 5)], (x, y) => matmul(x, y)),
  matmulVector: on([f32(2, 3, 4), f32(4)], (x, y) => matmul(x, y)),
  matmulRow: on([f32(4), f32(2, 4, 5)], (x, y) => matmul(x, y)),
  matmulVectors: on([f32(4), f32(4)], (x, y) => matmul(x, y)),
  linspace: on([], () => linspace(-1, 2, 7)),
  eye: on([], () => eye(2, 3)),
}

interface Written {
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
/** A value that another system computed, and its gradients with respect to the leaves. */
export interface Golden extends Built {
  readonly name: string
  readonly inputs: readonly Numbers[]
  readonly result: Numbers
  readonly gradients: readonly Numbers[]
}

const numbersOf = ({ sizes, data }: Written): Numbers => ({ sizes, data: Float64Array.from(data) })

/** Every case of the golden file, with its expression. */
export const goldenShapeOps = (): readonly Golden[] => goldenOf('shape-ops', built)

/** Every case of a golden file, with its expression. */
export const goldenOf = (folder: string, built: { readonly [name: string]: Built }): readonly Golden[] => {
  const text = readFileSync(new URL(`../golden/${folder}/values.json`, import.meta.url), 'utf8')
  const { cases } = JSON.parse(text) as {
    readonly cases: {
      readonly [name: string]: {
        readonly inputs: readonly Written[]
        readonly result: Written
        readonly gradients: readonly Written[]
      }
    }
  }
  if (Object.keys(cases).sort().join() !== Object.keys(built).sort().join())
    throw new Error('the golden values are not those of the expressions')
  return Object.entries(built).map(([name, expression]) => ({
    ...expression,
    name,
    inputs: cases[name]!.inputs.map(numbersOf),
    result: numbersOf(cases[name]!.result),
    gradients: cases[name]!.gradients.map(numbersOf),
  }))
}

/** The cotangent of the golden gradients. */
export const cosines = (sizes: readonly number[], n: number): Numbers => ({
  sizes,
  data: Float64Array.from({ length: n }, (_, i) => Math.cos(i)),
})
