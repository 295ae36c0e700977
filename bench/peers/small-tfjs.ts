import * as tf from '@tensorflow/tfjs-core'
import type { AnyValue } from '../../src/index.ts'
import { load } from '../../src/io.ts'
import { isValue, mapTree } from '../../src/compiler.ts'
import { openNative } from '../../src/backend/native/load.ts'
import { repeated, type Measurement, type Span } from '../measurement.ts'
import { learningRate, type SmallName } from '../small.ts'
import { startTfjs } from './tfjs.ts'

export interface SmallTfjsOptions {
  readonly program: SmallName
  readonly backend: 'wasm' | 'tensorflow'
  /** The first weights and the batch, as safetensors. */
  readonly file: string
  readonly span: Span
}

/** The first weights and the batch by path; integers are the batch's. */
type Given = (path: string) => tf.Tensor
interface Linear {
  readonly weight: tf.Tensor2D
  readonly bias: tf.Tensor1D
}

const valuesIn = async (file: string): Promise<ReadonlyMap<string, AnyValue>> => {
  const found = new Map<string, AnyValue>()
  mapTree(await load(file), isValue, (value, path) => {
    found.set(path, value)
  })
  return found
}

const linear = (x: tf.Tensor2D, { weight, bias }: Linear): tf.Tensor2D => tf.add(tf.matMul(x, weight), bias)
const crossEntropy = (labels: tf.Tensor2D, logits: tf.Tensor2D): tf.Scalar =>
  tf.losses.softmaxCrossEntropy(labels, logits)

/** The way from a program's weights to its loss; `linearAt` finds those of a linear layer. */
type Losses = { readonly [K in SmallName]: (at: Given, linearAt: (path: string) => Linear) => () => tf.Scalar }

const losses: Losses = {
  mlp: (at, linearAt) => {
    const [up, down] = [linearAt('up'), linearAt('down')]
    const [x, labels] = [at('batch.x') as tf.Tensor2D, tf.oneHot(at('batch.y') as tf.Tensor1D, 10) as tf.Tensor2D]
    return () => crossEntropy(labels, linear(tf.relu(linear(x, up)), down))
  },
  gru: (at, linearAt) => {
    const [weight, recurrent] = [at('params.gru.input') as tf.Tensor2D, at('params.gru.hidden') as tf.Tensor2D]
    const [bias, hiddenBias] = [at('params.gru.inputBias'), at('params.gru.hiddenBias')]
    const head = linearAt('head')
    const [x, labels] = [at('batch.x') as tf.Tensor3D, tf.oneHot(at('batch.y') as tf.Tensor1D, 10) as tf.Tensor2D]
    const [batch, time, features] = x.shape
    const zeros = tf.zeros<tf.Rank.R2>([batch, 64])
    return () => {
      const inputs = tf.add(tf.matMul(tf.reshape(x, [batch * time, features]) as tf.Tensor2D, weight), bias)
      const steps = tf.unstack(tf.reshape(inputs, [batch, time, 3 * 64]), 1)
      const last = steps.reduce<tf.Tensor2D>((h, step) => {
        const [xr, xz, xn] = tf.split(step, 3, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
        const fed: tf.Tensor2D = tf.add(tf.matMul(h, recurrent), hiddenBias)
        const [hr, hz, hn] = tf.split(fed, 3, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
        const reset = tf.sigmoid(tf.add(xr, hr))
        const update = tf.sigmoid(tf.add(xz, hz))
        const made: tf.Tensor2D = tf.tanh(tf.add(xn, tf.mul(reset, hn)))
        return tf.add(made, tf.mul(update, tf.sub(h, made)))
      }, zeros)
      return crossEntropy(labels, linear(last, head))
    }
  },
  transformer: (at, linearAt) => {
    const ids = at('batch.ids') as tf.Tensor2D
    const [batch, seq] = ids.shape
    const rows = batch * seq
    // the gradient of a gather has no wasm kernel; that of a product with a one-hot matrix has
    const read = tf.oneHot(tf.reshape(ids, [rows]) as tf.Tensor1D, 64) as tf.Tensor2D
    const labels = tf.oneHot(tf.reshape(at('batch.next'), [rows]) as tf.Tensor1D, 64) as tf.Tensor2D
    const words = at('params.words.weight') as tf.Tensor2D
    const places = at('params.places.weight')
    const normAt = (path: string): ((x: tf.Tensor2D) => tf.Tensor2D) => {
      const { weight, bias } = linearAt(path)
      return x => {
        const { mean, variance } = tf.moments(x, -1, true)
        return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias)
      }
    }
    const layers = [0, 1, 2, 3].map(i => ({
      attendNorm: normAt(`layers.${i}.attendNorm`),
      query: linearAt(`layers.${i}.attend.query`),
      key: linearAt(`layers.${i}.attend.key`),
      value: linearAt(`layers.${i}.attend.value`),
      output: linearAt(`layers.${i}.attend.output`),
      mlpNorm: normAt(`layers.${i}.mlpNorm`),
      up: linearAt(`layers.${i}.mlp.up`),
      down: linearAt(`layers.${i}.mlp.down`),
    }))
    const [norm, head] = [normAt('norm'), linearAt('head')]
    const mask = tf.mul(tf.sub(tf.linalg.bandPart(tf.ones([seq, seq]), -1, 0), 1), 1e9)
    const split = (x: tf.Tensor2D): tf.Tensor4D =>
      tf.transpose(tf.reshape(x, [batch, seq, 4, 32]), [0, 2, 1, 3]) as tf.Tensor4D
    return () => {
      const embedded = tf.reshape(tf.matMul(read, words), [batch, seq, 128])
      const first = tf.reshape(tf.add(embedded, places), [rows, 128]) as tf.Tensor2D
      const written = layers.reduce<tf.Tensor2D>((x, layer) => {
        const h = layer.attendNorm(x)
        const [q, k, v] = [layer.query, layer.key, layer.value].map(of => split(linear(h, of))) as [
          tf.Tensor4D,
          tf.Tensor4D,
          tf.Tensor4D,
        ]
        const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 32 ** -0.5), mask)
        const mixed = tf.matMul(tf.softmax(scores) as tf.Tensor4D, v)
        const together = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows, 128]) as tf.Tensor2D
        const y: tf.Tensor2D = tf.add(x, linear(together, layer.output))
        return tf.add(y, linear(tf.relu(linear(layer.mlpNorm(y), layer.up)), layer.down))
      }, first)
      return crossEntropy(labels, linear(norm(written), head))
    }
  },
}

/**
 * A small program as a user of TensorFlow.js writes it today: public ops, its own tape, `optimizer.minimize`; on its
 * wasm backend with the one thread that it has under Node, or on tfjs-node.
 */
export const smallTfjs = async ({ program, backend, file, span }: SmallTfjsOptions): Promise<Measurement> => {
  const given = await valuesIn(file)
  const since = performance.now()
  await startTfjs()
  if (backend === 'tensorflow') {
    const native = await openNative()
    if (native._tag === 'Left') throw new Error(native.left)
    await tf.setBackend('tensorflow')
  }
  const variables: tf.Variable[] = []
  const made = new Map<string, tf.Tensor>()
  const at: Given = path => {
    const known = made.get(path)
    if (known) return known
    const { data, sizes, dtype } = given.get(path)!
    const value = tf.tensor(data, [...sizes], dtype === 'i32' ? 'int32' : 'float32')
    const own = path.startsWith('params.') ? tf.variable(value) : value
    if (own instanceof tf.Variable) variables.push(own)
    made.set(path, own)
    return own
  }
  const loss = losses[program](at, path => ({
    weight: at(`params.${path}.weight`) as tf.Tensor2D,
    bias: at(`params.${path}.bias`) as tf.Tensor1D,
  }))
  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8)
  return repeated(
    async () => {
      const cost = optimizer.minimize(loss, true, variables)!
      const [value] = await cost.data()
      cost.dispose()
      return value!
    },
    span,
    since,
  )
}
