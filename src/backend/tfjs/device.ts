import type { InPlace, Instruction, Plan, Slot } from '../../compile/index.ts'
import { bytesPerElement, count, misfitOf, type Dim, type DType, type Node } from '../../tensor/index.ts'
import { pieces, SessionError, type Buffer, type Device } from '../device.ts'
import { finished, settled, type Awaitable, type Work } from '../work.ts'
import type { Call, Lowering, Lowerings, OpName } from './lowering.ts'
import type { TensorInfo, TfjsTensor } from './wasm/index.ts'

/** The part of a tfjs backend that the executor needs. */
export interface Backend {
  readonly name: string
  readonly lowerings: Lowerings & { readonly steps?: Lowering }
  /** The lowering for an op that the table does not know. */
  readonly fallback: Lowering
  readonly limit: number | undefined
  /**
   * Runs a function with the backend as tfjs's current one, on which kernels make their tensors; the program may have
   * another.
   */
  readonly within: <A>(work: () => A) => A
  /** Registers a buffer that a kernel made as one of tfjs's tensors. */
  readonly track: (info: TensorInfo) => TfjsTensor
  readonly upload: (buffer: Buffer) => TfjsTensor
  /** The numbers of a buffer, while a plan runs. */
  readonly read: (x: TensorInfo) => Awaitable<ArrayLike<number>>
  readonly download: (tensor: TfjsTensor) => Promise<Buffer['data']>
  /** The inputs whose buffers the lowerings can write to. */
  readonly inPlace: InPlace
  /** Tests for nodes that a lowering `steps` runs in one pass with their neighbours. */
  readonly isStep?: (n: Node) => boolean
  /**
   * The same data with other sizes, if the backend's own buffers know their sizes; without it, a buffer takes the sizes
   * of its handle.
   */
  readonly view?: (x: TensorInfo, sizes: readonly number[]) => TfjsTensor
  readonly reserve?: (bytes: number) => void
  readonly dispose: () => Promise<void>
}

type Computing = Extract<Instruction, { readonly kind: 'run' | 'update' }>

const dtypeOf: { readonly [name: string]: DType } = { float32: 'f32', int32: 'i32', bool: 'bool' }

/**
 * A handle on a buffer, which kernels take as a tensor. Reshapes share one tfjs tensor and are counted here, because
 * tfjs counts the bytes of every tensor that views a buffer.
 */
export interface Handle extends TensorInfo {
  readonly owner: { readonly tensor: TfjsTensor; handles: number }
  readonly view?: TfjsTensor
}

/** Runs plans as tfjs kernel calls: no tape, no tidy, and every buffer is freed at its place in the plan. */
export const tfjsDevice = (backend: Backend): Device<Handle> => {
  const prepared = new WeakMap<Instruction, ReturnType<Lowering>>()
  let bytes = 0
  const bytesOf = ({ shape, dtype }: TfjsTensor): number => count(shape) * bytesPerElement[dtypeOf[dtype]!]
  const handleOf = (tensor: TfjsTensor): Handle => {
    bytes += bytesOf(tensor)
    return { dataId: tensor.dataId, shape: tensor.shape, dtype: tensor.dtype, owner: { tensor, handles: 1 } }
  }
  const aliasOf = (x: Handle, sizes: readonly number[]): Handle => {
    const { dataId, dtype, owner } = x
    const view = backend.view?.(x, sizes)
    owner.handles += 1
    return { dataId: view?.dataId ?? dataId, dtype, shape: [...sizes], owner, ...(view === undefined ? {} : { view }) }
  }
  const free = ({ owner, view }: Handle): void => {
    view?.dispose()
    owner.handles -= 1
    if (owner.handles > 0) return
    bytes -= bytesOf(owner.tensor)
    owner.tensor.dispose()
  }
  const callOf = ({ node, inputs, output }: Computing, slots: readonly Slot[], size: (dim: Dim) => number): Call => ({
    node,
    inputs: inputs.map(slot => slots[slot]!),
    output: slots[output]!,
    size,
  })
  const lower = (call: Call): ReturnType<Lowering> => {
    // kernels copy by the given sizes, whatever made the plan
    const misfit = misfitOf(call.node, call.size)
    if (misfit !== undefined) throw new SessionError(misfit)
    const lowering = Object.hasOwn(backend.lowerings, call.node.op.name)
      ? backend.lowerings[call.node.op.name as OpName]
      : undefined
    // an op from outside the language, without an expansion, runs by its own meaning
    return (lowering ?? backend.fallback)(call)
  }
  const preparedFor = (
    instruction: Computing,
    slots: readonly Slot[],
    size: (dim: Dim) => number,
  ): ReturnType<Lowering> => {
    const known = prepared.get(instruction) ?? lower(callOf(instruction, slots, size))
    prepared.set(instruction, known)
    return known
  }
  function* run(plan: Plan, inputs: readonly Handle[], size: (dim: Dim) => number): Work<readonly Handle[]> {
    const held = new Map<number, Handle>(plan.inputs.map((slot, i) => [slot, inputs[i]!]))
    const at = (slot: number): Handle => held.get(slot)!
    try {
      for (const instruction of plan.instructions) {
        switch (instruction.kind) {
          case 'run':
          case 'update': {
            const into = instruction.kind === 'update' ? at(instruction.target) : undefined
            const known = preparedFor(instruction, plan.slots, size)
            const own = instruction.inputs.map(at)
            const made =
              typeof known === 'function'
                ? known(own, into)
                : known.run(yield* settled(known.reads.map(i => backend.read(own[i]!))), own, into)
            if (into !== undefined && made !== into)
              throw new Error(`${instruction.node.op.name} was planned in place and did not run so`)
            held.set(instruction.output, into ?? handleOf(backend.track(made)))
            if (instruction.kind === 'update') held.delete(instruction.target)
            break
          }
          case 'alias':
            held.set(instruction.output, aliasOf(at(instruction.input), plan.slots[instruction.output]!.sizes))
            break
          case 'call':
            for (const [i, tensor] of (yield* run(instruction.plan, instruction.inputs.map(at), size)).entries())
              held.set(instruction.outputs[i]!, tensor)
            break
          case 'free':
            free(at(instruction.slot))
            held.delete(instruction.slot)
            break
        }
      }
      return plan.outputs.map(at)
    } catch (error) {
      const given = new Set(plan.inputs)
      for (const [slot, tensor] of held) if (!given.has(slot)) free(tensor)
      throw error
    }
  }
  return {
    name: backend.name,
    limit: backend.limit,
    traits: {
      layOut: true,
      chunk: pieces,
      inPlace: backend.inPlace,
      ...(backend.isStep ? { isStep: backend.isStep } : {}),
      runs: name => Object.hasOwn(backend.lowerings, name),
    },
    ...(backend.reserve ? { reserve: backend.reserve } : {}),
    upload: buffer => handleOf(backend.within(() => backend.upload(buffer))),
    download: async handle => ({
      sizes: handle.shape,
      dtype: dtypeOf[handle.dtype]!,
      data: await backend.download(handle.owner.tensor),
    }),
    free,
    isHeld: ({ owner }) => owner.handles > 0,
    run: (...of) => finished(run(...of), backend.within),
    bytes: () => bytes,
    dispose: backend.dispose,
  }
}

/** A buffer's data in the type that tfjs takes; 16-bit data has no such type. */
export const tfjsData = ({ sizes, dtype, data }: Buffer, name: string): Float32Array | Int32Array | Uint8Array => {
  if (dtype === 'bf16' || dtype === 'f16')
    throw new SessionError(`${name} computes in float32: convert ${dtype} values first`)
  if (data.length !== count(sizes))
    throw new SessionError(`a value of sizes [${sizes.join(', ')}] has ${data.length} elements`)
  return data as Float32Array | Int32Array | Uint8Array
}
