import * as fc from 'fast-check'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import type { MethodTensors, Adapter } from '../../src/io/adapter/adapter.ts'
import { count, type Shape, type Value } from '../../src/tensor/index.ts'
import {
  methodNames,
  recordOf,
  type FirstValue,
  type KeptTensor,
  type MethodName,
  type Word,
} from '../../src/tune/index.ts'
import { randomFrom } from './op-subjects.ts'

export const origin = {
  targetModules: ['q_proj'],
  seed: 7,
  settings: { lr: 1e-4, schedule: { kind: 'cosine', warmup: 10 } },
  baseModelName: 'llama-tiny',
  baseModelHash: 'ab'.repeat(32),
  versions: { partensor: '0.1.0' },
}
export const f32 = (sizes: readonly number[], ...xs: readonly number[]): Value<Shape> =>
  valueOf('f32', sizes, Float32Array.from(xs))
export const i32 = (...xs: readonly number[]): Value<Shape, 'i32'> => valueOf('i32', [xs.length], Int32Array.from(xs))

/** Numbers within ±1 that follow from a seed. */
export const random = (seed: number, ...sizes: readonly number[]): Value<Shape> => {
  const next = randomFrom(seed)
  return valueOf(
    'f32',
    sizes,
    Float32Array.from({ length: count(sizes) }, () => 2 * next() - 1),
  )
}
const distinct = (seed: number, below: number, n: number): Value<Shape, 'i32'> => {
  const next = randomFrom(seed)
  const order = Array.from({ length: below }, (_, i) => ({ i, by: next() })).sort((a, b) => a.by - b.by)
  return i32(
    ...order
      .slice(0, n)
      .map(({ i }) => i)
      .sort((a, b) => a - b),
  )
}

/** The size of a module. */
export interface Size {
  readonly input: number
  readonly output: number
  readonly rank: number
}

/** A tensor of a form, filled at random; indices are of things that there are, each once. */
const filled = (kept: KeptTensor, size: (word: Word) => number, limit: number, seed: number): FirstValue =>
  kept.from === 'index' ? distinct(seed, limit, size(kept.sizes[0])) : random(seed, ...kept.sizes.map(size))

/** A module of any method, filled at random: of its first form of matrices and vectors, or of another. */
export const moduleOf = <M extends MethodName>(
  method: M,
  { input, output, rank }: Size,
  seed: number,
  nth = 0,
): MethodTensors[M] => {
  const forms = recordOf(method).tensors.filter(all => Object.values(all).every(kept => kept.sizes.length <= 2))
  const form = forms[nth % forms.length]!
  const isOfColumns = Object.values(form).some(kept => kept.from === 'index' && kept.among === 'columns')
  const limit = isOfColumns ? input : input * output
  const sizes: Readonly<Record<string, number>> = { in: input, out: output, r: rank }
  // a word of the method's own counts what is selected
  const size = (word: Word): number =>
    typeof word === 'number' ? word : (sizes[word] ?? (isOfColumns ? rank : Math.min(rank * (input + output), limit)))
  const made = Object.entries(form).map(([name, kept], i) => [name, filled(kept, size, limit, seed + i)] as const)
  // the tensors are those of the form
  return Object.fromEntries(made) as unknown as MethodTensors[M]
}

/** The tensors that modules of a method share, as large as the largest of them. */
const sharedOf = (method: MethodName, all: readonly Size[], rank: number) => {
  const sizes: Readonly<Record<string, number>> = {
    in: Math.max(...all.map(({ input }) => input)),
    out: Math.max(...all.map(({ output }) => output)),
    r: rank,
  }
  const shared = Object.entries(recordOf(method).shared).map(
    ([name, kept], i) => [name, random(90 + i, ...kept.sizes.map(word => sizes[word]!))] as const,
  )
  return shared.length > 0 ? { shared: Object.fromEntries(shared) } : {}
}

/** An adapter of modules by path, filled at random. */
export const adapterOf = <M extends MethodName>(
  method: M,
  sizes: ReadonlyMap<string, Size>,
  seed: number,
  settings: Partial<Adapter<'lora'>> = {},
  nth = 0,
): Adapter<M> => {
  const all = [...sizes.values()]
  const rank = all[0]!.rank
  const own = Object.fromEntries(
    [...sizes].filter(([, size]) => size.rank !== rank).map(([path, size]) => [path, size.rank]),
  )
  // the parts are those of the method
  return {
    ...origin,
    method,
    ...(recordOf(method).rank === undefined
      ? {}
      : { rank, ...(Object.keys(own).length > 0 ? { rankPattern: own } : {}) }),
    modules: new Map([...sizes].map(([path, size], i) => [path, moduleOf(method, size, seed + 10 * i, nth + i)])),
    ...sharedOf(method, all, rank),
    ...settings,
  } as unknown as Adapter<M>
}

/** Adapters of every method: one to three modules, all with the same rank if the method has only one. */
export const arbitraryAdapter: fc.Arbitrary<Adapter> = fc
  .record({
    method: fc.constantFrom(...methodNames),
    seed: fc.nat(1000),
    rank: fc.integer({ min: 1, max: 3 }),
    modules: fc.array(
      fc.record({
        word: fc.constantFrom('q_proj', 'a', 'lm'),
        input: fc.integer({ min: 3, max: 6 }),
        output: fc.integer({ min: 3, max: 6 }),
        more: fc.nat(1),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    settings: fc.record(
      {
        alpha: fc.double({ min: 0.5, max: 64, noNaN: true }),
        rslora: fc.boolean(),
        dropout: fc.constantFrom(0, 0.1),
        bias: fc.constantFrom('none', 'all', 'lora_only'),
        targetModules: fc.constantFrom<readonly string[] | string>(
          ['q_proj', 'up_proj'],
          'all-linear',
          '.*\\.(q|v)_proj',
        ),
        excludeModules: fc.constantFrom<readonly string[] | string>('lm_.*', ['head']),
        quantize: fc.constantFrom({ scheme: 'nf4', double: true } as const),
        select: fc.constantFrom('random', 'weight', 'gradient'),
        shareColumns: fc.boolean(),
        initial: fc.constantFrom(0.1, 1),
        alphaPattern: fc.constantFrom({ 'layers.0.q_proj': 3 }),
      },
      { requiredKeys: [] },
    ),
    whole: fc.option(
      fc.constant(
        new Map([
          ['whole.norm', f32([2], 1, -0)],
          ['whole.head', f32([2, 3], 1, 2, 3, 4, 5, 6)],
        ]),
      ),
      { nil: undefined },
    ),
  })
  .map(({ method, seed, rank, modules, settings, whole }) => {
    const sizes = new Map(
      modules.map(({ word, input, output, more }, i) => [
        `model.layers.${i}.${word}`,
        { input, output, rank: recordOf(method).takes.includes('ranks') ? Math.min(rank + more, 3) : rank },
      ]),
    )
    return adapterOf(method, sizes, seed, {
      ...(settings as Partial<Adapter<'lora'>>),
      ...(whole === undefined ? {} : { whole }),
    })
  })

/** An adapter as data that can be compared. */
export const comparable = (adapter: Adapter): unknown => ({
  ...adapter,
  modules: Object.fromEntries([...adapter.modules].sort(([a], [b]) => (a < b ? -1 : 1))),
  whole: Object.fromEntries(adapter.whole ?? []),
})
