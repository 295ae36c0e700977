import {
  bodyOf,
  hashName,
  is,
  isTrainingStream,
  topological,
  trainingKey,
  whenTrainingOp,
  type Block,
  type Node,
} from '../tensor/index.ts'
import type { Addition, RandomSource, Tuned } from '../tune/index.ts'
import { declaredOf, lossOrNothing } from './declared.ts'

/** A key that a session feeds with every batch: its path among the leaves of a batch, and its seed. */
export interface FedKey {
  readonly path: string
  readonly key: Node
  readonly seed: number
}

/** The streams of what expressions drop out during training, by path. */
export type Streams = readonly (readonly [path: string, stream: Node])[]

/**
 * Finds the streams of what expressions drop out during training. Their paths follow from their places in the
 * expressions. A stream that calls of one block pass on has the number of the call in its path, so that those of all
 * layers are one family, as their weights are.
 */
export const trainingStreams = (roots: readonly Node[]): Streams => {
  const found = new Map<Node, string>()
  const blocks = new Map<Block, { readonly number: number; calls: number }>()
  const order = topological(roots)
  for (const n of order) {
    const block = bodyOf(n)
    if (block === undefined) continue
    const known = blocks.get(block) ?? { number: blocks.size, calls: 0 }
    n.inputs.forEach((input, i) => {
      if (isTrainingStream(input) && !found.has(input)) found.set(input, `dropout.${known.calls}.${known.number}_${i}`)
    })
    known.calls += 1
    blocks.set(block, known)
  }
  const alone = order.filter(n => isTrainingStream(n) && !found.has(n))
  return [...found, ...alone.map((n, i) => [n, `dropout_${i}`] as const)].map(([n, path]) => [path, n])
}

/** The path of the key of what a model itself drops out. */
const trainingKeyPath = 'dropout_key'
/** The path of a method's random key among the leaves of a batch. */
const randomKeyPath = 'random_key'

/** The keys that a step draws with: that of its method, and that of what its model drops out. */
export const fedKeys = (
  random: RandomSource | undefined,
  streams: Streams,
  seed: number | undefined,
): readonly FedKey[] => [
  ...(random ? [{ path: randomKeyPath, key: random.key, seed: random.seed }] : []),
  ...(streams.length > 0 ? [{ path: trainingKeyPath, key: trainingKey, seed: seed ?? random?.seed ?? 0 }] : []),
]

/** The numbers of streams, which are leaves that a session holds. */
export const streamNumbers = (streams: Streams): Addition => ({
  leaves: streams.map(([, stream]) => stream),
  make: () =>
    streams.map(([path, { shape }]) => ({ shape, sizes: [1], dtype: 'i32', data: Int32Array.of(hashName(path)) })),
})

/**
 * The words for what draws random numbers in a training step, if anything does: the method, or the model itself.
 * @example drawsAtRandom(adapt(model, lora({ targets: ['q_proj'], rank: 8, dropout: 0.1, seed: 0 }))) // 'lora'
 */
export const drawsAtRandom = <P, Q, M, B, O, K extends string>(tuned: Tuned<P, Q, M, B, O, K>): string | undefined => {
  if (tuned.random !== undefined) return tuned.method
  const { sum, count } = lossOrNothing(declaredOf(tuned))
  return trainingStreams([sum, count]).length > 0 ? 'the model' : undefined
}

const choosesByTraining = (roots: readonly Node[]): boolean =>
  topological(roots).some(n => is(n, whenTrainingOp) || choosesByTraining(bodyOf(n)?.outputs ?? []))

/**
 * The reason why the loss of a training step is not one function of what is trained, which an evaluation computes too,
 * if there is one: the model has buffers, or takes something else in training.
 * @example variesInTraining(adapt(model({ …, buffers: { count: i32() } }), full({ targets: ['all'] }))) // 'the model has buffers, …'
 */
export const variesInTraining = <P, Q, M, B, O, K extends string>(
  tuned: Tuned<P, Q, M, B, O, K>,
): string | undefined => {
  if (tuned.model.buffers !== undefined) return 'the model has buffers, which change from step to step'
  const { sum, count } = lossOrNothing(declaredOf(tuned))
  return choosesByTraining([sum, count]) ? 'the model computes something else in training: nn.whenTraining' : undefined
}
