import type { Node } from '../src/index.ts'
import { count, type ConvAttributes, type Plan } from '../src/compiler.ts'
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

/** The product that a convolution amounts to: of its windows, or what its gradients make of them. */
const convolutionOf = ({ node, inputs, output }: Computing, { slots }: Plan): Product | undefined => {
  const operands = [...inputs, output].map(slot => slots[slot]!.sizes)
  const [x, y, z] = operands as [readonly number[], readonly number[], readonly number[]]
  // all windows, the numbers of one, and the channels of the result
  const product = (result: readonly number[], weight: readonly number[]) => ({
    windows: count(result.slice(0, -1)),
    places: count(weight.slice(0, -1)),
    out: result.at(-1)!,
  })
  const plain = { batch: 1, transposeLeft: false, transposeRight: false }
  if (node.op.name === 'conv') {
    const { windows, places, out } = product(z, y)
    return { ...plain, M: windows, K: places, N: out }
  }
  if (node.op.name === 'convInput') {
    const { windows, places, out } = product(x, y)
    return { ...plain, M: windows, K: out, N: places, transposeRight: true }
  }
  const { windows, places, out } = product(y, z)
  return { ...plain, M: places, K: windows, N: out, transposeLeft: true }
}

const convolutions = new Set<string>(['conv', 'convInput', 'convFilter'])

/** Tests for convolutions of each channel by itself, which are no product. */
export const isDepthwise = ({ node }: Computing): boolean =>
  convolutions.has(node.op.name) && (node.attributes as ConvAttributes).depthwise

/** The product that an instruction computes, if it is one. */
export const productOf = (instruction: Computing, plan: Plan): Product | undefined => {
  const { node, inputs, output } = instruction
  const { slots } = plan
  if (convolutions.has(node.op.name)) return isDepthwise(instruction) ? undefined : convolutionOf(instruction, plan)
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

interface Found<A> {
  readonly part: A
  readonly times: number
}
/** The things found in the instructions of a plan and of the plans it calls, each once by its name, with how often. */
export const foundIn = <A>(
  plan: Plan,
  find: (instruction: Computing, plan: Plan) => readonly [name: string, part: A] | undefined,
): ReadonlyMap<string, Found<A>> => {
  const found = new Map<string, Found<A>>()
  const walk = (within: Plan): void => {
    for (const instruction of within.instructions) {
      if (instruction.kind === 'call') walk(instruction.plan)
      else if (instruction.kind === 'run' || instruction.kind === 'update') {
        const [name, part] = find(instruction, within) ?? []
        if (name !== undefined && part !== undefined)
          found.set(name, { part, times: (found.get(name)?.times ?? 0) + 1 })
      }
    }
  }
  walk(plan)
  return found
}

/** Every distinct product of a plan and of the plans it calls, with how often it is computed. */
export const productsOf = (plan: Plan): ReadonlyMap<string, Found<Product>> =>
  foundIn(plan, (instruction, within) => {
    const product = productOf(instruction, within)
    return product && [nameOf(product), product]
  })
