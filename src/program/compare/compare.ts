import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { checkStop, giveWay } from '../../backend/index.ts'
import { checkReplaceable, replaceFile, temporaryFolder } from '../../host/index.ts'
import { fail, orThrow } from '../../text/index.ts'
import { finetuneArguments, type Argument } from '../arguments.ts'
import { deviation, mean, median, type CompareRow, type Spread } from './table.ts'
import {
  choiceOf,
  contendersOf,
  rated,
  titleOf,
  type CompareOptions,
  type Contender,
  type RatedContender,
} from './contenders.ts'
import type { Explanation } from '../../compile/index.ts'
import type { Compared } from '../page/compare-page.ts'
import { explainMethod } from '../explain.ts'
import type { DoneEvent } from '../events.ts'
import type { StepEvent } from '../../train/finetune.ts'
import { methodOptions } from '../method.ts'
import { fittingData, openSource, readExamples, type Source } from '../source.ts'

/** The result of one run: one contender with one seed. */
export interface CompareRun {
  readonly event: 'run'
  readonly name: string
  /** The highest learning rate. */
  readonly lr: number
  readonly seed: number
  readonly lossBefore: number
  readonly loss: number
  /** The means of the model's metrics after the run, if it has some. */
  readonly metrics?: Readonly<Record<string, number>>
  readonly target: string
  /** The most bytes that the process held. */
  readonly peakMemory: number
  /** The median step time, without the first step, which compiles. */
  readonly stepSeconds: number
}

export type CompareEvent =
  | { readonly event: 'contenders'; readonly contenders: readonly Contender[] }
  | CompareRun
  | { readonly event: 'done'; readonly lossBefore: number; readonly rows: readonly CompareRow[] }

/** Runs the command line in a child process, which ends when this one is interrupted, and returns its output. */
export type RunCommand = (
  args: readonly Argument[],
) => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>

type Line = StepEvent | DoneEvent
/** The loss of each step of a run. */
type Curve = readonly number[]
/** The mean of curves at each step. */
const meanCurve = (curves: readonly Curve[]): Curve =>
  (curves[0] ?? []).map((_, step) => mean(curves.flatMap(curve => curve[step] ?? [])))

const ranOf = async (
  options: CompareOptions,
  contender: RatedContender,
  seed: number,
  out: string,
  run: RunCommand,
): Promise<{ readonly ran: CompareRun; readonly curve: Curve }> => {
  const { name, method, select, rank, lr } = contender
  const {
    model,
    data,
    eval: held,
    steps,
    epochs,
    batch,
    seq,
    accumulate,
    shuffle,
    optimizer,
    optimizerArgs,
    schedule,
    warmup,
    weightDecay,
    clip,
  } = options
  const { target, threads, precision, selectSteps, skipBroken, augment } = options
  const { code, stdout, stderr } = await run(
    finetuneArguments({
      ...choiceOf(options, method, select),
      ...(rank === null ? {} : { rank }),
      seed,
      selectSteps: select === 'gradient' ? selectSteps : undefined,
      model,
      data,
      eval: held,
      steps,
      epochs,
      batch,
      seq,
      accumulate,
      shuffle,
      optimizer,
      optimizerArgs,
      lr,
      schedule,
      warmup,
      weightDecay,
      clip,
      target,
      threads,
      precision,
      skipBroken,
      frozenStatistics: options.frozenStatistics,
      checkpointing: options.checkpointing,
      memory: options.memory,
      augment,
      out,
    }),
  )
  checkStop(options.signal)
  if (code !== 0) {
    const last = stderr
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^partensor: /, '')
    return orThrow(async () =>
      fail(
        `${titleOf(contender, options.lrs !== undefined)}, seed ${seed}: ${last === undefined || last === '' ? `it ended with code ${code}` : last}`,
      ),
    )
  }
  const lines = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Line)
  const done = lines.find(line => line.event === 'done')!
  const made = lines.flatMap(line => (line.event === 'step' ? [line] : []))
  const seconds = made.map(line => line.seconds)
  const ran: CompareRun = {
    event: 'run',
    name,
    lr,
    seed,
    lossBefore: done.evalLossBefore!,
    loss: done.evalLossAfter!,
    ...(done.evalMetricsAfter ? { metrics: done.evalMetricsAfter } : {}),
    peakMemory: done.peakMemory,
    target: done.target ?? '',
    stepSeconds: median(seconds.length > 1 ? seconds.slice(1) : seconds),
  }
  return { ran, curve: made.map(line => line.loss) }
}

/** The plan of a step of a contender, on its target. */
const planOf = async (
  source: Source,
  options: CompareOptions,
  { method, select, rank }: Contender,
  seq: number | undefined,
): Promise<Explanation> => {
  const { batch, target, precision = 'f32', checkpointing, memory } = options
  const settings = await orThrow(async () =>
    methodOptions(
      { ...choiceOf(options, method, select), ...(rank === null ? {} : { rank }) },
      source.checkpoint.architecture,
    ),
  )
  return explainMethod(source, settings, { batch, seq, target, precision, checkpointing, memory })
}

/** Mean and standard deviation of each metric over the runs. */
const metricsOf = (runs: readonly CompareRun[]): Pick<CompareRow, 'metrics'> => {
  const names = Object.keys(runs[0]?.metrics ?? {})
  const spread = (values: readonly number[]): Spread => ({ mean: mean(values), deviation: deviation(values) })
  const entries = names.map(name => [name, spread(runs.map(({ metrics }) => metrics![name]!))] as const)
  return names.length === 0 ? {} : { metrics: Object.fromEntries(entries) }
}

/** The row of a contender from its runs at one rate. */
const rowOf = (
  contender: RatedContender,
  runs: readonly CompareRun[],
  saved: Pick<CompareRow, 'savedBytesPerToken' | 'savedBytesPerImage'>,
): Omit<CompareRow, 'best'> => {
  const losses = runs.map(({ loss }) => loss)
  return {
    ...contender,
    loss: mean(losses),
    deviation: deviation(losses),
    losses,
    ...metricsOf(runs),
    ...saved,
    peakMemory: median(runs.map(({ peakMemory }) => peakMemory)),
    stepSeconds: median(runs.map(({ stepSeconds }) => stepSeconds)),
  }
}

/**
 * Compares methods on one data set: each with every seed, at each of its learning rates and with equally many trained
 * parameters, and each run in a process of its own, so that its peak memory can be measured. Errors are thrown with one
 * sentence.
 * @example for await (const event of compare(options, run)) report(event)
 */
export async function* compare(options: CompareOptions, run: RunCommand): AsyncGenerator<CompareEvent> {
  if (options.html !== undefined) await orThrow(checkReplaceable(options.html))
  const opened = await orThrow(openSource(options.model))
  try {
    await giveWay(options.signal)
    await using directory = await temporaryFolder(tmpdir())
    const { source } = await orThrow(fittingData(opened, options.data, options.seeds[0] ?? 0))
    const contenders = await contendersOf(source, options)
    const { examples } = await orThrow(readExamples(source, options.data, options))
    const { augment: _, ...held } = options
    await orThrow(readExamples(source, options.eval, held))
    const seq = examples.dims({ batch: options.batch, epochs: 1 })['seq']
    // a budget that one of them cannot meet is refused before any runs
    const plans: Explanation[] = []
    for (const contender of contenders) plans.push(await planOf(source, options, contender, seq))
    yield { event: 'contenders', contenders }
    const runs: CompareRun[] = []
    const curves: Curve[] = []
    // seed by seed, so that other load on the machine affects all contenders alike
    for (const seed of options.seeds) {
      for (const contender of rated(contenders, options)) {
        const { ran, curve } = await ranOf(options, contender, seed, join(directory.path, `${runs.length}`), run)
        runs.push(ran)
        curves.push(curve)
        yield ran
      }
    }
    const table: CompareRow[] = []
    const compared: Compared[] = []
    for (const [i, contender] of contenders.entries()) {
      const plan = plans[i]!
      const bytes = plan.saved / (options.batch * (seq ?? 1))
      const saved = examples.unit === 'images' ? { savedBytesPerImage: bytes } : { savedBytesPerToken: bytes }
      const own = rated([contender], options).map(at =>
        rowOf(
          at,
          runs.filter(({ name, lr }) => name === at.name && lr === at.lr),
          saved,
        ),
      )
      const least = Math.min(...own.map(({ loss }) => loss))
      const ofContender = own.map((row): CompareRow => ({ ...row, best: row.loss === least }))
      table.push(...ofContender)
      const row = ofContender.find(({ best }) => best)!
      const curve = meanCurve(curves.filter((_, k) => runs[k]!.name === row.name && runs[k]!.lr === row.lr))
      compared.push({ row, plan, curve })
    }
    const lossBefore = mean(runs.map(run => run.lossBefore))
    if (options.html !== undefined) {
      const { comparePage } = await import('../page/compare-page.ts')
      const sizes = `${options.batch}${seq === undefined ? '' : ` × ${seq}`} ${examples.unit}`
      const page = await comparePage(compared, { model: basename(options.model), sizes, lossBefore })
      await orThrow(replaceFile(options.html, page))
    }
    yield { event: 'done', lossBefore, rows: table }
  } finally {
    await opened.checkpoint.close()
  }
}
