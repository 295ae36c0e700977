import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  add,
  broadcastTo,
  f32,
  matmul,
  nn,
  repeat,
  scalar,
  scan,
  silu,
  softmax,
  tanh,
  type Node,
  type TargetName,
} from '../../src/index.ts'
import { noNode } from '../support/native-library.ts'
import { nativeTargets, openSmall, plainTargets, untyped, valuesFor, type Small } from '../support/small-models.ts'

/** Scans within layers, layers within scans, and scans within scans: training is the same on every target. */

const hidden = ['hidden', 'hidden'] as const
const xs = f32('time', 'batch', 'hidden')
const first = (): never => broadcastTo(scalar(0), ['batch', 'hidden']) as never
const models: Readonly<Record<string, Small>> = {
  'layers of recurrent layers': {
    params: Object.fromEntries(
      [0, 1, 2].flatMap(i => Object.entries(nn.Gru('hidden', 'hidden')).map(([name, leaf]) => [`${name}${i}`, leaf])),
    ),
    batch: { xs },
    forward: (p, b) => {
      const of = (i: number): object =>
        Object.fromEntries(
          ['input', 'hidden', 'inputBias', 'hiddenBias'].map(name => [
            name,
            (p as Record<string, Node>)[`${name}${i}`]!,
          ]),
        )
      const layer = (x: never, params: never): never => {
        const { outputs }: { outputs: never } = untyped(nn.gru)(x, params, { axis: 0 })
        return untyped(add)(x, outputs)
      }
      return untyped(repeat)([0, 1, 2].map(of), b.xs, layer)
    },
  },
  'layers within each step': {
    params: { w: f32(...hidden), v: f32(...hidden) },
    batch: { xs },
    forward: (p, b) => {
      const step = (h: never, x: never): readonly [Node, Node] => {
        const mixed = (y: never, w: never): Node => softmax(silu(matmul(y, w)))
        const next = untyped(repeat)([p.w, p.v], add(h, x), mixed)
        return [next, next]
      }
      return untyped(scan)(b.xs, first(), step)[1]
    },
  },
  'steps within each step': {
    params: { w: f32(...hidden), v: f32(...hidden) },
    batch: { xs: f32('outer', 'time', 'batch', 'hidden') },
    forward: (p, b) => {
      const inner = (g: never, x: never): readonly [Node, readonly []] => [
        tanh(add(matmul(g, p.w!), silu(matmul(x, p.v!)))),
        [],
      ]
      const outer = (h: never, rows: never): readonly [Node, Node] => {
        const [last] = untyped(scan)(rows, h, inner) as readonly [Node]
        return [last, softmax(last as never)]
      }
      return untyped(scan)(b.xs, first(), outer)[1]
    },
  },
}

const losses = async (target: TargetName, model: Small): Promise<readonly number[]> => {
  await using run = await openSmall(target, model, { dims: { hidden: 3 } })
  const found: number[] = []
  for (const time of [2, 3, 1]) {
    const batch = valuesFor(model.batch, { hidden: 3, batch: 2, time, outer: time })
    found.push((await run.evaluate(batch)).loss, (await run.step(batch)).loss)
  }
  return found
}
for (const [name, model] of Object.entries(models))
  for (const target of [...plainTargets, ...nativeTargets].slice(1)) {
    const skip = (nativeTargets as readonly string[]).includes(target) && noNode !== undefined ? noNode : false
    test(`${name}: training on ${target} is that of the reference`, { skip }, async () => {
      const due = await losses('reference', model)
      const found = await losses(target, model)
      due.forEach((loss, i) => assert.ok(Math.abs(found[i]! - loss) <= 2e-5 * Math.max(1, loss), found.join(' ')))
      assert.ok(new Set(due).size > 1)
    })
  }
