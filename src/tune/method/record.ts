import type { Shape, Value } from '../../tensor/index.ts'
import type { Form, Forms, TensorsOf } from './kept.ts'
import type { LowRank } from './low-rank.ts'
import type { Method, Opaque } from './method.ts'
import type { PeftForm, PeftRefusal } from './peft-form.ts'

/**
 * A method, as every other room sees it: its file is the only place that describes it, and no other code names a
 * method. A record without one of the facets does not compile.
 */

/** The options for making methods; each takes those that it has. */
export interface MethodArguments {
  /** Leaves to tune: names such as `q_proj`, or paths. */
  readonly targets: readonly string[]
  readonly rank: number
  readonly seed: number
  readonly alpha?: number
  readonly rslora?: boolean
  readonly dropout?: number
  /** Other ranks and alphas for some leaves, by path. */
  readonly ranks?: ReadonlyMap<string, number>
  readonly alphas?: ReadonlyMap<string, number>
  /** A given selection by path: columns for PaCA, entries for SHiRA. */
  readonly selection?: ReadonlyMap<string, Int32Array>
  /** Paths whose leaves share a selection. */
  readonly groups?: readonly (readonly string[])[]
  /** The number of neighbouring inputs of a leaf that belong together, by path: the size of a head after attention. */
  readonly blocks?: ReadonlyMap<string, number>
  /** Paths of leaves whose inputs are scaled, not their outputs. */
  readonly feedforward?: readonly string[]
  /** The first value of VeRA's d. */
  readonly initial?: number
}

/** A module of an adapter, as its method reads it. */
export interface SavedModule<T, S> {
  readonly tensors: T
  /** The tensors that all modules share. */
  readonly shared: S
  /** The scale: α / r, or α / √r with rank-stabilised scaling. */
  readonly scale: number
  /** The number of inputs of the module. */
  readonly inputs: number
}

/** A module to tune, with the sizes of its weight. */
export interface TunedModule {
  readonly path: string
  readonly rank: number
  readonly in: number
  readonly out: number
}

/** The rank of a method: its default, and whether it counts inputs, in which case a module limits it. */
export interface RankFacet {
  readonly default: number
  readonly counts?: 'inputs'
}

/**
 * The leaves that a method can tune: every leaf, or those of a kind: matrices that are applied to features (`linear`),
 * these and the convolutions that sum over input channels (`products`), these and the convolutions of single channels
 * (`inputs`), gains of norms, biases. A model may have none of some kind.
 */
export type Reach = 'every' | 'linear' | 'products' | 'inputs' | 'norm' | 'bias'

export interface MethodRecord<
  N extends string = string,
  F extends Forms = Forms,
  S extends Form = Form,
  R extends RankFacet | undefined = RankFacet | undefined,
> {
  readonly name: N
  /** The name as its authors write it. */
  readonly title: string
  /** The trained part, as a noun phrase. */
  readonly trains: string
  /** The paper, if the method has one. */
  readonly paper: { readonly by: string; readonly url: string } | undefined
  readonly make: (options: MethodArguments) => Method<Opaque>
  /** The options that it takes in addition to its targets. */
  readonly takes: readonly Exclude<keyof MethodArguments, 'targets'>[]
  /** The rank; `undefined` for a method that has none. */
  readonly rank: R
  readonly reach: Reach
  /** The default targets: the model's own choice, everything in reach, or words that paths end with. */
  readonly targets: 'usual' | 'all' | readonly string[]
  readonly tensors: F
  /** Tensors that all modules share: leaves at the top of the tree. */
  readonly shared: S
  /** True if the frozen linear modules may be held in 4 bits. */
  readonly quantizes: boolean
  /** True if other leaves may be trained whole in addition: `--modules-to-save` and `--bias`. */
  readonly besides: boolean
  /**
   * The change of a weight on the host: `values` replace numbers of the weight; `factors` are those of `lora`; or
   * numbers that are added to a sum, `by` times, and depend on the weight of the base. It repeats the meaning of
   * `weight`, so that merging is fast; a law compares the two.
   */
  readonly change:
    | 'values'
    | 'factors'
    | {
        add(
          sum: Float64Array,
          module: SavedModule<TensorsOf<F[number]>, TensorsOf<S>>,
          base: Value<Shape>,
          by: number,
        ): void
      }
  /** The change of the bias of a module, if the method changes one with its weight: added to a sum, `by` times. */
  addToBias?(
    sum: Float64Array,
    module: SavedModule<TensorsOf<F[number]>, TensorsOf<S>>,
    bias: Value<Shape>,
    by: number,
  ): void
  /** The same change as a product of two factors, or the reason why there are none. */
  readonly lora:
    { factors(module: SavedModule<TensorsOf<F[number]>, TensorsOf<S>>): LowRank } | { readonly none: string }
  /** Its form in PEFT, if PEFT has one. */
  readonly peft: PeftForm | PeftRefusal | undefined
  /** Sizes of dims that only this method names. */
  dims?(modules: readonly TunedModule[]): Readonly<Record<string, number>>
  /**
   * Options that are derived from the adapter that a run continues from, in addition to its ranks and its selection.
   */
  again?(modules: ReadonlyMap<string, TensorsOf<F[number]>>): Partial<MethodArguments>
  /** True if files of format 1 may have the method. */
  readonly inVersion1?: true
}

/** A method with everything that its file declares. @example export const loraMethod = method({ name: 'lora', … }) */
export const method = <
  const N extends string,
  const F extends Forms,
  const S extends Form,
  R extends RankFacet | undefined,
>(
  record: MethodRecord<N, F, S, R>,
): MethodRecord<N, F, S, R> => record
