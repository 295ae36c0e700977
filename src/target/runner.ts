import type { Program, Size } from '../compile/index.ts'
import type { Node } from '../tensor/index.ts'
import type { Device } from './device.ts'

/** A handle for every placeholder that programs read. */
export type Held<H> = Map<Node, H>

/** Runs programs against what a session holds. */
export interface Runner<H> {
  readonly held: Held<H>
  readonly device: Device<H>
  readonly run: (program: Program, size: Size, extra?: ReadonlyMap<Node, H>) => readonly H[]
}
