import { sizing, type Prepared, type Program, type Programs, type Replacing, type Size } from '../compile/index.ts'
import type { Environment, Node, Shape } from '../tensor/index.ts'
import { SessionError, type Buffer, type Device } from './device.ts'
import { mostSizes, recent, type Recent } from './recent.ts'
import { throwIfAborted, turn, type StopSignal } from './turn.ts'

/** A program with the sizes that it was made for, and the values that must be prepared before it runs. */
export interface Made<R extends Program> {
  readonly program: R
  readonly size: Size
  readonly prepared: readonly Prepared[]
}

/** Runs programs on the values that a session holds: a handle for every placeholder that programs read. */
export interface Runner<H> {
  readonly device: Device<H>
  readonly held: Map<Node, H>
  /** Runs a program; `extra` are handles for this run only. */
  readonly run: (made: Made<Program>, extra?: ReadonlyMap<Node, H>) => Promise<readonly H[]>
  /** The program of a kind for a set of sizes, made if it is not among the {@link mostSizes} that were used last. */
  readonly once: <R extends Program>(
    name: string,
    sizes: Environment,
    make: (size: Size) => R,
    expressions?: readonly Node[],
  ) => Made<R>
  /**
   * The same; after making a program, it lets the event loop turn. Programs of a kind that compute different
   * `expressions` differ.
   */
  readonly planned: <R extends Program>(
    name: string,
    sizes: Environment,
    make: (size: Size) => R,
    expressions?: readonly Node[],
  ) => Promise<Made<R>>
  /** A program that its caller keeps. */
  readonly making: <R extends Program>(sizes: Environment, make: (size: Size) => R) => Made<R>
  /** The values that are prepared and held now. */
  readonly standing: () => readonly Prepared[]
  /** Frees prepared values: a program that needs one prepares it again. */
  readonly release: (isReleased: (prepared: Prepared) => boolean) => void
  /** Reads a scalar, and frees it. */
  readonly number: (handle: H) => Promise<number>
  readonly download: (handles: readonly H[]) => Promise<readonly Buffer[]>
  /** Frees handles that were not used up. */
  readonly freeAll: (handles: Iterable<H>) => void
  /** Refuses every later run with this message. */
  readonly stop: (reason: string) => void
}

interface Running {
  readonly programs: Programs
  readonly capacities: Readonly<Record<string, Shape>> | undefined
  readonly signal: StopSignal | undefined
}

/** Makes programs of a step for sizes. */
export const makingOf =
  ({ programs, capacities }: Omit<Running, 'signal'>): Runner<unknown>['making'] =>
  (sizes, make) => {
    const size = sizing(sizes, capacities)
    const program = make(size)
    const { replaced = [] }: Partial<Replacing> = program
    const others = new Set(replaced)
    // the values that it replaces were prepared for others
    return {
      program,
      size,
      prepared: programs.preparedFor(program).filter(({ placeholder }) => !others.has(placeholder)),
    }
  }

export const runnerOn = <H>(device: Device<H>, { programs, capacities, signal }: Running): Runner<H> => {
  const held = new Map<Node, H>()
  const standing = new Set<Prepared>()
  const kinds = new Map<string, Recent<Made<Program>>>()
  /** The prepared values that waiting runs read. */
  const running = new Set<Prepared>()
  let stopped: string | undefined
  const freeAll = (handles: Iterable<H>): void => {
    for (const handle of handles) if (device.isHeld(handle)) device.free(handle)
  }
  const release = (isReleased: (prepared: Prepared) => boolean): void => {
    for (const prepared of [...standing].filter(isReleased)) {
      standing.delete(prepared)
      freeAll([held.get(prepared.placeholder)!])
      held.delete(prepared.placeholder)
    }
  }
  /** Frees the values that were prepared for programs that are no longer kept. */
  const sweep = (): void => {
    const needed = new Set([...kinds.values()].flatMap(kept => [...kept.values()].flatMap(({ prepared }) => prepared)))
    for (const prepared of running) needed.add(prepared)
    release(prepared => !needed.has(prepared))
    programs.forget(prepared => !needed.has(prepared))
  }
  const kind = (name: string): Recent<Made<Program>> => {
    const kept = kinds.get(name) ?? recent<Made<Program>>(mostSizes, sweep)
    kinds.set(name, kept)
    return kept
  }
  const making = makingOf({ programs, capacities })
  const numbers = new WeakMap<Node, number>()
  let numbered = 0
  const numberOf = (n: Node): number => {
    const known = numbers.get(n) ?? numbered++
    numbers.set(n, known)
    return known
  }
  const keyOf = (sizes: Environment, expressions: readonly Node[]): string =>
    JSON.stringify([sizes, expressions.map(numberOf)])
  const once = <R extends Program>(
    name: string,
    sizes: Environment,
    make: (size: Size) => R,
    expressions: readonly Node[] = [],
  ): Made<R> =>
    // a name stands for one kind of program
    kind(name).get(keyOf(sizes, expressions), () => making(sizes, make)) as Made<R>
  return {
    device,
    held,
    once,
    making,
    release,
    freeAll,
    run: async ({ program, size, prepared }, extra = new Map()) => {
      if (stopped !== undefined) throw new SessionError(stopped)
      for (const one of prepared) running.add(one)
      try {
        for (const one of prepared) {
          if (held.has(one.placeholder)) continue
          const { plan, inputs } = programs.prepare(one)
          const [value] = await device.run(
            plan,
            inputs.map(n => held.get(n)!),
            one.size,
          )
          held.set(one.placeholder, value!)
          standing.add(one)
        }
        return await device.run(
          program.plan,
          program.inputs.map(n => extra.get(n) ?? held.get(n)!),
          size,
        )
      } finally {
        for (const one of prepared) running.delete(one)
      }
    },
    planned: async (name, sizes, make, expressions = []) => {
      const isKept = kind(name).has(keyOf(sizes, expressions))
      const made = once(name, sizes, make, expressions)
      if (!isKept) {
        await turn()
        throwIfAborted(signal)
      }
      return made
    },
    standing: () => [...standing],
    number: async handle => {
      try {
        return Number((await device.download(handle)).data[0])
      } finally {
        device.free(handle)
      }
    },
    download: async handles => {
      const buffers: Buffer[] = []
      for (const handle of handles) buffers.push(await device.download(handle))
      return buffers
    },
    stop: reason => {
      stopped = reason
    },
  }
}
