import { bindDims, footprintOf, given, programsOf, sizing, type CompilerOptions, type Program, type Replacing, type Size, type Step } from '../compile/index.ts'
import type { Environment, Node, Shape, Value } from '../tensor/index.ts'
import { isValue, leaves, unflatten, type Focus, type Lazy, type Values } from '../tune/index.ts'
import { batchSources } from './bind.ts'
import { certify, checkMemory, updateProgram } from './certificate.ts'
import { decoderOf } from './decoder.ts'
import { SessionError, type Buffer, type Device } from './device.ts'
import { runnerOn, type Made } from './runner.ts'
import type { Certificate, Dims, Session, StepResult } from './session.ts'
import { uploadChoices, uploadWeights } from './weights.ts'

export interface SessionOptions<P> {
  readonly weights: Lazy<P>
  readonly dims?: Dims
  readonly compiler?: CompilerOptions
}

/**
 * What freed pieces too small to be used again take of a heap, as a share of a step: 4 to 9% were measured. Without this reserve
 * a heap that runs over grows by much more at once.
 */
const fragmentation = 0.09

/** Opens a session of a step on a device: uploads weights leaf by leaf, chooses columns, makes the first optimizer state. */
export const openSession = async <P, Q, M, S, B, L extends Shape, H>(
  step: Step<P, Q, M, S, B, L>, device: Device<H>, { weights, dims = {}, compiler = {} }: SessionOptions<P>): Promise<Session<Q, M, S, B, L>> => {
  const { tuned } = step, { model } = tuned
  const programs = programsOf(step, { ...compiler, ...device.traits })
  const runner = runnerOn(device, programs, model.capacities), { held, run, once, number, download, freeAll } = runner
  const sources = await uploadWeights(programs, weights, runner, model.dims ?? {})
  const own = bindDims([...sources, ...given('dims', dims)]), size = sizing(own)
  const columns = uploadChoices(programs, tuned.selections, runner, size)
  run(once('initial', own, programs.initial).program, size).forEach((handle, i) => held.set(programs.state[i]![1], handle))

  const certified = new Map<string, Certificate>()
  const certificate = (sizes: Environment): Certificate => {
    const key = JSON.stringify(sizes), known = certified.get(key) ?? certify(programs, runner, tuned.selections.map(({ index }) => index), sizes, own)
    certified.set(key, known)
    return known
  }
  const roomFor = new Set<Program>()
  /** Uploads a batch, runs a program on it, and frees the batch. Before its first run there must be room for it. */
  const onBatch = (name: string, batch: Values<B>, overrides: Dims, make: (size: Size) => Program): readonly H[] => {
    const values = new Map(leaves<Buffer>(batch, isValue))
    const sizes = bindDims([...sources, ...batchSources(programs.batch, values), ...given('dims', { ...dims, ...overrides })])
    const { program, size: bound } = once(name, sizes, make)
    if (!roomFor.has(program)) {
      const bytes = name === 'gradients' ? certificate(sizes).total : device.bytes() + footprintOf(program.plan).peak
      checkMemory(device, bytes)
      device.reserve?.(bytes * (1 + fragmentation) - device.bytes())
      roomFor.add(program)
    }
    const fed = new Map(programs.batch.filter(([, leaf]) => program.inputs.includes(leaf)).map(([path, leaf]) => [leaf, device.upload(values.get(path)!)]))
    try { return run(program, bound, fed) } finally { freeAll(fed.values()) }
  }
  const feed = (nodes: readonly Node[], handles: readonly H[]): readonly (readonly [Node, H])[] => nodes.map((n, i) => [n, handles[i]!])

  /** The sums of gradients over micro-batches, with the loss and the count; the caller owns the handles. */
  const summed = async (batches: readonly Values<B>[], overrides: Dims): Promise<{ readonly sums: readonly H[]; readonly loss: number; readonly tokens: number }> => {
    let sums: readonly H[] = [], loss = 0, tokens = 0
    try {
      for (const batch of batches) {
        const [sum, scored, ...gradients] = onBatch('gradients', batch, overrides, programs.gradients)
        const adding = sums.length === 0 ? undefined : once('accumulate', own, programs.accumulate).program
        sums = adding ? run(adding, size, new Map([...feed(programs.gradient, sums), ...feed(adding.more, gradients)])) : gradients
        loss += await number(sum!)
        tokens += await number(scored!)
      }
      if (!(tokens > 0)) throw new SessionError('the step has no scored token')
      if (!Number.isFinite(loss)) throw new SessionError(`the loss is ${loss}: nothing was updated`)
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
  /** Divides once, checks the norm, updates weights and state. */
  const apply = async (sums: readonly H[], tokens: number): Promise<number> => {
    const divisor = device.upload({ sizes: [], dtype: 'f32', data: Float32Array.of(tokens) })
    const fed = [...feed(programs.gradient, sums), [programs.count, divisor] as const]
    let owned = sums
    try {
      const gradNorm = await number(run(once('norm', own, programs.norm).program, size, new Map(fed))[0]!)
      if (!Number.isFinite(gradNorm)) throw new SessionError(`the norm of the gradient is ${gradNorm}: nothing was updated`)
      owned = []
      replace(updateProgram(programs, runner, own), fed)
      return gradNorm
    } finally {
      freeAll(owned)
      device.free(divisor)
    }
  }
  /** A tree of the structure of the focus. */
  const focusTree = (values: readonly unknown[]) => programs.focusTree(values) as Values<Focus<Q, M>>
  const stateLeaves = programs.state.map(([, leaf]) => leaf)

  const session: Session<Q, M, S, B, L> = {
    target: device.name,
    limit: device.limit,
    columns,
    step: async (batches, overrides = {}): Promise<StepResult> => {
      const { sums, loss, tokens } = await summed(batches, overrides)
      return { loss: loss / tokens, gradNorm: await apply(sums, tokens), tokens }
    },
    steps: async function* (batches) { for await (const batch of batches) yield await session.step(batch) },
    evaluate: async (batch, overrides = {}) => {
      const [sum, scored] = onBatch('evaluate', batch, overrides, programs.evaluate)
      return { sum: await number(sum!), count: await number(scored!) }
    },
    gradients: async (batch, overrides = {}) => {
      const { sums, tokens } = await summed([batch], overrides), values = await download(programs.gradient, sums)
      freeAll(sums)
      return focusTree(values.map(value => ({ ...value, data: (value.data as Float32Array).map(x => x / tokens) })))
    },
    logits: async (batch, overrides = {}) => {
      const handles = onBatch('logits', batch, overrides, programs.logits), [value] = await download([programs.declared], handles)
      freeAll(handles)
      // the program's result has the shape that the model declares
      return value as unknown as Value<L>
    },
    decoder: options => decoderOf(programs, runner, sizes => bindDims([...sources, ...given('dims', sizes)]), options),
    read: async () => {
      const parts = run(once('focus', own, programs.focus).program, size)
      const focus = focusTree(await download(programs.trained.map(({ part }) => part), parts))
      freeAll(parts)
      return { focus, state: unflatten(step.state, await download(stateLeaves, stateLeaves.map(leaf => held.get(leaf)!))) as Values<S> }
    },
    write: async saved => {
      const uploads = (declared: readonly (readonly [string, Node])[], from: unknown, what: string): readonly (() => H)[] => {
        const values = new Map(leaves<Buffer>(from, isValue))
        return declared.map(([path, leaf]) => {
          const value = values.get(path)
          if (value === undefined) throw new SessionError(`the saved ${what} has no ${path}`)
          if (value.dtype !== leaf.dtype || value.sizes.join() !== leaf.shape.map(size).join()) {
            throw new SessionError(`${path} of the saved ${what} is [${value.sizes.join(', ')}] ${value.dtype}, not [${leaf.shape.map(size).join(', ')}] ${leaf.dtype}`)
          }
          return () => device.upload(value)
        })
      }
      // everything is checked before anything is replaced
      const parts = uploads(programs.trained.map(({ path, part }) => [path, part]), saved.focus, 'focus'), states = uploads(programs.state, saved.state, 'state')
      replace({ program: programs.commit(size), size }, feed(programs.trained.map(({ part }) => part), parts.map(upload => upload())))
      freeAll(stateLeaves.map(leaf => held.get(leaf)!))
      states.forEach((upload, i) => held.set(stateLeaves[i]!, upload()))
    },
    certificate: batchDims => certificate(bindDims([...sources, ...given('dims', { ...dims, ...batchDims })])),
    bytes: device.bytes,
    [Symbol.asyncDispose]: async () => {
      freeAll(held.values())
      held.clear()
      runner.stop('the session is disposed')
      await device.dispose()
    },
  }
  return session
}

