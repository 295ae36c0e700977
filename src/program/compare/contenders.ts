import * as E from 'fp-ts/lib/Either.js'
import { orThrow } from '../../text/index.ts'
import { applicable, methodOptions, supports, type MethodChoice, type SelectionRule } from '../method.ts'
import type { FinetuneOptions } from '../request.ts'
import type { Source } from '../source.ts'
import { methodNames, optimizerNames, optimizers, recordOf, type MethodName } from '../../tune/index.ts'
import { parameterCounts } from '../counts.ts'
import { targetsOf, tuneAny } from '../tune.ts'

type Left = 'method' | 'select' | 'seed' | 'out' | 'adapter' | 'saveOptimizer' | 'columns'

/** The options of `partensor compare`: those of finetune, for several methods and seeds. */
export interface CompareOptions extends Omit<FinetuneOptions, Left> {
  readonly eval: string
  readonly methods: readonly MethodName[]
  /** Rules for selecting columns, each a contender with PaCA. */
  readonly selects?: readonly SelectionRule[] | undefined
  readonly seeds: readonly number[]
  /** Learning rates for some methods; `lr` is that of the others. */
  readonly lrOf?: Readonly<Record<string, number>> | undefined
  /** Learning rates at which every method is run, instead of `lr` and `lrOf`. */
  readonly lrs?: readonly number[] | undefined
  /** A file for a page that shows the methods side by side. */
  readonly html?: string | undefined
}

/** One line of a comparison before it has run. */
export interface Contender {
  readonly name: string
  readonly method: MethodName
  readonly select: SelectionRule | undefined
  readonly rank: number | null
  readonly trainable: number
}

/** The options of one contender: those of the common options that its method takes. */
export const choiceOf = (options: CompareOptions, method: MethodName, select?: SelectionRule): MethodChoice => {
  const { targetModules, excludeModules, layers, rankPattern, alphaPattern, modulesToSave, bias } = options
  const { rank, alpha, rslora, dropout, quantize, doubleQuantize, shareColumns, seeds } = options
  return applicable(method, {
    targetModules,
    excludeModules,
    layers,
    rankPattern,
    alphaPattern,
    modulesToSave,
    bias,
    rank,
    alpha,
    rslora,
    dropout,
    quantize,
    doubleQuantize,
    shareColumns,
    select,
    seed: seeds[0] ?? 0,
  })
}

/** The number of parameters that a method trains at a rank; undefined if the rank is too large. */
const trainedAt = (source: Source, choice: MethodChoice, rank: number | undefined): number | undefined => {
  const method = methodOptions({ ...choice, rank }, source.checkpoint.architecture)
  const targets = E.isRight(method) ? targetsOf(source, method.right) : method
  if (E.isLeft(method) || E.isLeft(targets)) return undefined
  const tuned = tuneAny(source, method.right, {}, targets.right)
  return E.isRight(tuned) ? parameterCounts(tuned.right, source.checkpoint, targets.right.modules).trainable : undefined
}

/** The largest rank that is tried. */
const highestRank = 4096

/** The rank at which a method trains as nearly as possible a given number of parameters, which grows with the rank. */
const rankFor = (source: Source, choice: MethodChoice, trainable: number): number => {
  const count = (rank: number): number => trainedAt(source, choice, rank) ?? Infinity
  let least = 1
  let above = highestRank
  // the first rank that trains at least as many
  while (least < above) {
    const middle = Math.floor((least + above) / 2)
    if (count(middle) >= trainable) above = middle
    else least = middle + 1
  }
  return above > 1 && trainable - count(above - 1) <= count(above) - trainable ? above - 1 : above
}

/**
 * The method whose selections are compared: the first that takes `--select`, among the named ones or else among all.
 */
const selectingMethod = (named: readonly MethodName[]): MethodName | undefined =>
  [...named, ...methodNames].find(method => supports(method, 'select'))

/** The methods and selections to compare, with as many trained parameters as the first one. */
export const contendersOf = async (source: Source, options: CompareOptions): Promise<readonly Contender[]> => {
  const selects = options.selects ?? []
  const selecting = selects.length === 0 ? undefined : selectingMethod(options.methods)
  const named = [
    ...options.methods
      .filter(method => method !== selecting)
      .map(method => ({ name: `${method}`, method, select: undefined })),
    ...(selecting ? selects.map(select => ({ name: `${selecting} (${select})`, method: selecting, select })) : []),
  ]
  const contenders: Contender[] = []
  for (const { name, method, select } of named) {
    const choice = choiceOf(options, method, select)
    const first = contenders[0]
    if (recordOf(method).rank === undefined) {
      contenders.push({ name, method, select, rank: null, trainable: trainedAt(source, choice, undefined) ?? 0 })
      continue
    }
    const own = await orThrow(async () => methodOptions(choice, source.checkpoint.architecture))
    const rank = first ? rankFor(source, choice, first.trainable) : own.rank
    // a requested rank that is impossible is reported in its own words
    await orThrow(async () => targetsOf(source, { ...own, rank }))
    contenders.push({ name, method, select, rank, trainable: trainedAt(source, choice, rank) ?? 0 })
  }
  return contenders
}

/** A contender at one of its learning rates. */
export interface RatedContender extends Contender {
  readonly lr: number
}

/** The name of a contender, with its rate if it has several. */
export const titleOf = ({ name, lr }: Pick<RatedContender, 'name' | 'lr'>, sweeping: boolean): string =>
  sweeping ? `${name} at ${lr}` : name

/**
 * Every contender at each of its rates: those of a sweep, its method's own, the common one, or the optimizer's default.
 */
export const rated = (contenders: readonly Contender[], options: CompareOptions): readonly RatedContender[] => {
  const { lrs, lrOf, lr, optimizer = optimizerNames[0]! } = options
  return contenders.flatMap(contender =>
    (lrs ?? [lrOf?.[contender.method] ?? lr ?? optimizers[optimizer].lr]).map(rate => ({ ...contender, lr: rate })),
  )
}
