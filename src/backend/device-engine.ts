import {
  DimsError,
  footprintOf,
  programsOf,
  type CompilerOptions,
  type Prepared,
  type Program,
  type Programs,
  type Replacing,
  type Size,
} from '../compile/index.ts'
import { count, sizesOf, type Environment, type Node } from '../tensor/index.ts'
import { asksToRecompute, checkWithin, comparedWith, plannedWithin } from './budget.ts'
import { certify, checkMemory, givenTo } from './certificate.ts'
import type { Buffer, Device } from './device.ts'
import { deviceDecoder } from './device-decoder.ts'
import {
  averagesOf,
  buffersOf,
  refusal,
  withBuffers,
  type BufferValues,
  type Engine,
  type FedBatch,
  type OpenEngine,
  type Planning,
  type Sums,
} from './engine.ts'
import { runnerOn, type Made, type Runner } from './runner.ts'
import { plansOf, type Sizing } from './foresee.ts'
import type { Certificate } from './session.ts'
import { turn } from './turn.ts'

/**
 * The share of a step's memory that is lost to freed pieces too small for reuse: 4 to 9% were measured. Without this
 * reserve, a heap that overflows grows by much more at once.
 */
const fragmentation = 0.09

/** Reserves memory for weights and state before the first leaf is read, if the model itself fixes the sizes. */
const reserveModel = <H>({ params, state }: Programs, { reserve }: Device<H>, dims: Environment): void => {
  const sizes = [...params, ...state].map(([, leaf]) => sizesOf(dims, leaf.shape))
  reserve?.(4.04 * sizes.reduce((sum, s) => sum + (s._tag === 'Right' ? count(s.right) : 0), 0))
}

/**
 * The engine that runs plans on a device, one instruction after the other. It owns the device.
 * @example await using session = await openSession(step, deviceEngine(referenceDevice()), { weights })
 */
export const deviceEngine =
  <H>(device: Device<H>): OpenEngine =>
  async (step, planning, signal) => {
    try {
      const { model } = step.tuned
      const programs = programsOf(step, { ...planning, ...device.traits })
      const runner = runnerOn(device, { programs, capacities: model.capacities, signal })
      const { held, freeAll } = runner
      const foreseen = foreseenLimit(programs, model, planning)
      reserveModel(programs, device, model.dims ?? {})
      return {
        programs,
        assign: async (leaf, value) => {
          held.set(leaf, device.upload(value))
        },
        start: async own =>
          started(
            programs,
            runner,
            programs.indices.map(([, index]) => index),
            { own, planning, foreseen },
          ),
        dispose: async () => {
          freeAll(held.values())
          held.clear()
          await device.dispose()
        },
      }
    } catch (error) {
      await device.dispose()
      throw error
    }
  }

type Limit = CompilerOptions['recompute']

/**
 * The limit on recomputation with which a step on the batch that was named fits the budget, before there are weights;
 * undefined without both. @throws {SessionError} if no plan fits
 */
const foreseenLimit = (programs: Programs, model: Sizing, { memory, recompute, batch }: Planning): Limit => {
  if (memory === undefined || batch === undefined) return undefined
  try {
    return plansOf(programs, model, { recompute, memory }).planned(batch).recompute
  } catch (error) {
    // a size that only the weights fix was not named
    if (error instanceof DimsError) return undefined
    throw error
  }
}

/** Tests if the sizes of a batch are the named ones. */
const isAt = (batch: Environment = {}, size: Size): boolean =>
  Object.entries(batch).every(([name, named]) => size(name) === named)

/** Sums over micro-batches, and the buffers after the last of them. */
interface Summed<H> extends Sums {
  readonly sums: readonly H[]
  readonly buffers: BufferValues
}

const started = async <H>(
  programs: Programs,
  runner: Runner<H>,
  indices: readonly Node[],
  { own, planning, foreseen }: { readonly own: Environment; readonly planning: Planning; readonly foreseen: Limit },
): Promise<Engine> => {
  const { device, held, run, once, planned, making, number, download, freeAll } = runner
  const stateLeaves = programs.state.map(([, leaf]) => leaf)
  const first = await run(making(own, programs.initial))
  first.forEach((handle, i) => held.set(stateLeaves[i]!, handle))

  let update: { readonly follow: readonly Prepared[]; readonly made: Made<Replacing> } | undefined
  /** The update, made again if other prepared values must follow the weights: those that are held, and `more`. */
  const updating = (more: readonly Prepared[] = []): Made<Replacing> => {
    const follow = [...new Set([...runner.standing(), ...more])].filter(programs.isStale)
    if (update?.follow.length !== follow.length || !follow.every(prepared => update?.follow.includes(prepared))) {
      update = { follow, made: making(own, size => programs.update(size, follow)) }
    }
    return update.made
  }
  const certificateOf = (gradients: Made<Program>): Certificate => {
    const norm = once('norm', own, programs.norm)
    const of = updating(gradients.prepared)
    const prepared = new Set([...runner.standing(), ...gradients.prepared, ...norm.prepared, ...of.prepared])
    return certify(programs, indices, { gradients, norm, update: of, prepared })
  }
  /** The program of a step's gradients, within the budget if there is one. */
  const gradients = (size: Size): Program => {
    const { memory } = planning
    if (memory === undefined) return programs.gradients(size)
    const under = (recompute: CompilerOptions['recompute']) => {
      const program = programs.gradients(size, recompute)
      const { total, weights, state } = certificateOf({ program, size, prepared: programs.preparedFor(program) })
      return { program, limits: program.limits, bytes: total, fixed: weights + state }
    }
    const known = foreseen !== undefined && isAt(planning.batch, size) ? under(foreseen) : undefined
    return known !== undefined && known.bytes <= memory ? known.program : plannedWithin(under, memory).program
  }
  const certificate = (sizes: Environment): Certificate => certificateOf(once('gradients', sizes, gradients))
  /** The same, beside what the plan would come to that recomputes nothing. */
  const compared = (sizes: Environment): Certificate =>
    asksToRecompute(planning)
      ? comparedWith(certificate(sizes), certificateOf(making(sizes, size => programs.gradients(size, 'none'))))
      : certificate(sizes)
  const roomFor = new WeakSet<Program>()
  /** Uploads a batch, runs a program on it, and frees the batch. Memory is checked before the first run. */
  const onBatch = async (
    name: string,
    { values, sizes }: FedBatch,
    make: (size: Size) => Program,
    more: readonly (readonly [Node, H])[] = [],
    expressions: readonly Node[] = [],
  ): Promise<readonly H[]> => {
    const made = await planned(name, sizes, make, expressions)
    const { program } = made
    if (!roomFor.has(program)) {
      const bytes = name === 'gradients' ? certificate(sizes).total : device.bytes() + footprintOf(program.plan).peak
      if (name === 'gradients') checkWithin(bytes, planning.memory)
      checkMemory(device, bytes)
      device.reserve?.(bytes * (1 + fragmentation) - device.bytes())
      roomFor.add(program)
      await turn()
    }
    const fed = new Map(
      programs.batch
        .filter(([, leaf]) => program.inputs.includes(leaf))
        .map(([path, leaf]) => [leaf, device.upload(values.get(path)!)]),
    )
    try {
      return await run(made, new Map([...fed, ...more]))
    } finally {
      freeAll(fed.values())
    }
  }
  const feed = (nodes: readonly Node[], handles: readonly H[]): readonly (readonly [Node, H])[] =>
    nodes.map((n, i) => [n, handles[i]!])

  const added = async (sums: readonly H[], more: readonly H[]): Promise<readonly H[]> => {
    const adding = await planned('accumulate', own, programs.accumulate)
    return run(adding, new Map([...feed(programs.gradient, sums), ...feed(adding.program.more, more)]))
  }
  /** The sums of gradients over micro-batches, with the loss and the count; the caller owns the handles. */
  const summed = async (batches: readonly FedBatch[]): Promise<Summed<H>> => {
    let sums: readonly H[] = []
    let loss = 0
    let tokens = 0
    let buffers: BufferValues = new Map()
    try {
      for (const batch of batches) {
        const [sum, scored, ...rest] = await onBatch('gradients', withBuffers(batch, buffers), gradients)
        const next = rest.slice(0, programs.buffers.length)
        const given = rest.slice(programs.buffers.length)
        try {
          buffers = buffersOf(programs, await taken(next))
          sums = sums.length === 0 ? given : await added(sums, given)
        } catch (error) {
          freeAll([sum!, scored!, ...given])
          throw error
        }
        loss += await number(sum!)
        tokens += await number(scored!)
      }
      return { sums, loss, tokens, buffers }
    } catch (error) {
      freeAll(sums)
      throw error
    }
  }
  /** Runs a program that replaces values that the session holds; a failure within it leaves the weights undefined. */
  const replace = async (made: Made<Replacing>, fed: readonly (readonly [Node, H])[]): Promise<void> => {
    const { replaced } = made.program
    try {
      const handles = await run(made, new Map(fed))
      handles.forEach((handle, i) => held.set(replaced[i]!, handle))
      runner.release(prepared => programs.isStale(prepared) && !replaced.includes(prepared.placeholder))
    } catch (error) {
      runner.stop('the session stopped in the middle of an update: open a new one')
      throw error
    }
  }
  /** Divides once, checks the norm, and updates weights and state; it takes ownership of the sums. */
  const apply = async ({ sums, loss, tokens }: Summed<H>): Promise<number> => {
    const given = givenTo(updating().program, programs)
    const numbers = given.map(n =>
      device.upload({ sizes: [], dtype: 'f32', data: Float32Array.of(n === programs.count ? tokens : loss) }),
    )
    const fed = [...feed(programs.gradient, sums), ...feed(given, numbers)]
    let used: readonly Node[] = []
    try {
      const gradNorm = await number((await run(await planned('norm', own, programs.norm), new Map(fed)))[0]!)
      if (refusal({ loss, tokens, gradNorm }) !== undefined) return gradNorm
      // nothing else may be prepared between determining the values that must follow the weights and the update
      const made = updating()
      await replace(made, fed)
      used = made.program.inputs
      return gradNorm
    } finally {
      // the sums that the update read belong to it: it freed them, or the session now holds the values written into
      // them
      freeAll([...sums.filter((_, i) => !used.includes(programs.gradient[i]!)), ...numbers])
    }
  }
  /** Reads results, and frees them. */
  const taken = async (handles: readonly H[]): Promise<readonly Buffer[]> => {
    try {
      return await download(handles)
    } finally {
      freeAll(handles)
    }
  }

  return {
    name: device.name,
    limit: device.limit,
    step: async batches => {
      const result = await summed(batches)
      const { sums, ...rest } = result
      if (refusal(result) === undefined) return { ...rest, gradNorm: await apply(result) }
      freeAll(sums)
      return { ...rest, gradNorm: 0 }
    },
    evaluate: async batch => {
      const numbers = await taken(await onBatch('evaluate', batch, programs.evaluate))
      return averagesOf(numbers.map(({ data }) => Number(data[0])))
    },
    gradients: async batch => {
      const { sums, loss, tokens } = await summed([batch])
      return { loss, tokens, sums: await taken(sums) }
    },
    hvp: async (batch, tangents) => {
      const uploaded = tangents.map(device.upload)
      try {
        const [sum, scored, ...products] = await onBatch('hvp', batch, programs.hvp, feed(programs.gradient, uploaded))
        return { loss: await number(sum!), tokens: await number(scored!), products: await taken(products) }
      } finally {
        freeAll(uploaded)
      }
    },
    predict: async batch => taken(await onBatch('predict', batch, programs.predict)),
    compute: async (expressions, batch) =>
      taken(await onBatch('compute', batch, programs.compute(expressions), [], expressions)),
    decoder: () => deviceDecoder(programs, runner),
    parts: async () => taken(await run(once('focus', own, programs.focus))),
    state: () => download(stateLeaves.map(leaf => held.get(leaf)!)),
    write: async (parts, state) => {
      const follow = runner.standing().filter(programs.isStale)
      // the arguments are read before this waits
      const uploaded = parts.map(device.upload)
      freeAll(stateLeaves.map(leaf => held.get(leaf)!))
      stateLeaves.forEach((leaf, i) => held.set(leaf, device.upload(state[i]!)))
      await replace(
        making(own, size => programs.commit(size, follow)),
        feed(
          programs.trained.map(({ part }) => part),
          uploaded,
        ),
      )
    },
    certificate: compared,
    bytes: device.bytes,
    dispose: async () => {
      freeAll(held.values())
      held.clear()
      await device.dispose()
    },
  }
}
