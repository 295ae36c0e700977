import type { Programs } from '../compile/index.ts'
import type { Node, Shape } from '../tensor/index.ts'
import type { Buffer, Device } from './device.ts'
import type { FedBatch } from './engine.ts'
import { runnerOn } from './runner.ts'

/** Computes expressions of leaves that another engine holds. */
export interface Computing {
  readonly compute: (expressions: readonly Node[], batch: FedBatch) => Promise<readonly Buffer[]>
  readonly dispose: () => Promise<void>
}

interface Held {
  /** The programs of the step, made for the device. */
  readonly programs: Programs
  readonly capacities: Readonly<Record<string, Shape>> | undefined
  /** Reads a leaf that is not in a batch. */
  readonly read: (leaf: Node) => Buffer
}

/**
 * Computes expressions on a device of its own, for an engine whose own programs are fixed when it opens. The leaves
 * that an expression reads are copied to the device for each call.
 * @example const { compute } = computingOn(await nodeDevice(), { programs, capacities, read })
 */
export const computingOn = <H>(device: Device<H>, { programs, capacities, read }: Held): Computing => {
  const { planned, run, download, freeAll } = runnerOn(device, { programs, capacities, signal: undefined })
  const paths = new Map(programs.batch.map(([path, leaf]) => [leaf, path]))
  return {
    compute: async (expressions, { values, sizes }) => {
      const made = await planned('compute', sizes, programs.compute(expressions), expressions)
      const uploaded = new Map<Node, H>()
      try {
        for (const leaf of made.program.inputs) {
          const path = paths.get(leaf)
          uploaded.set(leaf, device.upload(path === undefined ? read(leaf) : values.get(path)!))
        }
        const handles = await run(made, uploaded)
        try {
          return await download(handles)
        } finally {
          freeAll(handles)
        }
      } finally {
        freeAll(uploaded.values())
      }
    },
    dispose: device.dispose,
  }
}
