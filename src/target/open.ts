import { bindDims, footprintOf, given, programsOf, sizing, type CompilerOptions, type Program, type Size, type Step } from '../compile/index.ts'
import { bytesPerElement, count, type DType, type Environment, type Node, type Shape, type Value } from '../tensor/index.ts'
import { isTensor, isValue, leaves, mapTree, unflatten, type Focus, type Lazy, type LazyLeaf, type Values } from '../tune/index.ts'
import { batchSources } from './bind.ts'
import { decoderOf } from './decoder.ts'
import { SessionError, type Buffer, type Device } from './device.ts'
import type { Held, Runner } from './runner.ts'
import type { Certificate, Dims, Session, StepResult } from './session.ts'

export interface SessionOptions<P> {
  readonly weights: Lazy<P>
  readonly dims?: Dims
  readonly compiler?: Omit<CompilerOptions, 'layOut' | 'expand'>
}

type AnyLeaf = LazyLeaf<Shape, DType>
const isLazy = (leaf: unknown): leaf is AnyLeaf => isValue(leaf) || (typeof leaf === 'object' && leaf !== null && 'read' in leaf && typeof leaf.read === 'function')

/** Opens a session of a step on a device: uploads weights leaf by leaf, chooses columns, makes the first optimizer state. */
export const openSession = async <P, Q, M, S, B, L extends Shape, H>(
  step: Step<P, Q, M, S, B, L>, device: Device<H>, { weights, dims = {}, compiler = {} }: SessionOptions<P>): Promise<Session<Q, M, S, B, L>> => {
  const { tuned } = step, { model } = tuned
  const programs = programsOf(step, { ...compiler, layOut: device.layOut, expand: device.expand }), held: Held<H> = new Map()
  let environment: Environment = bindDims([...given('the model', model.dims ?? {}), ...given('dims', dims)])

  const lazy = new Map(leaves<AnyLeaf>(weights, isLazy))
  const sources = [...given('the model', model.dims ?? {})]
  for (const [path, leaf] of programs.params) {
    const found = lazy.get(path)
    if (found === undefined) throw new SessionError(`the weights have no ${path}`)
    const value: Value<Shape, DType> = isValue(found) ? found : await found.read()
    if (value.dtype !== leaf.dtype) throw new SessionError(`${path} is ${value.dtype}, not ${leaf.dtype}`)
    sources.push({ where: path, shape: leaf.shape, sizes: value.sizes })
    environment = bindDims(sources)
    held.set(leaf, device.upload(value))
  }
  environment = bindDims([...sources, ...given('dims', dims)])
  const base = sizing(environment)

  const columns = new Map<string, Int32Array>()
  for (const { path, index, choose } of tuned.selections) {
    const leaf = programs.params.find(([p]) => p === path)![1], width = base(leaf.shape[0]!), rank = base(index.shape[0]!)
    if (rank > width) throw new SessionError(`rank ${rank} is above the width of ${path}, which has ${width} columns`)
    const chosen = choose(width)
    checkIndex(path, chosen, rank, width)
    columns.set(path, chosen)
    held.set(index, device.upload({ sizes: [rank], dtype: 'i32', data: chosen }))
  }

  let broken: string | undefined
  const run = (program: Program, size: Size, extra: ReadonlyMap<Node, H> = new Map()): readonly H[] => {
    if (broken !== undefined) throw new SessionError(broken)
    for (const prepared of programs.prepared()) {
      if (held.has(prepared.placeholder)) continue
      const making = programs.prepare(prepared)
      held.set(prepared.placeholder, device.run(making.plan, making.inputs.map(n => held.get(n)!), prepared.size)[0]!)
    }
    return device.run(program.plan, program.inputs.map(n => extra.get(n) ?? held.get(n)!), size)
  }
  const runner: Runner<H> = { held, device, run }
  /** Programs are made once for each set of sizes. */
  const made = new Map<string, { readonly program: unknown; readonly size: Size }>()
  const once = <R extends Program>(name: string, sizes: Environment, make: (size: Size) => R): { readonly program: R; readonly size: Size } => {
    const key = `${name} ${JSON.stringify(sizes)}`, known = made.get(key) as { readonly program: R; readonly size: Size } | undefined
    if (known) return known
    const size = sizing(sizes, model.capacities), fresh = { program: make(size), size }
    made.set(key, fresh)
    return fresh
  }
  const initialState = once('initial', environment, programs.initial)
  run(initialState.program, base).forEach((handle, i) => held.set(programs.state[i]![1], handle))

  /** Uploads a batch, runs a program on it, and frees the batch. */
  const onBatch = <R extends Program>(name: string, batch: Values<B>, overrides: Dims, make: (size: Size) => R): readonly H[] => {
    const values = new Map(leaves<Buffer>(batch, isValue))
    const sizes = bindDims([...sources, ...batchSources(programs.batch, values), ...given('dims', { ...dims, ...overrides })])
    checkMemory(sizes)
    const { program, size } = once(name, sizes, make)
    const fed = new Map(programs.batch.filter(([, leaf]) => program.inputs.includes(leaf)).map(([path, leaf]) => [leaf, device.upload(values.get(path)!)]))
    try { return run(program, size, fed) } finally { for (const handle of fed.values()) device.free(handle) }
  }
  const number = async (handle: H): Promise<number> => {
    const { data } = await device.download(handle)
    device.free(handle)
    return Number(data[0])
  }
  const freeAll = (handles: readonly H[]): void => { for (const handle of handles) device.free(handle) }
  const downloadTree = async (nodes: readonly Node[], handles: readonly H[], release: boolean): Promise<readonly Value<Shape, DType>[]> => {
    const values: Value<Shape, DType>[] = []
    for (const [i, handle] of handles.entries()) {
      const buffer = await device.download(handle)
      if (release) device.free(handle)
      values.push({ ...buffer, shape: nodes[i]!.shape } as Value<Shape, DType>)
    }
    return values
  }
  const focusTree = (values: readonly unknown[]): Values<Focus<Q, M>> => treeAt(tuned.params, programs.trained.map(({ path }) => path), values) as Values<Focus<Q, M>>

  const bytesOfPlaceholders = (nodes: readonly Node[], size: Size): number => nodes.reduce((sum, n) => sum + count(n.shape.map(size)) * bytesPerElement[n.dtype], 0)
  const certified = new Map<string, Certificate>()
  const certificate = (sizes: Environment): Certificate => {
    const key = JSON.stringify(sizes), known = certified.get(key)
    if (known) return known
    const { program, size } = once('gradients', sizes, programs.gradients), update = once('update', environment, programs.update)
    const commit = programs.commit(size)
    const leavesAndIndices = [...programs.params.map(([, leaf]) => leaf), ...tuned.selections.map(({ index }) => index)]
    const weights = bytesOfPlaceholders(leavesAndIndices, size) + programs.prepared().reduce((sum, { placeholder, size: own }) => sum + bytesOfPlaceholders([placeholder], own), 0)
    const state = bytesOfPlaceholders(programs.state.map(([, leaf]) => leaf), size)
    const batch = bytesOfPlaceholders(programs.batch.map(([, leaf]) => leaf), size), gradient = bytesOfPlaceholders(programs.gradient, size) + 4
    const transient = Math.max(
      batch + footprintOf(program.plan).peak,
      gradient + footprintOf(programs.norm(size).plan).peak,
      gradient + footprintOf(update.program.plan).peak,
      bytesOfPlaceholders(programs.trained.map(({ part }) => part), size) + footprintOf(commit.plan).peak)
    const result = { weights, state, transient, total: weights + state + transient }
    certified.set(key, result)
    return result
  }
  const checkMemory = (sizes: Environment): void => {
    if (device.limit === undefined) return
    const { total } = certificate(sizes), megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`
    if (total > device.limit) {
      throw new SessionError(`a step needs ${megabytes(total)}, and ${device.name} can hold ${megabytes(device.limit)}: take a smaller batch or shorter rows`)
    }
  }

  /** Replaces what a commit replaces; from here to its end a failure leaves the weights undefined. */
  const commit = (parts: readonly H[]): void => {
    const program = programs.commit(base), fed = new Map(programs.trained.map(({ part }, i) => [part, parts[i]!]))
    try {
      run(program, base, fed).forEach((handle, i) => held.set(program.replaced[i]!, handle))
    } catch (error) {
      broken = 'the session stopped in the middle of an update: open a new one'
      throw error
    }
  }

  const session: Session<Q, M, S, B, L> = {
    target: device.name,
    columns,
    step: async (batches, overrides = {}): Promise<StepResult> => {
      let sums: readonly H[] = [], loss = 0, tokens = 0
      try {
        for (const batch of batches) {
          const [sum, scored, ...gradients] = onBatch('gradients', batch, overrides, programs.gradients)
          loss += await number(sum!)
          tokens += await number(scored!)
          if (sums.length === 0) { sums = gradients; continue }
          const { program } = once('accumulate', environment, programs.accumulate)
          const added = run(program, base, new Map([...programs.gradient.map((g, i) => [g, sums[i]!] as const), ...program.more.map((g, i) => [g, gradients[i]!] as const)]))
          sums = added
        }
        if (!(tokens > 0)) throw new SessionError('the step has no scored token')
        if (!Number.isFinite(loss)) throw new SessionError(`the loss is ${loss}: nothing was updated`)
        const countHandle = device.upload({ sizes: [], dtype: 'f32', data: Float32Array.of(tokens) })
        try {
          const fed = new Map([...programs.gradient.map((g, i) => [g, sums[i]!] as const), [programs.count, countHandle] as const])
          const gradNorm = await number(run(once('norm', environment, programs.norm).program, base, fed)[0]!)
          if (!Number.isFinite(gradNorm)) throw new SessionError(`the norm of the gradient is ${gradNorm}: nothing was updated`)
          const update = once('update', environment, programs.update)
          const results = run(update.program, base, fed)
          sums = []
          results.slice(programs.trained.length).forEach((handle, i) => held.set(programs.state[i]![1], handle))
          commit(results.slice(0, programs.trained.length))
          return { loss: loss / tokens, gradNorm, tokens }
        } finally { device.free(countHandle) }
      } catch (error) {
        freeAll(sums)
        throw error
      }
    },
    steps: async function* (batches) { for await (const batch of batches) yield await session.step(batch) },
    evaluate: async (batch, overrides = {}) => {
      const [sum, scored] = onBatch('evaluate', batch, overrides, programs.evaluate)
      return { sum: await number(sum!), count: await number(scored!) }
    },
    gradients: async (batch, overrides = {}) => {
      const [sum, scored, ...gradients] = onBatch('gradients', batch, overrides, programs.gradients)
      device.free(sum!)
      const divisor = await number(scored!), values = await downloadTree(programs.gradient, gradients, true)
      return focusTree(values.map(value => ({ ...value, data: (value.data as Float32Array).map(x => x / divisor) })))
    },
    logits: async (batch, overrides = {}) => {
      const [logits] = onBatch('logits', batch, overrides, programs.logits)
      const [value] = await downloadTree([model.logits(tuned.weight(tuned.params), model.batch)], [logits!], true)
      return value as unknown as Value<L>
    },
    decoder: options => decoderOf(programs, runner, (sizes, make) => once('decode', bindDims([...sources, ...given('dims', sizes)]), make), options),
    read: async () => {
      const { program, size } = once('focus', environment, programs.focus)
      const parts = run(program, size)
      const focus = focusTree(await downloadTree(programs.trained.map(({ part }) => part), parts, true))
      const state = await downloadTree(programs.state.map(([, leaf]) => leaf), programs.state.map(([, leaf]) => held.get(leaf)!), false)
      return { focus, state: unflatten(step.state, state) as Values<S> }
    },
    write: async saved => {
      const focus = new Map(leaves<Buffer>(saved.focus, isValue)), state = new Map(leaves<Buffer>(saved.state, isValue))
      const uploadAll = (declared: readonly (readonly [string, Node])[], from: ReadonlyMap<string, Buffer>, what: string) => declared.map(([path, leaf]) => {
        const value = from.get(path)
        if (value === undefined) throw new SessionError(`the saved ${what} has no ${path}`)
        if (value.dtype !== leaf.dtype || value.sizes.join() !== leaf.shape.map(base).join()) throw new SessionError(`${path} of the saved ${what} is [${value.sizes.join(', ')}] ${value.dtype}`)
        return () => device.upload(value)
      })
      // everything is checked before anything is replaced
      const parts = uploadAll(programs.trained.map(({ path, part }) => [path, part]), focus, 'focus'), states = uploadAll(programs.state, state, 'state')
      commit(parts.map(upload => upload()))
      states.forEach((upload, i) => {
        const leaf = programs.state[i]![1]
        device.free(held.get(leaf)!)
        held.set(leaf, upload())
      })
    },
    certificate: batchDims => certificate(bindDims([...sources, ...given('dims', { ...dims, ...batchDims })])),
    limit: device.limit,
    bytes: device.bytes,
    [Symbol.asyncDispose]: async () => {
      freeAll([...held.values()])
      held.clear()
      broken = 'the session is disposed'
      await device.dispose()
    },
  }
  return session
}

const checkIndex = (path: string, index: Int32Array, rank: number, width: number): void => {
  const distinct = new Set(index)
  if (index.length !== rank) throw new SessionError(`${path} has ${index.length} chosen columns, and the rank is ${rank}`)
  if (distinct.size !== rank || index.some(i => i < 0 || i >= width)) throw new SessionError(`the chosen columns of ${path} are not ${rank} different ones below ${width}`)
}

/** A tree of the structure of `like` with values at some paths, and nothing elsewhere. */
const treeAt = (like: unknown, paths: readonly string[], values: readonly unknown[]): unknown => {
  const at = new Map(paths.map((path, i) => [path, values[i]]))
  return mapTree(like, isTensor, (_, path) => at.get(path))
}
