import { availableParallelism, freemem } from 'node:os'
import { cacheDirectory, versions } from '../host/index.ts'
import {
  compile,
  targetNames,
  registeredTargets,
  type Precision,
  type Target,
  type TargetName,
} from '../backend/index.ts'
import { crossEntropy, f32, i32, matmul, model } from '../tensor/index.ts'
import { adapt, full, identity } from '../tune/index.ts'
import { machineMemory } from './pretrained.ts'
import { trainStep } from '../train/index.ts'

/**
 * The state of a target: it works if it ran a small program with the right result. For `auto` the detail tells the
 * choice and its reason; for `graph`, whether it also computes in bf16 and whether its TensorFlow compiles with XLA.
 */
export interface TargetReport {
  readonly target: string
  readonly works: boolean
  readonly detail: string
}

/** The findings of `partensor doctor`. Memory is in bytes. */
export interface Doctor {
  readonly event: 'done'
  readonly targets: readonly TargetReport[]
  readonly versions: Readonly<Record<string, string>>
  readonly memory: { readonly total: number; readonly free: number }
  readonly cores: number
  readonly platform: string
  readonly cache: string
}

/** A classifier of two classes, whose loss on one row is known in closed form. */
const probe = model({
  params: { weight: f32('in', 'classes') },
  batch: { x: f32('batch', 'in'), label: i32('batch') },
  forward: ({ weight }, { x }) => matmul(x, weight),
  loss: (logits, { label }) => crossEntropy(logits, label),
})

const nameOf = ({ target, reason }: { readonly target: string; readonly reason?: string }): string =>
  reason === undefined ? target : `${target} (${reason})`

interface Tried {
  readonly target: TargetName
  readonly precision: Precision
  readonly threads: number | undefined
}

const check = async ({ target, precision, threads }: Tried): Promise<TargetReport> => {
  try {
    const targets: readonly string[] = ['weight']
    await using session = await compile(trainStep(adapt(probe, full({ targets })), identity), {
      target,
      precision,
      ...(threads === undefined ? {} : { threads }),
      weights: { weight: { shape: ['in', 'classes'], sizes: [2, 2], dtype: 'f32', data: Float32Array.of(1, 2, 3, 4) } },
    })
    const { loss } = await session.step([
      {
        x: { shape: ['batch', 'in'], sizes: [1, 2], dtype: 'f32', data: Float32Array.of(1, 1) },
        label: { shape: ['batch'], sizes: [1], dtype: 'i32', data: Int32Array.of(0) },
      },
    ])
    const due = Math.log(1 + Math.exp(2))
    const works = Math.abs(loss - due) < (precision === 'f32' ? 1e-5 : 1e-2 * due)
    return { target, works, detail: works ? nameOf(session) : `it computes ${loss}, expected ${due.toFixed(6)}` }
  } catch (error) {
    return { target, works: false, detail: error instanceof Error ? error.message : String(error) }
  }
}

const inWords = (works: boolean): string => (works ? 'works' : 'does not work')
/** Adds further abilities to the report on a target that works. */
const withAbilities = async (
  report: TargetReport,
  { precisions, abilities }: Target<TargetName>,
  tried: Tried,
): Promise<TargetReport> => {
  const inBf16 = precisions.includes('bf16') ? { bf16: (await check({ ...tried, precision: 'bf16' })).works } : {}
  const all = Object.entries({ ...inBf16, ...(await abilities?.()) })
  if (all.length === 0) return report
  return {
    ...report,
    detail: `${report.detail}; ${all.map(([name, works]) => `${name} ${inWords(works)}`).join(', ')}`,
  }
}

/**
 * Tries every target with a small training step, and reports versions, memory and cores.
 * @example (await doctor()).targets.filter(({ works }) => works)
 */
export const doctor = async (threads?: number): Promise<Doctor> => {
  const targets: TargetReport[] = []
  // one after the other: tfjs has one current backend
  for (const target of targetNames) {
    const tried: Tried = { target, precision: 'f32', threads }
    const report = await check(tried)
    const own = registeredTargets.find(({ name }) => name === target)
    targets.push(report.works && own ? await withAbilities(report, own, tried) : report)
  }
  return {
    event: 'done',
    targets,
    versions: versions(),
    memory: { total: machineMemory(), free: freemem() },
    cores: availableParallelism(),
    platform: `${process.platform} ${process.arch}`,
    cache: cacheDirectory(),
  }
}
