import { sizing, type Program, type Programs, type Size } from '../compile/index.ts'
import type { Environment, Node, Shape } from '../tensor/index.ts'
import { SessionError, type Buffer, type Device } from './device.ts'

/** A program with the sizes that it was made for. */
export interface Made<R extends Program> { readonly program: R; readonly size: Size }

/** Runs programs against what a session holds: a handle for every placeholder that programs read. */
export interface Runner<H> {
  readonly device: Device<H>
  readonly held: Map<Node, H>
  /** Runs a program; `extra` are handles for this run alone. */
  readonly run: (program: Program, size: Size, extra?: ReadonlyMap<Node, H>) => readonly H[]
  /** Programs are made once for each set of sizes. */
  readonly once: <R extends Program>(name: string, sizes: Environment, make: (size: Size) => R) => Made<R>
  /** Reads a scalar, and frees it. */
  readonly number: (handle: H) => Promise<number>
  readonly download: (handles: readonly H[]) => Promise<readonly Buffer[]>
  readonly freeAll: (handles: Iterable<H>) => void
  /** Refuses every later run with this sentence. */
  readonly stop: (reason: string) => void
}

export const runnerOn = <H>(device: Device<H>, programs: Programs, capacities: Readonly<Record<string, Shape>> | undefined): Runner<H> => {
  const held = new Map<Node, H>(), made = new Map<string, Made<Program>>()
  let stopped: string | undefined
  return {
    device, held,
    run: (program, size, extra = new Map()) => {
      if (stopped !== undefined) throw new SessionError(stopped)
      // what programs made since the last run want prepared
      for (const prepared of programs.prepared()) {
        if (held.has(prepared.placeholder)) continue
        const { plan, inputs } = programs.prepare(prepared)
        held.set(prepared.placeholder, device.run(plan, inputs.map(n => held.get(n)!), prepared.size)[0]!)
      }
      return device.run(program.plan, program.inputs.map(n => extra.get(n) ?? held.get(n)!), size)
    },
    once: <R extends Program>(name: string, sizes: Environment, make: (size: Size) => R): Made<R> => {
      // a name stands for one kind of program
      const key = `${name} ${JSON.stringify(sizes)}`, known = made.get(key) as Made<R> | undefined
      if (known) return known
      const size = sizing(sizes, capacities), fresh = { program: make(size), size }
      made.set(key, fresh)
      return fresh
    },
    number: async handle => {
      const { data } = await device.download(handle)
      device.free(handle)
      return Number(data[0])
    },
    download: async handles => {
      const buffers: Buffer[] = []
      for (const handle of handles) buffers.push(await device.download(handle))
      return buffers
    },
    freeAll: handles => { for (const handle of handles) device.free(handle) },
    stop: reason => { stopped = reason },
  }
}
