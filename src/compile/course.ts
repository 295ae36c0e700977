import { bytesOf, type Plan } from './plan.ts'
import { walkPlan, type Walk } from './footprint.ts'

/** The bytes that a step holds beyond weights and state at one time. */
export interface Moment {
  /** The number of instructions before it. */
  readonly at: number
  /** Made before the loss is known, and read after it. */
  readonly kept: number
  /** Gradients of what is trained, until the update. */
  readonly gradients: number
  /** Read soon after it is made. */
  readonly passing: number
  /** The op that runs, and the block that it runs in, as `matmul in layer.forward 12`. */
  readonly what: string
}

/** The memory of a step from its forward pass to the end of its backward pass. */
export interface Course {
  readonly instructions: number
  /** The instruction after which the loss is known. */
  readonly loss: number
  /** The bytes that live from the forward to the backward pass, in layers and outside of them. */
  readonly kept: number
  readonly moments: readonly Moment[]
}

interface Life {
  readonly bytes: number
  readonly born: number
  dies: number
}

type Kind = 'kept' | 'gradients' | 'passing'
interface Change {
  readonly at: number
  readonly kind: Kind
  readonly bytes: number
}

/** The most moments of a course: enough for a picture. */
const mostMoments = 480

/** The fullest of some moments. */
const fullest = (moments: readonly Moment[]): Moment =>
  moments.reduce((a, b) => (b.kept + b.gradients + b.passing > a.kept + a.gradients + a.passing ? b : a))

/** Fewer moments: the fullest of each of equally long stretches, so that no peak is lost. */
const thinned = (moments: readonly Moment[]): readonly Moment[] => {
  const every = Math.ceil(moments.length / mostMoments)
  return Array.from({ length: Math.ceil(moments.length / every) }, (_, i) =>
    fullest(moments.slice(i * every, (i + 1) * every)),
  )
}

/**
 * The course of a gradient program, whose first `known` outputs are the loss and what else is known before the backward
 * pass. Its peak is that of {@link footprintOf}.
 * @example courseOf(program.plan, program.outputs.length - programs.trained.length)
 */
export const courseOf = (plan: Plan, known: number): Course => {
  const lives: Life[] = []
  const ops: string[] = []
  const calls = new Map<string, number>()
  const walkIn = (block: string): Walk<Life> => ({
    make: (bytes, { node }) => {
      ops.push(block === '' ? node.op.name : `${node.op.name} in ${block}`)
      const life = { bytes, born: ops.length, dies: Infinity }
      lives.push(life)
      return life
    },
    call: ({ name, plan: inner }, inputs) => {
      const nth = (calls.get(name) ?? 0) + 1
      calls.set(name, nth)
      return walkPlan(inner, inputs, walkIn(`${name} ${nth}`))
    },
    free: life => {
      life.dies = ops.length
    },
  })
  const given = plan.inputs.map((slot): Life => ({ bytes: bytesOf(plan.slots[slot]!), born: 0, dies: Infinity }))
  const outputs = walkPlan(plan, given, walkIn(''))
  const loss = Math.max(0, ...outputs.slice(0, known).map(({ born }) => born))
  const results = new Set(outputs.slice(known))
  const kindOf = (life: Life): Kind => {
    if (results.has(life)) return 'gradients'
    return life.born <= loss && life.dies > loss && life.dies < Infinity ? 'kept' : 'passing'
  }
  // a buffer is held until the instruction that reads it last has run
  const changes: readonly Change[] = lives.flatMap(life => {
    const change = { kind: kindOf(life), bytes: life.bytes }
    return [
      { ...change, at: life.born },
      { ...change, at: life.dies + 1, bytes: -life.bytes },
    ]
  })
  const at = new Map<number, Change[]>()
  for (const change of changes) at.set(change.at, [...(at.get(change.at) ?? []), change])
  const now = { kept: 0, gradients: 0, passing: 0 }
  const moments = ops.map((what, i): Moment => {
    for (const { kind, bytes } of at.get(i + 1) ?? []) now[kind] += bytes
    return { at: i + 1, ...now, what }
  })
  const kept = lives.filter(life => kindOf(life) === 'kept').reduce((sum, { bytes }) => sum + bytes, 0)
  return { instructions: ops.length, loss, kept, moments: moments.length === 0 ? [] : thinned(moments) }
}
