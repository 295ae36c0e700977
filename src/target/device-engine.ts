import { footprintOf, programsOf, sizing, type Program, type Programs, type Replacing, type Size } from '../compile/index.ts'
import { count, sizesOf, type Environment, type Node } from '../tensor/index.ts'
import { certify, checkMemory, givenTo, updateProgram } from './certificate.ts'
import type { Buffer, Device } from './device.ts'
import { deviceDecoder } from './device-decoder.ts'
import { refusal, type Engine, type FedBatch, type OpenEngine, type Sums } from './engine.ts'
import { runnerOn, type Made, type Runner } from './runner.ts'
import type { Certificate } from './session.ts'

/**
 * What freed pieces too small to be used again take of a heap, as a share of a step: 4 to 9% were measured. Without this reserve
 * a heap that runs over grows by much more at once.
 */
const fragmentation = 0.09

/** Makes room for weights and state before the first leaf is read, where the model itself says how large it is. */
const reserveModel = <H>({ params, state }: Programs, { reserve }: Device<H>, dims: Environment): void => {
  const sizes = [...params, ...state].map(([, leaf]) => sizesOf(dims, leaf.shape))
  reserve?.(4.04 * sizes.reduce((sum, s) => sum + (s._tag === 'Right' ? count(s.right) : 0), 0))
}

/**
 * The engine that runs plans on a device, one instruction after the other. It owns the device.
 * @example await using session = await openSession(step, deviceEngine(referenceDevice()), { weights })
 */
export const deviceEngine = <H>(device: Device<H>): OpenEngine => async (step, compiler) => {
  try {
    const { model } = step.tuned, programs = programsOf(step, { ...compiler, ...device.traits })
    const runner = runnerOn(device, programs, model.capacities), { held, freeAll } = runner
    reserveModel(programs, device, model.dims ?? {})
    return {
      programs,
      assign: async (leaf, value) => { held.set(leaf, device.upload(value)) },
      start: async own => started(programs, runner, programs.indices.map(([, index]) => index), own),
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

const started = <H>(programs: Programs, runner: Runner<H>, indices: readonly Node[], own: Environment): Engine => {
  const { device, held, run, once, number, download, freeAll } = runner, size = sizing(own)
  const stateLeaves = programs.state.map(([, leaf]) => leaf)
  run(once('initial', own, programs.initial).program, size).forEach((handle, i) => held.set(stateLeaves[i]!, handle))

  const certified = new Map<string, Certificate>()
  const certificate = (sizes: Environment): Certificate => {
    const key = JSON.stringify(sizes), known = certified.get(key) ?? certify(programs, runner, indices, sizes, own)
    certified.set(key, known)
    return known
  }
  const roomFor = new Set<Program>()
  /** Uploads a batch, runs a program on it, and frees the batch. Before its first run there must be room for it. */
  const onBatch = (name: string, { values, sizes }: FedBatch, make: (size: Size) => Program, more: readonly (readonly [Node, H])[] = []): readonly H[] => {
    const { program, size: bound } = once(name, sizes, make)
    if (!roomFor.has(program)) {
      const bytes = name === 'gradients' ? certificate(sizes).total : device.bytes() + footprintOf(program.plan).peak
      checkMemory(device, bytes)
      device.reserve?.(bytes * (1 + fragmentation) - device.bytes())
      roomFor.add(program)
    }
    const fed = new Map(programs.batch.filter(([, leaf]) => program.inputs.includes(leaf)).map(([path, leaf]) => [leaf, device.upload(values.get(path)!)]))
    try { return run(program, bound, new Map([...fed, ...more])) } finally { freeAll(fed.values()) }
  }
  const feed = (nodes: readonly Node[], handles: readonly H[]): readonly (readonly [Node, H])[] => nodes.map((n, i) => [n, handles[i]!])

  /** The sums of gradients over micro-batches, with the loss and the count; the caller owns the handles. */
  const summed = async (batches: readonly FedBatch[]): Promise<Sums & { readonly sums: readonly H[] }> => {
    let sums: readonly H[] = [], loss = 0, tokens = 0
    try {
      for (const batch of batches) {
        const [sum, scored, ...gradients] = onBatch('gradients', batch, programs.gradients)
        const adding = sums.length === 0 ? undefined : once('accumulate', own, programs.accumulate).program
        sums = adding ? run(adding, size, new Map([...feed(programs.gradient, sums), ...feed(adding.more, gradients)])) : gradients
        loss += await number(sum!)
        tokens += await number(scored!)
      }
      return { sums, loss, tokens }
    } catch (error) {
      freeAll(sums)
      throw error
    }
  }
  /** Runs a program that replaces what the session holds; a failure within it leaves the weights undefined. */
  const replace = ({ program }: Made<Replacing>, fed: readonly (readonly [Node, H])[]): void => {
    try {
      run(program, size, new Map(fed)).forEach((handle, i) => held.set(program.replaced[i]!, handle))
    } catch (error) {
      runner.stop('the session stopped in the middle of an update: open a new one')
      throw error
    }
  }
  /** Divides once, checks the norm, updates weights and state; takes the sums over. */
  const apply = async ({ sums, loss, tokens }: Sums & { readonly sums: readonly H[] }): Promise<number> => {
    const update = updateProgram(programs, runner, own), given = givenTo(update.program, programs)
    const numbers = given.map(n => device.upload({ sizes: [], dtype: 'f32', data: Float32Array.of(n === programs.count ? tokens : loss) }))
    const fed = [...feed(programs.gradient, sums), ...feed(given, numbers)]
    let owned = sums
    try {
      const gradNorm = await number(run(once('norm', own, programs.norm).program, size, new Map(fed))[0]!)
      if (refusal({ loss, tokens, gradNorm }) !== undefined) return gradNorm
      owned = []
      replace(update, fed)
      return gradNorm
    } finally {
      freeAll(owned)
      freeAll(numbers)
    }
  }
  /** Reads results, and frees them. */
  const taken = async (handles: readonly H[]): Promise<readonly Buffer[]> => {
    try { return await download(handles) } finally { freeAll(handles) }
  }

  return {
    name: device.name,
    limit: device.limit,
    step: async batches => {
      const result = await summed(batches), { sums, loss, tokens } = result
      if (refusal(result) === undefined) return { loss, tokens, gradNorm: await apply(result) }
      freeAll(sums)
      return { loss, tokens, gradNorm: Number.NaN }
    },
    evaluate: async batch => {
      const [sum, scored] = onBatch('evaluate', batch, programs.evaluate)
      return { loss: await number(sum!), tokens: await number(scored!) }
    },
    gradients: async batch => {
      const { sums, ...rest } = await summed([batch])
      return { ...rest, sums: await taken(sums) }
    },
    hvp: async (batch, tangents) => {
      const uploaded = tangents.map(device.upload)
      try {
        const [sum, scored, ...products] = onBatch('hvp', batch, programs.hvp, feed(programs.gradient, uploaded))
        return { loss: await number(sum!), tokens: await number(scored!), products: await taken(products) }
      } finally { freeAll(uploaded) }
    },
    logits: async batch => (await taken(onBatch('logits', batch, programs.logits)))[0]!,
    decoder: () => deviceDecoder(programs, runner),
    parts: () => taken(run(once('focus', own, programs.focus).program, size)),
    state: () => download(stateLeaves.map(leaf => held.get(leaf)!)),
    write: async (parts, state) => {
      replace({ program: programs.commit(size), size }, feed(programs.trained.map(({ part }) => part), parts.map(device.upload)))
      freeAll(stateLeaves.map(leaf => held.get(leaf)!))
      stateLeaves.forEach((leaf, i) => held.set(leaf, device.upload(state[i]!)))
    },
    certificate,
    bytes: device.bytes,
    dispose: async () => {
      freeAll(held.values())
      held.clear()
      await device.dispose()
    },
  }
}
