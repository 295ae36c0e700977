import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adapt, full, orThrow, paca, type TargetName } from '../../src/index.ts'
import { verify, type ConvergenceCertificate } from '../../src/verify.ts'
import type { VerifyModelEvent } from '../../src/cli.ts'
import { llamaArchitecture } from '../../src/model/index.ts'
import { verifyModel } from '../../src/program/verify.ts'
import { definitionMessages, splitBySeed, wordnetNouns } from '../../examples/wordnet.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { cachedSmolLM2, randomBatch, subject, type SubjectName } from '../subject.ts'

export interface DescentOptions {
  readonly model: SubjectName
  readonly target: TargetName
  readonly rows: number
  /** Tokens of a row at most. */
  readonly seq: number
  readonly steps: number
  readonly iterations: number
  /** The rate of every step (default: half of 1/L at the first weights). */
  readonly lr?: number
}

type Hear = (event: VerifyModelEvent) => void

/** Random weights of the LLaMA shapes, random tokens. */
const ofFourLayers = async (
  { model: name, target, rows, seq, steps, iterations, lr }: DescentOptions,
  onEvent: Hear,
): Promise<ConvergenceCertificate> => {
  const { model, vocab, weights } = await subject(name)
  const everything: readonly string[] = ['all']
  return verify({
    tuned: adapt(model, paca({ targets: llamaArchitecture.targets, rank: 8, seed: 0 })),
    beside: { name: 'all weights', tuned: adapt(model, full({ targets: everything })) },
    weights,
    batches: [randomBatch(vocab, rows, seq)],
    steps,
    iterations,
    target,
    lowest: 0,
    onEvent,
    ...(lr === undefined ? {} : { lr }),
    about: { model: name, targets: llamaArchitecture.targets, rank: 8, seq },
  })
}

/** The real checkpoint, WordNet's glosses as conversations. */
const ofSmolLM2 = async (
  file: string,
  { target, rows, seq, steps, iterations, lr }: DescentOptions,
  onEvent: Hear,
): Promise<ConvergenceCertificate> => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-descent-'))
  const data = join(directory, 'rows.jsonl')
  try {
    const { train } = splitBySeed(await orThrow(wordnetNouns()), { seed: 0, heldOut: 1, train: rows })
    await writeFile(data, train.map(of => `${JSON.stringify({ messages: definitionMessages(of) })}\n`).join(''))
    return await verifyModel(
      {
        model: file,
        data,
        rows,
        batch: rows,
        seq,
        steps,
        iterations,
        lr,
        target,
        method: 'paca',
        rank: 8,
        seed: 0,
        optimizer: 'sgd',
        weightDecay: 0,
        clip: 0,
        proof: 'prefer',
        allWeights: true,
      },
      onEvent,
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * Gradient descent inside PaCA's columns compared with Theorem 1; the curvature there, and that of all weights.
 * Milliseconds are those from step to step, estimates included.
 */
export const followDescent = async (options: DescentOptions): Promise<Measurement> => {
  const at: number[] = []
  const onEvent: Hear = ({ event }) => {
    if (event === 'step') at.push(performance.now())
  }
  const file = options.model === 'SmolLM2' ? cachedSmolLM2() : undefined
  const {
    curvature,
    masks,
    optimizer,
    summary,
    subject: of,
  } = await (file === undefined ? ofFourLayers(options, onEvent) : ofSmolLM2(file, options, onEvent))
  const [part] = masks!.parts
  return measurement(
    at.slice(1).map((time, i) => time - at[i]!),
    {
      weights: file === undefined ? 'random' : 'checkpoint',
      target: of.target,
      trained: of.trained,
      allTrained: masks!.all.trained,
      partCurvature: part!.curvature.value,
      partChange: part!.curvature.change,
      allCurvature: masks!.all.curvature.value,
      allChange: masks!.all.curvature.change,
      largestCurvature: curvature.value,
      rate: optimizer.lr,
      steps: summary.steps,
      descended: summary.descended,
      ascended: summary.ascended,
      violations: summary.violations,
      withinRounding: summary.withinRounding,
      leastSlack: summary.leastSlack,
      largestNeeded: summary.largestNeeded ?? 0,
      rateTimesCurvature: summary.rateTimesCurvature,
      leastSquaredGradient: summary.leastSquaredGradient,
      gradientBound: summary.gradientBound ?? Number.MAX_VALUE,
    },
  )
}
