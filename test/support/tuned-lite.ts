import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { adamw, adapt, compile, full, init, orThrow, trainStep, type TargetName, type Values } from '../../src/index.ts'
import { identity } from '../../src/compiler.ts'
import { saveModel } from '../../src/io/index.ts'
import {
  baseOf,
  classifierAdapter,
  openClassifier,
  type Classifier,
  type ClassifierOptions,
  type ImageBatch,
} from '../../src/model.ts'
import { parseConfig } from '../../src/model/index.ts'
import type { MethodChoice } from '../../src/program/method.ts'
import { formulaImages } from './formula.ts'
import { tuned } from './tuned-vit.ts'

/** A small EfficientNet on disk, with a method. */

export const liteSize = 32
/** Images of a formula, with labels of so many classes. */
export const liteBatch = (classes: number, batch = 4, size = liteSize): Values<ImageBatch> => ({
  images: formulaImages(batch, size),
  labels: {
    shape: ['batch'],
    sizes: [batch],
    dtype: 'i32',
    data: Int32Array.from({ length: batch }, (_, i) => i % classes),
  },
})

/** Writes a network of five classes with random weights, and with the statistics that they give for some images. */
export const savedLite = async (
  directory: string,
  name = 'tf_efficientnet_lite0',
  size = liteSize,
  steps = 40,
): Promise<string> => {
  const parsed = parseConfig(
    { architecture: name, image_size: size, num_classes: 5, drop_rate: 0, drop_path_rate: 0 },
    'config.json',
  )
  if (E.isLeft(parsed) || parsed.right.task !== 'images') assert.fail(name)
  const { architecture, config } = parsed.right
  const model = architecture.model(config)
  const step = trainStep(adapt(model, full({ targets: [] as readonly string[] })), identity)
  const weights = init.params(model, { seed: 16 })
  await using session = await compile(step, { target: 'wasm', threads: 1, weights, buffers: init.buffers(model) })
  for (let k = 0; k < steps; k++) await session.step(liteBatch(5, 4, size))
  const folder = join(directory, name)
  const state = { params: await session.params(), buffers: await session.buffers() }
  await orThrow(saveModel(folder, parsed.right, state))
  return folder
}

/** Logits of a classifier for images. */
export const liteLogits = async (
  { model, weights, buffers }: Pick<Classifier, 'model' | 'weights' | 'buffers'>,
  images: Values<ImageBatch>['images'],
  target: TargetName = 'wasm',
): Promise<Float32Array> => {
  await using session = await compile(model, { target, threads: 1, weights, buffers })
  return (await session.predict({ images })).logits.data
}

/** Steps of a method on a network in a directory, with a batch of a few images: its adapter, and its logits. */
export const trainedLite = async (
  directory: string,
  choice: MethodChoice,
  options: ClassifierOptions = {},
  {
    target = 'wasm',
    size = 4,
    steps = 2,
  }: { readonly target?: TargetName; readonly size?: number; readonly steps?: number } = {},
) => {
  const classifier = await orThrow(openClassifier(directory, options))
  const { checkpoint, weights, buffers } = classifier
  const batch = liteBatch(checkpoint.config.labels.length, size, checkpoint.config.image_size)
  const parts = tuned(classifier, choice)
  await using session = await compile(trainStep(parts.tuned, adamw({ lr: 1e-2 })), {
    target,
    threads: 1,
    weights,
    buffers,
  })
  const before = await session.predict({ images: batch.images })
  const base = await baseOf(parts, session)
  for (let i = 0; i < steps; i++) await session.step(batch)
  const adapter = await orThrow(classifierAdapter(classifier, parts, session, base))
  const { logits } = await session.predict({ images: batch.images })
  return { classifier, batch, adapter, parts, before: before.logits.data, logits: logits.data }
}
