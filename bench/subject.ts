import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  adamw,
  adapt,
  chain,
  clipByGlobalNorm,
  orThrow,
  trainStep,
  type Method,
  type Lazy,
  type Opaque,
} from '../src/index.ts'
import { methods, bind, count, isTensor, mapTree, type MethodName, type MethodArguments } from '../src/compiler.ts'
import { type CausalLM, type CausalConfig, type CausalParams, llama } from '../src/model.ts'
import { cacheDirectory } from '../src/io.ts'
import { load } from '../src/io/checkpoint/load.ts'
import { smolLM2 } from '../src/io/hub.ts'
import { fourLayers, smolShapes } from './shapes.ts'

export type SubjectName = 'four layers' | 'SmolLM2'
export type { MethodName }

/**
 * A model to measure with: its weights are the real ones if they are cached, otherwise random ones of the same shapes.
 */
export interface Subject {
  readonly model: CausalLM
  readonly vocab: number
  readonly weights: Lazy<CausalParams>
  readonly from: 'checkpoint' | 'random'
  readonly close: () => Promise<void>
}

/** The file of the cached SmolLM2, if there is one. */
export const cachedSmolLM2 = (): string | undefined => {
  const file = join(cacheDirectory(), smolLM2.file)
  return existsSync(file) ? file : undefined
}

const randomSubject = (config: CausalConfig): Subject => {
  const model = llama(config)
  const sizeOf = bind(model.dims ?? {})
  const weights = mapTree(model.params, isTensor, ({ shape }) => ({
    read: () => {
      const sizes = shape.map(dim => {
        const size = sizeOf(dim)
        if (size._tag === 'Left') throw new Error(size.left)
        return size.right
      })
      const data = new Float32Array(count(sizes))
      if (sizes.length === 1) data.fill(1)
      else for (let i = 0; i < data.length; i++) data[i] = (Math.random() - 0.5) * 0.07
      return Promise.resolve({ shape, sizes, dtype: 'f32', data })
    },
  })) as Lazy<CausalParams> // each leaf became what reads it: the structure is that of the parameters
  return { model, vocab: config.vocab_size, weights, from: 'random', close: () => Promise.resolve() }
}

/** Opens a model by name. @example const { model, weights, close } = await subject('SmolLM2') */
export const subject = async (name: SubjectName): Promise<Subject> => {
  const file = name === 'SmolLM2' ? cachedSmolLM2() : undefined
  if (file === undefined) return randomSubject(name === 'SmolLM2' ? smolShapes : fourLayers)
  const { model, weights, checkpoint } = await orThrow(load(file, 'text'))
  return { model, vocab: smolShapes.vocab_size, weights, from: 'checkpoint', close: checkpoint.close }
}

const projections = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
/** VeRA is made for ranks that other methods would not pay for. */
const rankOf = (method: MethodName): number => (method === 'vera' ? 256 : 8)

/** The step that is measured: a method on all seven projections, with rank 8 if it has one, or every parameter. */
export const stepOf = (model: CausalLM, method: MethodName) => {
  const { make }: { readonly make: (options: MethodArguments) => Method<Opaque> } = methods[method]
  const targets = method === 'full' ? ['all'] : projections
  return trainStep(
    adapt(model, make({ targets, rank: rankOf(method), alpha: 16, seed: 0 })),
    chain(clipByGlobalNorm(1), adamw({ lr: 1e-4 })),
  )
}

/** Random tokens, all of them scored. */
export const randomBatch = (vocab: number, batch: number, seq: number) => {
  const data = Int32Array.from({ length: batch * seq }, () => Math.floor(Math.random() * vocab))
  const ids = { shape: ['batch', 'seq'], sizes: [batch, seq], dtype: 'i32', data } as const
  return { input_ids: ids, labels: ids }
}
