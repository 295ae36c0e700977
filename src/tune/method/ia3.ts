import { placeholder, u, type Node, type Tensor } from '../../tensor/index.ts'
import { all, frozen, type All, type Dynamic, type Frozen } from '../mask.ts'
import { isTensor, mapTree, tensorsOf } from '../tree.ts'
import type { Given, Method, Reparametrisation } from './method.ts'
import { filled } from './first-values.ts'
import { trained, type Tensors } from './kept.ts'
import { leafwise, matrixDims, type In, type Out } from './leafwise.ts'
import { method } from './record.ts'
import { isTarget, leafName, type Extend, type LeafFunction, type TargetFault, type TargetsOf } from './targets.ts'

/** A leaf with a factor for each of its outputs. */
export interface Ia3Out extends LeafFunction {
  readonly becomes: WithOutputFactors<this['leaf']>
}
export interface WithOutputFactors<L> {
  readonly weight: L
  readonly ia3_out: Tensor<readonly [Out<L>]>
}
/** A leaf with a factor for each of its inputs. */
export interface Ia3In extends LeafFunction {
  readonly becomes: WithInputFactors<this['leaf']>
}
export interface WithInputFactors<L> {
  readonly weight: L
  readonly ia3_in: Tensor<readonly [In<L>]>
}
export interface Ia3<T extends string, F extends string> extends Reparametrisation {
  readonly params: string extends T | F
    ? unknown
    : Extend<Extend<this['in'], Exclude<T, Fed<T, F>>, Ia3Out>, Fed<T, F>, Ia3In>
  readonly mask: string extends T | F ? Dynamic : Factors<this['params']>
  readonly fault: TargetFault<this['in'], T>
}
/** The targets of which `feedforward` names the inputs. */
type Fed<T extends string, F extends string> = Extract<T, F | `${string}.${F}`>
type Factors<Q> = {
  readonly [K in keyof Q]: Q[K] extends Node ? (K extends 'ia3_out' | 'ia3_in' ? All : Frozen) : Factors<Q[K]>
}
type Scaled = { readonly weight: Node } & ({ readonly ia3_out: Node } | { readonly ia3_in: Node })

/**
 * (IA)³, infused adapter by inhibiting and amplifying inner activations (Liu et al., NeurIPS 2022, section 3.3): the
 * outputs of a module, or the inputs of one that `feedforward` names, are scaled by a trained vector that begins with
 * 1. In a weight `[in, out]` that scales columns, and the bias `….bias` of the module with them, or rows.
 * @example ia3({ targets: ['k_proj', 'v_proj', 'down_proj'] })
 */
export const ia3 = <const T extends readonly string[], const F extends readonly string[] = readonly ['down_proj']>({
  targets,
  feedforward,
}: {
  readonly targets: T
  /** Modules whose inputs are scaled, PEFT's `feedforward_modules`: those that end a feed-forward layer. */
  readonly feedforward?: F
}): Method<Ia3<TargetsOf<T>, TargetsOf<F>>> => ({
  name: 'ia3',
  apply: params => {
    const ofInputs: readonly string[] = feedforward ?? ['down_proj']
    const made = leafwise<Ia3<TargetsOf<T>, TargetsOf<F>>, Scaled>('ia3', targets, (leaf, path) => {
      const [input, output] = matrixDims('ia3', leaf, path)
      const isFed = ofInputs.some(name => isTarget(path, name))
      const factor = placeholder([isFed ? input : output], 'f32')
      const ones = ({ size }: Pick<Given, 'size'>) => [filled(factor, size, 1)]
      const additions = [{ of: path, leaves: [factor], make: ones }]
      const weight = (leaves: Scaled): Node =>
        u.mul(leaves.weight, 'ia3_in' in leaves ? u.reshape(leaves.ia3_in, [input, 1]) : leaves.ia3_out)
      return isFed
        ? { becomes: { weight: leaf, ia3_in: factor }, mask: { weight: frozen, ia3_in: all }, weight, additions }
        : { becomes: { weight: leaf, ia3_out: factor }, mask: { weight: frozen, ia3_out: all }, weight, additions }
    }).apply(params)
    return {
      ...made,
      // an output is scaled with the bias in it
      weight: q => {
        const own = new Map(tensorsOf(q))
        const scaled = (leaf: Node, path: string): Node => {
          const module = path.replace(/\.bias$/, '')
          const factor = own.get(`${module}.ia3_out`) ?? own.get(`${module}.weight.ia3_out`)
          return factor && path.endsWith('.bias') ? u.mul(leaf, factor) : leaf
        }
        return mapTree(made.weight(q), isTensor, scaled) as ReturnType<typeof made.weight>
      },
    }
  },
})

/** PEFT's expression for modules whose inputs are scaled; a list would have to be a part of the targets' own. */
const fedIn = (modules: ReadonlyMap<string, Tensors>): string | readonly string[] => {
  const isFed = (path: string): boolean => modules.get(path)?.['ia3_in'] !== undefined
  const fed = [...modules.keys()].filter(isFed)
  const words = [...new Set(fed.map(leafName))]
  const areSaid = [...modules.keys()].every(path => isFed(path) === words.includes(leafName(path)))
  const either = (texts: readonly string[]): string => texts.map(text => text.replaceAll('.', '\\.')).join('|')
  return fed.length === 0 ? [] : areSaid ? `(.*\\.)?(${either(words)})` : either(fed)
}

export const ia3Method = method({
  name: 'ia3',
  title: '(IA)³',
  trains: 'a factor for each output of a module, or for each of its inputs',
  paper: { by: 'Liu et al., NeurIPS 2022', url: 'https://arxiv.org/abs/2205.05638' },
  make: ia3,
  takes: ['feedforward'],
  rank: undefined,
  reach: 'linear',
  targets: ['k_proj', 'v_proj', 'down_proj'],
  tensors: [{ ia3_out: trained('out') }, { ia3_in: trained('in') }],
  shared: {},
  quantizes: true,
  besides: true,
  change: {
    add: (sum, { tensors }, { data, sizes: [, output = 0] }, by) => {
      data.forEach((x, at) => {
        const factor =
          'ia3_in' in tensors ? tensors.ia3_in.data[Math.floor(at / output)]! : tensors.ia3_out.data[at % output]!
        sum[at]! += by * x * (factor - 1)
      })
    },
  },
  addToBias: (sum, { tensors }, { data }, by) => {
    if ('ia3_out' in tensors)
      data.forEach((x, i) => {
        sum[i]! += by * x * (tensors.ia3_out.data[i]! - 1)
      })
  },
  lora: { none: '(IA)³ scales whole inputs and outputs' },
  again: modules => ({ feedforward: [...modules].flatMap(([path, module]) => ('ia3_in' in module ? [path] : [])) }),
  peft: {
    type: 'IA3',
    tensors: { ia3_out: ['ia3_l', 'out', 1], ia3_in: ['ia3_l', 1, 'in'] },
    lacks: ['layers_to_transform', 'layers_pattern'],
    fields: {
      feedforward_modules: { leave: true, write: fedIn },
      fan_in_fan_out: { only: false },
      init_ia3_weights: { oneOf: [true, false], expected: 'true or false', write: true },
    },
  },
})
