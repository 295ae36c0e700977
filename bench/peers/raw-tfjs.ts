import * as tf from '@tensorflow/tfjs-core'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { fourLayers } from '../shapes.ts'
import { startTfjs } from './tfjs.ts'

export interface RawTfjsOptions {
  readonly method: 'lora' | 'full'
  readonly batch: number
  readonly seq: number
  readonly warmUp: number
  readonly steps: number
}

/** One projection: its weight, and LoRA's additions to it. */
interface Projection {
  readonly weight: tf.Tensor2D
  readonly down?: tf.Tensor2D
  readonly up?: tf.Tensor2D
}

const rank = 8
const scale = 2

/**
 * The same step as a user of TensorFlow.js writes it today: public ops, its own tape, `optimizer.minimize`; one thread,
 * for that is how its wasm backend runs under Node. The embedding stays as it is for `full` too: the gradient of its
 * gather has no wasm kernel.
 */
export const rawTfjs = async ({ method, batch, seq, warmUp, steps }: RawTfjsOptions): Promise<Measurement> => {
  await startTfjs()
  const { hidden_size: hidden, intermediate_size: ffn, head_dim: headDim, vocab_size: vocab } = fourLayers
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = fourLayers
  const variables: tf.Variable[] = []
  const trained = <T extends tf.Tensor>(initial: T): T => {
    const made = tf.variable(initial)
    variables.push(made)
    return made as tf.Tensor as T // a variable is a tensor of the rank it starts with
  }
  const normal = (rows: number, columns: number): tf.Tensor2D => tf.randomNormal([rows, columns], 0, 0.02)
  const projection = (input: number, output: number): Projection =>
    method === 'full'
      ? { weight: trained(normal(input, output)) }
      : {
          weight: normal(input, output),
          down: trained(normal(input, rank)),
          up: trained<tf.Tensor2D>(tf.zeros([rank, output])),
        }
  const layers = Array.from({ length: fourLayers.num_hidden_layers }, () => ({
    q: projection(hidden, heads * headDim),
    k: projection(hidden, kvHeads * headDim),
    v: projection(hidden, kvHeads * headDim),
    o: projection(heads * headDim, hidden),
    gate: projection(hidden, ffn),
    up: projection(hidden, ffn),
    down: projection(ffn, hidden),
  }))
  const embedding = normal(vocab, hidden)

  const linear = (x: tf.Tensor2D, { weight, down, up }: Projection): tf.Tensor2D => {
    const base: tf.Tensor2D = tf.matMul(x, weight)
    return down && up ? tf.add(base, tf.mul(scale, tf.matMul(tf.matMul(x, down), up))) : base
  }
  const norm = (x: tf.Tensor2D): tf.Tensor2D => tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5)))
  const angles = tf.tensor2d(
    Float32Array.from(
      { length: seq * headDim },
      (_, i) => Math.floor(i / headDim) * fourLayers.rope_theta ** ((-2 * (i % (headDim / 2))) / headDim),
    ),
    [seq, headDim],
  )
  const [cos, sin] = [tf.cos(angles), tf.sin(angles)]
  const mask = tf.mul(tf.sub(tf.linalg.bandPart(tf.ones([seq, seq]), -1, 0), 1), 1e9)
  const rope = (x: tf.Tensor4D): tf.Tensor4D => {
    const [first, second] = tf.split(x, 2, 3) as [tf.Tensor4D, tf.Tensor4D]
    return tf.add(tf.mul(x, cos), tf.mul(tf.concat([tf.neg(second), first], 3), sin))
  }
  const split = (x: tf.Tensor2D, n: number): tf.Tensor4D =>
    tf.transpose(tf.reshape(x, [batch, seq, n, headDim]), [0, 2, 1, 3])
  const repeated = (x: tf.Tensor4D): tf.Tensor4D =>
    tf.concat(
      Array.from({ length: heads }, (_, i) =>
        tf.slice(x, [0, Math.floor((i * kvHeads) / heads), 0, 0], [batch, 1, seq, headDim]),
      ),
      1,
    )

  const ids = tf.randomUniform<tf.Rank.R1>([batch * seq], 0, vocab, 'int32')
  const targets = tf.randomUniform<tf.Rank.R1>([batch * seq], 0, vocab, 'int32')
  const loss = (): tf.Scalar =>
    tf.tidy(() => {
      const x = layers.reduce<tf.Tensor2D>(
        (input, layer) => {
          const h = norm(input)
          const q = rope(split(linear(h, layer.q), heads))
          const k = repeated(rope(split(linear(h, layer.k), kvHeads)))
          const v = repeated(split(linear(h, layer.v), kvHeads))
          const attention = tf.softmax(tf.add(tf.mul(tf.matMul(q, k, false, true), headDim ** -0.5), mask))
          const mixed = tf.reshape(tf.transpose(tf.matMul(attention as tf.Tensor4D, v), [0, 2, 1, 3]), [
            batch * seq,
            hidden,
          ]) as tf.Tensor2D
          const between = tf.add(input, linear(mixed, layer.o)) as tf.Tensor2D
          const n = norm(between)
          const gate = linear(n, layer.gate)
          return tf.add(between, linear(tf.mul(tf.mul(gate, tf.sigmoid(gate)), linear(n, layer.up)), layer.down))
        },
        tf.gather(embedding, ids) as tf.Tensor2D,
      )
      const logits = tf.matMul(norm(x), embedding, false, true)
      return tf.neg(tf.mean(tf.sum(tf.mul(tf.oneHot(targets, vocab), tf.logSoftmax(logits)), -1)))
    })
  const optimizer = tf.train.adam(1e-4)
  const step = async (): Promise<void> => {
    const cost = optimizer.minimize(loss, true, variables)!
    await cost.data()
    cost.dispose()
  }
  for (let i = 0; i < warmUp; i++) await step()
  const times: number[] = []
  for (let i = 0; i < steps; i++) times.push(await elapsed(step))
  return measurement(times, { tensors: tf.memory().numTensors })
}
