import * as E from 'fp-ts/lib/Either.js'
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tasks } from '../child.ts'
import { commandOf, measured, type Outcome } from '../measure.ts'
import type { Measurement, Span } from '../measurement.ts'
import { writeParts, type Parts } from './data.ts'
import type { DigitsPeer } from './peer.ts'
import type { Recording } from './recording.ts'
import { bestOf, type Score } from './results.ts'
import { adaptedBy, lite0Side, models, rates, weightDecay, type DigitsMethod, type DigitsModel } from './settings.ts'

/** The extent of a run. */
export interface Plan {
  /** Where images and models are kept. */
  readonly folder: string
  readonly parts: Parts
  readonly models: readonly DigitsModel[]
  readonly methods: readonly DigitsMethod[]
  /** The steps that pretrain the ViT, of two batches each. */
  readonly pretraining: number
  readonly steps: number
  readonly batch: number
  readonly seeds: readonly number[]
  /** False if the first of the learning rates is taken. */
  readonly searches: boolean
  readonly span: Span
  readonly say: (text: string) => void
}

/** The seed of the search, which no run of the table has. */
const searchSeed = 100

const orFail = (what: string, outcome: Outcome): Measurement => {
  if (E.isLeft(outcome)) throw new Error(`${what}: ${outcome.left}`)
  return outcome.right
}
/** A measurement of one of our tasks, in a process of its own, so that its memory is its own. */
const run = async <K extends keyof Tasks>(task: K, options: Tasks[K]): Promise<Measurement> =>
  orFail(task, await measured(commandOf(task, options)))

const part = ({ folder }: Plan, name: keyof Parts): string => join(folder, 'images', name)
const directoryOf = ({ folder }: Plan, model: DigitsModel): string => join(folder, model)
const only = <T extends { readonly model: DigitsModel; readonly method: DigitsMethod }>(
  all: readonly T[],
  model: DigitsModel,
  method: DigitsMethod,
): readonly T[] => all.filter(one => one.model === model && one.method === method)

/** Makes a directory under another name, and then gives it its own, unless it is there. */
const once = async (directory: string, make: (unfinished: string) => Promise<unknown>): Promise<void> => {
  if (existsSync(directory)) return
  const unfinished = `${directory}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await make(unfinished)
  await rename(unfinished, directory)
}

/** Writes the images, and gets the pretrained models: one is downloaded, the other is pretrained here. */
export const prepare = async (plan: Plan, peer: DigitsPeer): Promise<void> => {
  const makers: Readonly<Record<DigitsModel, (directory: string) => Promise<unknown>>> = {
    lite0: directory => peer.lite0(directory, lite0Side),
    vit: async directory => {
      const training = { train: part(plan, 'pretraining'), batch: 2 * plan.batch, steps: plan.pretraining }
      const { facts } = await run('digits-pretrain', { ...training, out: directory, learningRate: 1e-3, seed: 0 })
      plan.say(`  the loss of the last steps is ${Number(facts['loss']).toFixed(3)}`)
    },
  }
  plan.say('images of digits')
  await writeParts(plan.parts, join(plan.folder, 'images'))
  for (const model of plan.models) {
    plan.say(`${models[model].title}, pretrained`)
    await once(directoryOf(plan, model), makers[model])
  }
}

const scoreOf = ({ facts }: Measurement): Score => ({
  accuracy: Number(facts['accuracy']),
  loss: Number(facts['loss']),
})

/**
 * Chooses the learning rate of each method on the validation digits, and then fine-tunes with each seed and scores on
 * the test digits.
 */
export const scoreMethods = async (plan: Plan, results: Recording): Promise<void> => {
  const train = part(plan, 'training')
  const each = async (model: DigitsModel, method: DigitsMethod): Promise<void> => {
    const tune = (seed: number, learningRate: number, on: keyof Parts): Promise<Measurement> => {
      plan.say(`${models[model].title}, ${method}, learning rate ${learningRate}, seed ${seed}, scored on ${on}`)
      const directory = directoryOf(plan, model)
      const training = { train, batch: plan.batch, steps: plan.steps }
      const task = { ...training, model, directory, method, seed, learningRate, evaluate: part(plan, on) }
      return run('digits-tune', task)
    }
    const tried = () => only(results.now().tried, model, method)
    for (const rate of plan.searches ? rates[method].filter(one => !tried().some(before => before.rate === one)) : [])
      await results.add({ tried: [{ model, method, rate, ...scoreOf(await tune(searchSeed, rate, 'validation')) }] })
    const rate = bestOf(tried())?.rate ?? rates[method][0]
    const done = new Set(only(results.now().runs, model, method).map(({ seed }) => seed))
    for (const seed of plan.seeds.filter(one => !done.has(one))) {
      const found = await tune(seed, rate, 'test')
      const trained = Number(found.facts['trained'])
      await results.add({ runs: [{ model, method, rate, seed, trained, ...scoreOf(found) }] })
    }
  }
  for (const model of plan.models) for (const method of plan.methods) await each(model, method)
}

/** The largest difference of first losses, relative, that float32 explains: both compute the same. */
const tolerance = 1e-3

/** Times steps of ours and of PyTorch, one after the other, from the same weights and on the same batch. */
export const timeMethods = async (plan: Plan, peer: DigitsPeer, results: Recording): Promise<void> => {
  for (const model of plan.models) {
    const directory = join(plan.folder, `${model}-start`)
    const batchName = 'batch.safetensors'
    const train = part(plan, 'training')
    await once(directory, out =>
      run('digits-start', { directory: directoryOf(plan, model), train, batch: plan.batch, out, batchName }),
    )
    for (const method of plan.methods) {
      const common = {
        directory,
        method,
        file: join(directory, batchName),
        learningRate: rates[method][0],
        span: plan.span,
      }
      const theirs = { ...common, weightDecay, ...adaptedBy(model, method) }
      const measures = {
        partensor: () => run('digits-step', { model, ...common }),
        PyTorch: async () => orFail('PyTorch', await measured(peer.step(theirs))),
      }
      for (const by of ['partensor', 'PyTorch'] as const) {
        const before = only(results.now().timed, model, method)
        if (before.some(one => one.by === by)) continue
        plan.say(`${models[model].title}, ${method}, steps: ${by}`)
        const { times, peakMegabytes, facts } = await measures[by]()
        const [firstLoss, trained] = [Number(facts['firstLoss']), Number(facts['trained'])]
        const other = before.find(one => Math.abs(firstLoss / one.firstLoss - 1) > tolerance)
        if (other) throw new Error(`${by}: the first loss is ${firstLoss}, and ${other.firstLoss} by ${other.by}`)
        await results.add({ timed: [{ model, method, by, times, peakMegabytes, firstLoss, trained }] })
      }
    }
  }
}
