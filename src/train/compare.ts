import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { ioError, isIoError, lengthFor, orThrow, type IoError, type Method } from '../io/index.ts'
import { finetuneArguments, type Argument } from './arguments.ts'
import { explainMethod } from './explain.ts'
import type { DoneEvent, FinetuneOptions } from './finetune.ts'
import type { StepEvent } from './loop.ts'
import { applicable, methodOptions, type MethodChoice, type Selection } from './method.ts'
import { openModel, readRowsFor, type PretrainedModel } from './source.ts'
import { parameterCounts, targetsOf, tuneLlama } from './tune.ts'

/** What `partensor compare` is asked: what finetune is, for several methods and seeds. */
export interface CompareOptions extends Omit<FinetuneOptions, 'method' | 'select' | 'seed' | 'out' | 'signal' | 'adapter' | 'saveOptimizer' | 'columns'> {
  readonly eval: string
  readonly methods: readonly Method[]
  /** Selections of columns, each a PaCA of its own. */
  readonly selects?: readonly Selection[] | undefined
  readonly seeds: readonly number[]
  /** Learning rates of some methods; `lr` is that of the others. */
  readonly lrOf?: Readonly<Record<string, number>> | undefined
}

/** One line of a comparison before it has run. */
export interface Contender {
  readonly name: string
  readonly method: Method
  readonly select: Selection | undefined
  readonly rank: number | null
  readonly trainable: number
}

/** What a run of one contender with one seed came to. */
export interface CompareRun {
  readonly event: 'run'
  readonly name: string
  readonly seed: number
  readonly lossBefore: number
  readonly loss: number
  /** Bytes that the process held at most. */
  readonly peakMemory: number
  /** The median step, without the first, which compiles. */
  readonly stepSeconds: number
}

/** One line of the table. */
export interface CompareRow extends Contender {
  /** Mean and standard deviation of the held-out loss over the seeds; one seed has no deviation. */
  readonly loss: number
  readonly deviation: number | null
  readonly losses: readonly number[]
  readonly savedBytesPerToken: number
  readonly peakMemory: number
  readonly stepSeconds: number
}

export type CompareEvent =
  | { readonly event: 'contenders'; readonly contenders: readonly Contender[] }
  | CompareRun
  | { readonly event: 'done'; readonly lossBefore: number; readonly rows: readonly CompareRow[] }

/** Runs the command line in a process of its own, and answers what it printed. */
export type RunCommand = (args: readonly Argument[]) => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>

const choiceOf = ({ methods: _, selects: __, seeds, lrOf: ___, ...options }: CompareOptions, method: Method, select?: Selection): MethodChoice =>
  applicable(method, { ...options, method, select, seed: seeds[0] ?? 0 })

/** The number of parameters that a method trains at a rank; undefined where the rank is too large. */
const trainedAt = (source: PretrainedModel, choice: MethodChoice, rank: number | undefined): number | undefined => {
  const method = methodOptions({ ...choice, rank })
  const targets = E.isRight(method) ? targetsOf(source, method.right) : method
  if (E.isLeft(method) || E.isLeft(targets)) return undefined
  const tuned = tuneLlama(source, method.right, {}, targets.right)
  return E.isRight(tuned) ? parameterCounts(tuned.right, source.checkpoint, targets.right.modules).trainable : undefined
}

/** The largest rank that is looked at. */
const highestRank = 4096

/** The rank at which a method trains as near as possible to so many parameters. What it trains grows with the rank. */
const rankFor = (source: PretrainedModel, choice: MethodChoice, trainable: number): number => {
  const count = (rank: number): number => trainedAt(source, choice, rank) ?? Infinity
  let least = 1, above = highestRank
  // the first rank that trains as many
  while (least < above) {
    const middle = Math.floor((least + above) / 2)
    if (count(middle) >= trainable) above = middle
    else least = middle + 1
  }
  return above > 1 && trainable - count(above - 1) <= count(above) - trainable ? above - 1 : above
}

/** The methods and selections that are compared, at as many trained parameters as the first has. */
const contendersOf = async (source: PretrainedModel, options: CompareOptions): Promise<readonly Contender[]> => {
  const selects = options.selects ?? []
  const named = [
    ...options.methods.filter(method => method !== 'paca' || selects.length === 0).map(method => ({ name: method as string, method, select: undefined })),
    ...selects.map(select => ({ name: `paca (${select})`, method: 'paca' as const, select })),
  ]
  const contenders: Contender[] = []
  for (const { name, method, select } of named) {
    const choice = choiceOf(options, method, select), first = contenders[0]
    if (method === 'full') {
      contenders.push({ name, method, select, rank: null, trainable: trainedAt(source, choice, undefined) ?? 0 })
      continue
    }
    const own = await orThrow(async () => methodOptions(choice)), rank = first ? rankFor(source, choice, first.trainable) : own.rank
    // a rank that is asked for says in its own words why it cannot be
    await orThrow(async () => targetsOf(source, { ...own, rank }))
    contenders.push({ name, method, select, rank, trainable: trainedAt(source, choice, rank) ?? 0 })
  }
  return contenders
}

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b), middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length
/** The standard deviation of a sample. */
const deviation = (numbers: readonly number[]): number | null =>
  (numbers.length < 2 ? null : Math.sqrt(numbers.reduce((sum, x) => sum + (x - mean(numbers)) ** 2, 0) / (numbers.length - 1)))

type Line = StepEvent | DoneEvent
interface Ran extends CompareRun { readonly target: string }

const runOf = async (options: CompareOptions, { name, method, select, rank }: Contender, seed: number, out: string, run: RunCommand): Promise<Ran> => {
  const choice = { ...choiceOf(options, method, select), ...(rank === null ? {} : { rank }), seed }
  const { model, data, eval: held, steps, epochs, batch, seq, accumulate, shuffle, lr, lrOf, schedule, warmup, weightDecay, clip, target, threads, precision, selectSteps } = options
  const { code, stdout, stderr } = await run(finetuneArguments({
    ...choice, model, data, eval: held, steps, epochs, batch, seq, accumulate, shuffle, lr: lrOf?.[method] ?? lr, schedule, warmup, weightDecay, clip, target, threads, precision,
    selectSteps: select === 'gradient' ? selectSteps : undefined, out,
  }))
  if (code !== 0) throw ioErrorToThrow(`${name}, seed ${seed}: ${stderr.trim().split('\n').at(-1)?.replace(/^partensor: /, '') ?? `it ended with code ${code}`}`)
  const lines = stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Line)
  const done = lines.find(line => line.event === 'done')!, seconds = lines.flatMap(line => (line.event === 'step' ? [line.seconds] : []))
  return {
    event: 'run', name, seed, lossBefore: done.evalLossBefore!, loss: done.evalLossAfter!, peakMemory: done.peakMemory, target: done.target,
    stepSeconds: median(seconds.length > 1 ? seconds.slice(1) : seconds),
  }
}

const ioErrorToThrow = (message: string): Error & IoError => Object.assign(new Error(message), ioError(message))

/**
 * Compares methods on one data set: each with every seed, at equal trained parameters, each run in a process of its own, so that its peak
 * memory is its own. Errors are thrown with one sentence.
 * @example for await (const event of compare(options, run)) report(event)
 */
export async function* compare(options: CompareOptions, run: RunCommand): AsyncGenerator<CompareEvent> {
  const source = await orThrow(openModel(options.model)), directory = await mkdtemp(join(tmpdir(), 'partensor-compare-'))
  try {
    const contenders = await contendersOf(source, options), seq = lengthFor((await orThrow(readRowsFor(source, options.data, options.seq))).rows)
    await orThrow(readRowsFor(source, options.eval, options.seq))
    yield { event: 'contenders', contenders }
    const rows: CompareRow[] = [], runs: Ran[] = []
    // seed by seed, so that whatever else the machine does falls on all alike
    for (const seed of options.seeds) {
      for (const contender of contenders) {
        const { target, ...ran } = await runOf(options, contender, seed, join(directory, `${runs.length}`), run)
        runs.push({ ...ran, target })
        yield ran
      }
    }
    for (const contender of contenders) {
      const { name, method, select, rank } = contender, own = runs.filter(ran => ran.name === name), losses = own.map(({ loss }) => loss)
      const settings = await orThrow(async () => methodOptions({ ...choiceOf(options, method, select), ...(rank === null ? {} : { rank }) }))
      const { saved } = await explainMethod(source, settings, {
        batch: options.batch, seq, target: own[0]!.target.startsWith('TensorFlow graph') ? 'graph' : 'wasm', ...(options.precision ? { precision: options.precision } : {}),
      })
      rows.push({
        ...contender, loss: mean(losses), deviation: deviation(losses), losses, savedBytesPerToken: saved / (options.batch * seq),
        peakMemory: median(own.map(({ peakMemory }) => peakMemory)), stepSeconds: median(own.map(({ stepSeconds }) => stepSeconds)),
      })
    }
    yield { event: 'done', lossBefore: mean(runs.map(({ lossBefore }) => lossBefore)), rows }
  } catch (error) {
    throw isIoError(error) && !(error instanceof Error) ? ioErrorToThrow(error.message) : error
  } finally {
    await source.checkpoint.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** The table of a comparison, one line a contender. */
export const comparisonTable = (rows: readonly CompareRow[]): string => {
  const cells = rows.map(row => [
    row.name, row.rank === null ? '' : String(row.rank), row.trainable.toLocaleString('en'), `${row.loss.toFixed(4)}${row.deviation === null ? '' : ` ± ${row.deviation.toFixed(4)}`}`,
    row.savedBytesPerToken.toLocaleString('en', { maximumFractionDigits: 0 }), `${(row.peakMemory / 1e6).toFixed(0)} MB`, `${row.stepSeconds.toFixed(row.stepSeconds < 1 ? 3 : 2)} s`,
  ])
  const all = [['method', 'rank', 'trained', 'held-out loss', 'saved bytes a token', 'peak memory', 'a step'], ...cells]
  const widths = all[0]!.map((_, column) => Math.max(...all.map(line => line[column]!.length)))
  return all.map(line => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ').trimEnd()).join('\n')
}
