import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isValue, leaves, methods, type MethodArguments } from '../../src/compiler.ts'
import {
  adamw,
  adapt,
  alsoTraining,
  compile,
  full,
  init,
  orThrow,
  schedule,
  trainStep,
  type Method,
  type Opaque,
} from '../../src/index.ts'
import {
  imageBatches,
  load,
  readLabelled,
  readPreprocessing,
  save,
  saveModel,
  transformersPreprocessing,
} from '../../src/io.ts'
import { openClassifier, parseConfig, type Classifier } from '../../src/model.ts'
import { classes, side } from '../digits/data.ts'
import { headModule, models, weightDecay, type DigitsMethod, type DigitsModel } from '../digits/settings.ts'
import { elapsed, measurement, repeated, type Measurement, type Span } from '../measurement.ts'

/** Steps of training on a folder of labelled images. */
interface Training {
  readonly train: string
  readonly batch: number
  readonly steps: number
  readonly learningRate: number
  readonly seed: number
}

/** The rate rises in a tenth of the steps, and falls to 0 by a cosine. */
const optimizerOf = ({ learningRate, steps }: Training) =>
  adamw({
    lr: schedule.runSchedule({ schedule: 'cosine', lr: learningRate, warmup: Math.floor(steps / 10), steps }),
    weightDecay,
  })

type Batches = ReturnType<typeof imageBatches>
type Batch = Batches extends AsyncIterable<infer B> ? B : never

/** Milliseconds of each step of a training; images are decoded before and beside the steps, which are all that is timed. */
const trained = async (
  { train, batch: size, steps, seed }: Training,
  preprocessing: Parameters<typeof imageBatches>[1],
  step: (batch: Batch) => Promise<unknown>,
): Promise<readonly number[]> => {
  const { images } = await orThrow(readLabelled(train))
  const epochs = Math.ceil(steps / Math.floor(images.length / size))
  const times: number[] = []
  for await (const batch of imageBatches(images, preprocessing, { size, shuffle: seed, dropLast: true, epochs })) {
    if (times.length === steps) break
    times.push(await elapsed(() => step(batch)))
  }
  return times
}

/** A small vision transformer: 4 × 4 patches of 7 × 7 pixels. */
const viTConfig = {
  model_type: 'vit',
  image_size: side,
  patch_size: 7,
  hidden_size: 128,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  intermediate_size: 512,
}

/** Pretrains a ViT from random weights on a labelled folder, and saves it as transformers does. */
export const pretrainViT = async ({ out, ...training }: Training & { readonly out: string }): Promise<Measurement> => {
  const { classes: labels } = await orThrow(readLabelled(training.train))
  const id2label = Object.fromEntries(labels.map((name, i) => [i, name]))
  const description = await orThrow(async () => parseConfig({ ...viTConfig, id2label }, 'config.json'))
  if (description.task !== 'images') throw new Error('a ViT classifies images')
  const model = description.architecture.model(description.config)
  const weights = init.params(model, { seed: training.seed })
  await using session = await compile(trainStep(model, optimizerOf(training)), { target: 'graph', weights })
  const processor = { image_processor_type: 'ViTImageProcessor', size: side }
  const file = join(out, 'preprocessor_config.json')
  const preprocessing = await orThrow(async () => transformersPreprocessing(file, processor))
  const losses: number[] = []
  const times = await trained(training, preprocessing, async batch => {
    losses.push((await session.step(batch)).loss)
  })
  await orThrow(saveModel(out, description, { params: await session.params() }))
  await writeFile(file, `${JSON.stringify(processor)}\n`)
  const last = losses.slice(-Math.ceil(losses.length / 20))
  return measurement(times, { loss: last.reduce((sum, loss) => sum + loss, 0) / last.length })
}

/** A method on a classifier, with its head trained whole. */
const tunedBy = (classifier: Classifier, name: DigitsModel, method: DigitsMethod, seed: number) => {
  const { model } = classifier
  if (method === 'full') return adapt(model, full({ targets: ['all'] as readonly string[] }))
  if (method === 'head') return adapt(model, alsoTraining([headModule])(full({ targets: [] as readonly string[] })))
  // the targets of both are only known at run time
  const { make }: { readonly make: (options: MethodArguments) => Method<Opaque> } = methods[method]
  return adapt(model, alsoTraining([headModule])(make({ ...models[name].adapted[method], seed })))
}

/** The numbers that a session trains. */
const trainedIn = async (session: { readonly read: () => Promise<{ readonly focus: unknown }> }): Promise<number> =>
  leaves((await session.read()).focus, isValue).reduce((sum, [, { data }]) => sum + data.length, 0)

export interface DigitsRun {
  readonly model: DigitsModel
  readonly directory: string
  readonly method: DigitsMethod
}

/** Fine-tunes a pretrained classifier to tell digits, on graph; accuracy and loss are those of a folder it never saw. */
export const fineTuneDigits = async ({
  model,
  directory,
  method,
  evaluate,
  ...training
}: DigitsRun & Training & { readonly evaluate: string }): Promise<Measurement> => {
  const classifier = await orThrow(openClassifier(directory, { labels: classes, seed: training.seed }))
  const { weights, buffers, checkpoint } = classifier
  const tuned = tunedBy(classifier, model, method, training.seed)
  await using session = await compile(trainStep(tuned, optimizerOf(training)), {
    target: 'graph',
    weights,
    buffers,
    // so few steps do not pay for kernels that XLA compiles
    compiler: { without: ['xla'] },
  })
  await checkpoint.close()
  const preprocessing = await orThrow(readPreprocessing(directory))
  const times = await trained(training, preprocessing, batch => session.step(batch))
  const { images } = await orThrow(readLabelled(evaluate, { classes }))
  const { loss, metrics } = await session.evaluate(imageBatches(images, preprocessing, { size: 250 }))
  return measurement(times, { trained: await trainedIn(session), loss, accuracy: metrics.top1 })
}

/** Saves a classifier with its new head, and beside it a first batch, so that a peer starts where we start. */
export const startDigits = async ({
  directory,
  train,
  batch: size,
  out,
  batchName,
}: Pick<DigitsRun, 'directory'> &
  Pick<Training, 'train' | 'batch'> & { readonly out: string; readonly batchName: string }): Promise<Measurement> => {
  const { model, weights, buffers, checkpoint } = await orThrow(openClassifier(directory, { labels: classes }))
  await using session = await compile(model, { target: 'graph', weights, buffers })
  await orThrow(saveModel(out, checkpoint, { params: await session.params(), buffers: await session.buffers() }))
  await checkpoint.close()
  const preprocessing = await orThrow(readPreprocessing(directory))
  const { images } = await orThrow(readLabelled(train, { classes }))
  for await (const batch of imageBatches(images, preprocessing, { size, shuffle: 0 })) {
    await save(join(out, batchName), { ...batch })
    break
  }
  return measurement([])
}

/** Milliseconds of fine-tuning steps on the batch of a file, with the learning rate that stays as it is. */
export const timeDigits = async ({
  model,
  directory,
  method,
  file,
  learningRate,
  span,
}: DigitsRun & {
  readonly file: string
  readonly learningRate: number
  readonly span: Span
}): Promise<Measurement> => {
  const since = performance.now()
  const classifier = await orThrow(openClassifier(directory))
  const { weights, buffers, checkpoint } = classifier
  const tuned = tunedBy(classifier, model, method, 0)
  const step = trainStep(tuned, adamw({ lr: learningRate, weightDecay }))
  await using session = await compile(step, { target: 'graph', weights, buffers })
  await checkpoint.close()
  const batch = await load(file, classifier.model.batch)
  const found = await repeated(async () => (await session.step(batch)).loss, span, since)
  return { ...found, facts: { ...found.facts, trained: await trainedIn(session), target: session.target } }
}
