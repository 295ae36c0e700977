import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  compile,
  crossEntropy,
  dropout,
  f32,
  i32,
  init,
  lora,
  matmul,
  model,
  nf4,
  nn,
  paca,
  quantized,
  relu,
  SessionError,
  tensor,
  trainStep,
  type AnyValue,
  type Session,
  type TargetName,
  type Tree,
} from '../../src/index.ts'
import { load, save } from '../../src/io.ts'
import { isValue, mapTree } from '../../src/compiler.ts'
import { temporary } from '../support/command-line.ts'
import { noNode } from '../support/native-library.ts'

/** A session that is saved and restored goes on as if it had never ended. */

const directory = await temporary()
/** A model with buffers, the statistics of a batch norm, that drops out. */
const net = model({
  params: { up: f32('pixels', 'hidden'), norm: nn.BatchNorm('hidden'), down: f32('hidden', 'classes') },
  buffers: { norm: nn.RunningStatistics('hidden') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  dims: { pixels: 64, hidden: 64, classes: 64 },
  forward: (p, { x }, buffers) => {
    const { outputs: h, buffers: norm } = nn.batchNorm(matmul(x, p.up), p.norm, buffers.norm)
    return { outputs: matmul(dropout(relu(h), 0.3), p.down), buffers: { norm } }
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
})
const targets = ['up', 'down'] as const
const drop = { rank: 4, dropout: 0.2, seed: 7 }
const weights = init.params(net, { seed: 0 })
const buffers = init.buffers(net)
/** The micro-batches of a step. */
const batchesOf = (step: number) =>
  [0, 1].map(part => ({
    x: tensor((row, pixel) => Math.sin(1 + row * pixel + step + part), ['batch', 'pixels'], { sizes: [8, 64] }),
    y: tensor(row => (row * 7 + step) % 64, ['batch'], { sizes: [8], dtype: 'i32' }),
  }))

type Saved = Tree<AnyValue>
type Run = Pick<
  Session<unknown, unknown, unknown, unknown, typeof net.batch, unknown>,
  'step' | 'checkpoint' | 'evaluate' | 'restore' | typeof Symbol.asyncDispose
>
type Open = (target: TargetName, from?: Saved) => Promise<Run>

const common = (target: TargetName, from: Saved | undefined) => ({
  target,
  ...(target === 'wasm' ? { threads: 1 } : {}),
  weights,
  buffers,
  from,
})
const optimizer = adamw({ lr: 1e-2, weightDecay: 0.1 })
const columns = paca({ targets, rank: 4, seed: 3 })
const sessions: Readonly<Record<string, Open>> = {
  'PaCA': (target, from) => compile(trainStep(adapt(net, columns), optimizer), common(target, from)),
  'PaCA on NF4': (target, from) =>
    compile(trainStep(adapt(net, quantized(nf4({ double: true }))(columns)), optimizer), common(target, from)),
  'LoRA with dropout': (target, from) =>
    compile(trainStep(adapt(net, lora({ targets, ...drop })), optimizer), common(target, from)),
  'LoRA with dropout on NF4': (target, from) =>
    compile(
      trainStep(adapt(net, quantized(nf4({ double: false }))(lora({ targets, ...drop }))), optimizer),
      common(target, from),
    ),
  'every weight': (target, from) => compile(trainStep(net, optimizer), common(target, from)),
}

/** The losses of some steps, the first of which has the number `first`. */
const lossesOf = async (run: Pick<Run, 'step'>, first: number, last: number): Promise<readonly number[]> => {
  const losses: number[] = []
  for (let step = first; step < last; step++) losses.push((await run.step(batchesOf(step))).loss)
  return losses
}
const [half, all] = [3, 6]
/** A session after half of the steps, and the losses of the others. */
const begun = async (open: Open, target: TargetName): Promise<{ saved: Saved; rest: readonly number[] }> => {
  await using run = await open(target)
  await lossesOf(run, 0, half)
  const saved = await run.checkpoint()
  return { saved, rest: await lossesOf(run, half, all) }
}
const resumed = async (open: Open, target: TargetName, from: Saved): Promise<readonly number[]> => {
  await using run = await open(target, from)
  return await lossesOf(run, half, all)
}

for (const [target, names] of [
  ['reference', ['PaCA', 'every weight']],
  ['wasm', Object.keys(sessions)],
  ['graph', ['PaCA on NF4', 'LoRA with dropout']],
] as const)
  test(
    `a session that goes on from a file has the losses of the unbroken one, bit for bit, on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      for (const name of names) {
        const open = sessions[name]!
        const { saved, rest } = await begun(open, target)
        const file = join(directory, `${target}.safetensors`)
        await save(file, saved)
        assert.deepEqual(await resumed(open, target, await load(file)), rest, name)
      }
    },
  )

test('a session goes back to its own checkpoint, whatever was evaluated and trained since', async () => {
  await using run = await sessions['LoRA with dropout']!('wasm')
  await lossesOf(run, 0, half)
  const saved = await run.checkpoint()
  const rest = await lossesOf(run, half, all)
  await run.evaluate(batchesOf(0))
  await run.restore(saved)
  await run.evaluate(batchesOf(1))
  assert.deepEqual(await lossesOf(run, half, all), rest)
})

/** The same checkpoint with zeros in the place of the values of one part. */
const forgetting = (saved: Saved, part: string): Saved =>
  // a tree of the same structure
  mapTree(saved, isValue, (value, path) =>
    path === part || path.startsWith(`${part}.`) ? { ...value, data: value.data.map(() => 0) } : value,
  ) as Saved

test('a restore that forgets the focus, the optimizer, the buffers or the place in the random numbers is refuted', async () => {
  const open = sessions['LoRA with dropout']!
  const { saved, rest } = await begun(open, 'wasm')
  assert.deepEqual(await resumed(open, 'wasm', saved), rest)
  // the loss of a step in training does not read the running statistics: they are compared by themselves
  for (const part of ['focus', 'state', 'draws'])
    assert.notDeepEqual(await resumed(open, 'wasm', forgetting(saved, part)), rest, part)
  const statistics = async (from: Saved): Promise<Saved> => {
    await using run = await open('wasm', from)
    await lossesOf(run, half, all)
    const { buffers: found } = (await run.checkpoint()) as { readonly buffers: Saved }
    return found
  }
  assert.notDeepEqual(await statistics(forgetting(saved, 'buffers')), await statistics(saved))
})

test('a checkpoint of another step is refused in one sentence, and the session is as it was', async () => {
  const { saved } = await begun(sessions['PaCA']!, 'reference')
  const refused = async (open: Open, from: unknown, message: RegExp): Promise<void> => {
    await assert.rejects(
      // JavaScript may give anything
      open('reference', from as Saved),
      (error: unknown) => error instanceof SessionError && message.test(error.message),
    )
  }
  const { draws: _, ...without } = saved as Readonly<Record<string, Saved>>
  const { draws, focus: __, ...rest } = saved as Readonly<Record<string, Saved>>
  await refused(
    (target, from) =>
      compile(trainStep(adapt(net, paca({ targets, rank: 4, seed: 4 })), optimizer), common(target, from)),
    saved,
    /^the saved session is of another step: other columns or entries of \w+ are trained in it$/,
  )
  await refused(
    (target, from) => compile(trainStep(adapt(net, columns), optimizer, { seed: 1 }), common(target, from)),
    saved,
    /^the saved session is of another step: its random numbers have another seed$/,
  )
  await refused(sessions['every weight']!, saved, /^the saved session is of another step: other columns/)
  await refused(sessions['PaCA']!, without, /^a session goes on from what checkpoint\(\) gives/)
  await refused(sessions['PaCA']!, 3, /^a session goes on from what checkpoint\(\) gives/)
  await refused(sessions['PaCA']!, { ...rest, draws }, /^there is no saved focus|^the saved focus has no /)
  await refused(sessions['PaCA']!, { ...rest, draws, focus: {} }, /^the saved focus has no /)
  await refused(sessions['PaCA']!, { ...without, draws, more: draws }, /^the saved session has more/)
  await using run = await sessions['PaCA']!('reference', saved)
  const { loss } = await run.evaluate(batchesOf(0))
  await assert.rejects(run.restore({ ...rest, draws: draws! }), SessionError)
  assert.equal((await run.evaluate(batchesOf(0))).loss, loss)
})

test('an aborted signal ends the iteration over steps after the present one, and the session goes on', async () => {
  await using run = await compile(trainStep(net, optimizer), common('reference', undefined))
  const stopping = new AbortController()
  const losses: number[] = []
  for await (const { loss } of run.steps([0, 1, 2, 3].map(batchesOf), { signal: stopping.signal })) {
    losses.push(loss)
    if (losses.length === 2) stopping.abort()
  }
  assert.equal(losses.length, 2)
  await using whole = await compile(trainStep(net, optimizer), common('reference', undefined))
  assert.deepEqual([...losses, ...(await lossesOf(run, 2, 4))], await lossesOf(whole, 0, 4))
})
