import { bindDims, given, sizing, type FedKey, type Programs } from '../compile/index.ts'
import { topological, type Node, type Shape, type Source } from '../tensor/index.ts'
import { batchSources } from './bind.ts'
import { checkingOf } from './data.ts'
import type { Buffer } from './device.ts'
import type { FedBatch } from './engine.ts'
import type { Dims } from './session.ts'
import { batchValues } from './values.ts'

/** Checks and copies a caller's batch for a program: sizes for this call, and the number of its random draw. */
export type Feed = (batch: unknown, overrides: Dims, draw: number) => FedBatch

interface Known {
  readonly keys: readonly FedKey[]
  /** The declared tree of a batch, and its leaves. */
  readonly declared: unknown
  readonly capacities: Readonly<Record<string, Shape>> | undefined
  readonly batch: Programs['batch']
  /** The sizes of the model and of the weights. */
  readonly sources: readonly Source[]
  readonly dims: Dims
  readonly checkDims: (dims: Dims) => void
}

/** The lower and the upper 32 bits of a seed. */
export const seedWords = (seed: number): readonly [number, number] => [seed | 0, Math.floor(seed / 2 ** 32) | 0]

/** The key of a program that draws random numbers: the words of a seed, and the number of the micro-batch. */
const keyOf = (seed: number, draw: number): Int32Array => Int32Array.of(...seedWords(seed), draw)

/**
 * Feeds a program that computes some nodes. A program that reads some leaves of a batch is fed a batch that may lack
 * the others.
 * @example const feed = feeding(known, programs.declaredLoss), fed = feed(batch, {}, 0)
 */
export const feeding = (
  { keys, declared: tree, capacities, batch: leaves, sources, dims, checkDims }: Known,
  roots: readonly Node[],
  reads: 'all' | 'what it needs' = 'all',
): Feed => {
  const needed = reads === 'all' ? undefined : new Set(topological(roots))
  const check = checkingOf(roots, needed === undefined ? leaves : leaves.filter(([, leaf]) => needed.has(leaf)))
  return (batch, overrides, draw) => {
    const values = new Map<string, Buffer>([
      ...batchValues(tree, batch, needed),
      ...keys.map(({ path, seed }): readonly [string, Buffer] => [
        path,
        { sizes: [3], dtype: 'i32', data: keyOf(seed, draw) },
      ]),
    ])
    checkDims(overrides)
    const sizes = bindDims([...sources, ...batchSources(leaves, values), ...given('dims', { ...dims, ...overrides })])
    check(values, sizing(sizes, capacities))
    return { values, sizes }
  }
}
