import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { adamw, compile, orThrow, trainStep, type TargetName, type Values } from '../../src/index.ts'
import { baseOf, classifierAdapter, openClassifier, tuneClassifier } from '../../src/model.ts'
import type { Classifier, ImageBatch } from '../../src/model.ts'
import type { MethodChoice } from '../../src/program/method.ts'
import { batchOf, goldenViT, readTensors } from './images.ts'

/** The golden images, labels, logits and gradients. */
export const viTNumbers = () => readTensors(join(goldenViT, 'reference.safetensors'))

export const tuned = (classifier: Classifier, choice: MethodChoice) => {
  const made = tuneClassifier(classifier, choice)
  if (E.isLeft(made)) assert.fail(made.left.message)
  return made.right
}

/** Logits of a classifier as it was opened. */
export const logitsOf = async (
  { model, weights }: Pick<Classifier, 'model' | 'weights'>,
  batch: Values<ImageBatch>,
): Promise<Float32Array> => {
  await using session = await compile(model, { target: 'reference', weights })
  return (await session.predict(batch)).logits.data
}

/** Three steps of the golden ViT on the golden batch, for other classes if they are named: the adapter and the logits. */
export const trainedViT = async (
  choice: MethodChoice,
  labels?: readonly string[],
  target: TargetName = 'reference',
) => {
  const classifier = await orThrow(openClassifier(goldenViT, labels ? { labels } : {}))
  const batch = batchOf(classifier.model, await viTNumbers())
  const classes = classifier.checkpoint.config.labels.length
  const fitting = { ...batch, labels: { ...batch.labels, data: batch.labels.data.map(label => label % classes) } }
  const parts = tuned(classifier, choice)
  await using session = await compile(trainStep(parts.tuned, adamw({ lr: 1e-2 })), {
    target,
    threads: 1,
    weights: classifier.weights,
  })
  const base = await baseOf(parts, session)
  const losses: number[] = []
  for (let i = 0; i < 3; i++) losses.push((await session.step(fitting)).loss)
  losses.push((await session.evaluate(fitting)).loss)
  const adapter = await orThrow(classifierAdapter(classifier, parts, session, base))
  const { logits } = await session.predict(fitting)
  return { classifier, batch: fitting, adapter, logits: logits.data, losses }
}
