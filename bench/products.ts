import type { Node } from '../src/index.ts'
import { count, type Plan } from '../src/compiler.ts'
import type { Computing } from './observe.ts'

/** A matrix product of a plan: `[batch, M, K] × [batch, K, N]`, each operand as it lies. */
export interface Product {
  readonly batch: number
  readonly M: number
  readonly K: number
  readonly N: number
  readonly transposeLeft: boolean
  readonly transposeRight: boolean
}

const lettersOf = (node: Node): { readonly a: string; readonly b: string } =>
  node.attributes as { readonly a: string; readonly b: string }

/** The product that an instruction computes, if it is one. */
export const productOf = ({ node, inputs, output }: Computing, { slots }: Plan): Product | undefined => {
  if (node.op.name !== 'contract') return undefined
  const { a, b } = lettersOf(node)
  const result = slots[output]!.sizes
  return {
    batch: count(result.slice(0, -2)),
    M: result.at(-2)!,
    N: result.at(-1)!,
    K: slots[inputs[0]!]!.sizes[a.indexOf('k')]!,
    transposeLeft: a.endsWith('km'),
    transposeRight: b.endsWith('nk'),
  }
}

export const flopsOf = ({ batch, M, K, N }: Product): number => 2 * batch * M * K * N

/** @example nameOf(product) // '512×576 · (1536×576)ᵀ' */
export const nameOf = ({ batch, M, K, N, transposeLeft, transposeRight }: Product): string => {
  const matrix = (rows: number, columns: number, transposed: boolean): string =>
    transposed ? `(${columns}×${rows})ᵀ` : `${rows}×${columns}`
  return `${batch > 1 ? `${batch} of ` : ''}${matrix(M, K, transposeLeft)} · ${matrix(K, N, transposeRight)}`
}

/** Every distinct product of a plan and of the plans it calls, with how often it is computed. */
export const productsOf = (plan: Plan): ReadonlyMap<string, { readonly product: Product; readonly times: number }> => {
  const found = new Map<string, { readonly product: Product; readonly times: number }>()
  const walk = (within: Plan): void => {
    for (const instruction of within.instructions) {
      if (instruction.kind === 'call') walk(instruction.plan)
      else if (instruction.kind === 'run' || instruction.kind === 'update') {
        const product = productOf(instruction, within)
        if (product) found.set(nameOf(product), { product, times: (found.get(nameOf(product))?.times ?? 0) + 1 })
      }
    }
  }
  walk(plan)
  return found
}
