import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import {
  adapt,
  add,
  compile,
  equal,
  f32,
  full,
  i32,
  model,
  mul,
  nn,
  paca,
  scalar,
  sgd,
  square,
  sum,
  trainStep,
  type Shape,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { isValue, leaves } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'
import { valuesFor } from '../support/small-models.ts'

interface Data {
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
interface Case {
  readonly kind: 'rnn' | 'gru' | 'lstm'
  readonly padded: boolean
  readonly params: Readonly<Record<string, Data>>
  readonly batch: Readonly<Record<string, Data>>
  readonly loss: number
  readonly outputs: Data
  readonly last: Readonly<Record<string, Data>>
  readonly gradients: Readonly<Record<string, Data>>
}
const cases = JSON.parse(
  await readFile(new URL('../golden/recurrent/recurrent.json', import.meta.url), 'utf8'),
) as readonly Case[]

const targets: readonly TargetName[] = ['reference', 'cpu', 'wasm', 'node', 'graph']
const missing = (target: TargetName): string | false =>
  (target === 'graph' || target === 'node') && noNode !== undefined ? noNode : false
const layers = { rnn: nn.Rnn('in', 'hidden'), gru: nn.Gru('in', 'hidden'), lstm: nn.Lstm('in', 'hidden') }
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/** The layer of a case with its inputs and first states as parameters, so that they have gradients. */
const modelOf = ({ kind, padded }: Case) =>
  model({
    params: {
      layer: layers[kind],
      xs: f32('batch', 'time', 'in'),
      hidden0: f32('batch', 'hidden'),
      cell0: f32('batch', 'hidden'),
    },
    batch: {
      exists: i32('batch', 'time'),
      cotangent: f32('batch', 'time', 'hidden'),
      hiddenCotangent: f32('batch', 'hidden'),
      cellCotangent: f32('batch', 'hidden'),
    },
    forward: (p, b) => {
      const mask = padded ? { mask: equal(b.exists, 1) } : {}
      const { hidden0, cell0 } = p
      // each case has the parameters of its own kind
      if (kind === 'lstm') {
        const { outputs, last } = nn.lstm(p.xs, p.layer as typeof layers.lstm, {
          initial: { hidden: hidden0, cell: cell0 },
          ...mask,
        })
        return { outputs, ...last }
      }
      const { outputs, last } =
        kind === 'gru'
          ? nn.gru(p.xs, p.layer as typeof layers.gru, { initial: hidden0, ...mask })
          : nn.rnn(p.xs, p.layer as typeof layers.rnn, { initial: hidden0, ...mask })
      return { outputs, hidden: last, cell: cell0 }
    },
    loss: ({ outputs, hidden, cell }, b) => ({
      sum: add(
        sum(mul(outputs, b.cotangent)),
        add(sum(mul(hidden, b.hiddenCotangent)), sum(mul(cell, b.cellCotangent))),
      ),
      count: scalar(1),
    }),
  })

const value = ({ sizes, data }: Data, shape: Shape): Value<Shape> => ({
  shape,
  sizes,
  dtype: 'f32',
  data: Float32Array.from(data),
})
/** Holds numbers against others, relative to the largest of these, or to 1 if that is larger. */
const close = (what: string, found: ArrayLike<number>, due: readonly number[], tolerance: number, least = 1): void => {
  assert.equal(found.length, due.length, what)
  const largest = Math.max(least, ...due.map(Math.abs))
  due.forEach((expected, i) => {
    assert.ok(Math.abs(found[i]! - expected) <= tolerance * largest, `${what}[${i}] is ${found[i]}, not ${expected}`)
  })
}

const shapes: Readonly<Record<string, Shape>> = {
  exists: ['batch', 'time'],
  cotangent: ['batch', 'time', 'hidden'],
  hiddenCotangent: ['batch', 'hidden'],
  cellCotangent: ['batch', 'hidden'],
}
const rows = { sizes: [3, 6], data: Array.from({ length: 18 }, () => 0) }

for (const target of targets)
  for (const one of cases) {
    const tolerance = target === 'reference' ? 1e-5 : 1e-4
    const what = `${one.kind}${one.padded ? ' with padding' : ''}`
    test(`${what}: values and gradients are PyTorch's, on ${target}`, { skip: missing(target) }, async () => {
      const made = modelOf(one)
      const { batch, params } = one
      const gates = `${{ rnn: 1, gru: 3, lstm: 4 }[one.kind]}*hidden`.replace(/^1\*/, '')
      const weights = {
        layer: {
          input: value(params.input!, ['in', gates]),
          hidden: value(params.hidden!, ['hidden', gates]),
          inputBias: value(params.inputBias!, [gates]),
          hiddenBias: value(params.hiddenBias!, [gates]),
        },
        xs: value(batch.xs!, ['batch', 'time', 'in']),
        hidden0: value(batch.hidden0!, ['batch', 'hidden']),
        cell0: value(batch.cell0 ?? rows, ['batch', 'hidden']),
      }
      // the data of a case have the shapes that the model declares
      await using run = await compile(trainStep(adapt(made, full({ targets: ['all'] })), sgd({ lr: 0.1 })), {
        target,
        threads: 1,
        weights: weights as never,
      })
      const fed = Object.fromEntries(
        Object.entries(shapes).map(([name, shape]) => {
          const of = value(batch[name] ?? rows, shape)
          return [name, name === 'exists' ? { ...of, dtype: 'i32', data: Int32Array.from(of.data) } : of]
        }),
      ) as never
      const outputs = await run.predict(fed)
      const exists = batch.exists!.data
      // PyTorch writes zeros where there is padding, and a state is held here
      close(
        'outputs',
        outputs.outputs.data.map((x, i) => (exists[Math.floor(i / 6)] === 1 ? x : 0)),
        one.outputs.data,
        tolerance,
      )
      close('last', outputs.hidden.data, one.last.hidden!.data, tolerance)
      if (one.last.cell) close('cell', outputs.cell.data, one.last.cell.data, tolerance)
      close('loss', [(await run.evaluate(fed)).sum], [one.loss], tolerance)
      const found = new Map(leaves(await run.gradients(fed), isFloats))
      for (const [name, due] of Object.entries(one.gradients)) {
        const own = found.get(name in weights ? name : `layer.${name}`)!
        assert.deepEqual(own.sizes, due.sizes, name)
        close(`gradient of ${name}`, own.data, due.data, tolerance)
      }
    })
  }

/** Two layers of different kinds on sequences of any length, one of them backwards. */
const stackedModel = model({
  params: { first: nn.Gru('in', 'hidden'), second: nn.Lstm('hidden', 'hidden') },
  batch: { xs: f32('batch', 'time', 'in'), exists: i32('batch', 'time') },
  forward: (p, b) => {
    const mask = equal(b.exists, 1)
    const { outputs } = nn.gru(b.xs, p.first, { mask })
    return nn.lstm(outputs, p.second, { mask, reverse: true }).outputs
  },
  loss: outputs => square(outputs),
})
const dims = { in: 3, hidden: 4 }
const lengths = [1, 5, 2, 5]
const trained = async (target: TargetName, method = full({ targets: ['all'] })): Promise<readonly number[]> => {
  await using run = await compile(trainStep(adapt(stackedModel, method as never), sgd({ lr: 0.5 })), {
    target,
    threads: 1,
    dims,
    compiler: { hvp: true },
    weights: valuesFor(stackedModel.params, dims),
  })
  const numbers: number[] = []
  for (const time of lengths) {
    const batch = valuesFor(stackedModel.batch, { ...dims, batch: 2, time }, 3 + time)
    const gradients = await run.gradients(batch)
    const all = [gradients, await run.hvp(batch, gradients)].flatMap(tree => leaves(tree, isFloats))
    numbers.push((await run.step(batch)).loss, ...all.flatMap(([, { data }]) => [...data]))
  }
  return numbers
}
const methods = {
  'all parameters': full({ targets: ['all'] }),
  'some columns': paca({ targets: ['first.input', 'second.hidden'], rank: 2, seed: 0 }),
}
for (const [name, method] of Object.entries(methods))
  for (const target of targets.slice(1))
    test(
      `${name}: training on sequences of changing length, and Hessians, on ${target} are those of the reference`,
      { skip: missing(target) },
      async () => {
        const due = await trained('reference', method as never)
        const found = await trained(target, method as never)
        assert.ok(due.some(x => Math.abs(x) > 1e-3))
        close('number', found, due, 1e-4, 0)
      },
    )
