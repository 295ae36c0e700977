import {
  bodyOf,
  contractOp,
  is,
  placeholderOp,
  reshapeOp,
  resultOp,
  takeOp,
  topological,
  type Block,
  type Dim,
  type Node,
} from '../tensor/index.ts'
import { callsOf } from './blocks.ts'
import { blockNames, blockText, commonPath, describe, layerPath, type Names } from './print.ts'
import type { Program } from './pipeline.ts'
import { takeRules, weightRules, type Rule } from './rewrite/index.ts'
import type { Programs, Size } from './step-programs.ts'

/** The gradient of a trained leaf of a layer, before and after rewriting. */
export interface Equation {
  /** The path of the leaf within its layer. */
  readonly leaf: string
  readonly before: string
  readonly after: string
  /** True if the rewriting takes the trained columns of an operand, and not of the whole gradient: PaCA's equation 9. */
  readonly inward: boolean
}

/** The expressions of a layer before and after rewriting: those of most layers, if they differ. */
export interface Equations {
  readonly layer: string
  readonly layers: number
  readonly gradients: readonly Equation[]
  /** Both passes of the layer, line by line. */
  readonly before: string
  readonly after: string
}

const withoutReshapes = (n: Node): Node => (is(n, reshapeOp) ? withoutReshapes(n.inputs[0]!) : n)

/** The block of a name's end that has most calls. */
const mostCalled = (calls: ReadonlyMap<Block, readonly Node[]>, end: string): Block | undefined =>
  [...calls.keys()]
    .filter(({ name }) => name.endsWith(end))
    .reduce<Block | undefined>(
      (most, block) => (most && calls.get(most)!.length >= calls.get(block)!.length ? most : block),
      undefined,
    )

/** A layer's two blocks with names for all that they are given. */
interface Layer {
  readonly backward: Block
  readonly names: Names
  /** The first dim of activations. */
  readonly rows: Dim | undefined
  readonly layer: string
  readonly layers: number
  readonly text: string
  /** The places of the leaves' gradients among the results. */
  readonly places: ReadonlyMap<string, number>
}

/** Names with one more, dy: the operand of the gradient's product with activations that is a gradient itself. */
const withCotangent = (root: Node, rows: Dim | undefined, names: Names): Names => {
  const order = topological([root])
  const depends = new Set<Node>()
  for (const n of order) if (names.get(n) === 'dy' || n.inputs.some(input => depends.has(input))) depends.add(n)
  const dy = order
    .toReversed()
    .flatMap(n => (is(n, contractOp) ? n.inputs : []))
    .find(n => depends.has(n) && rows !== undefined && n.shape.includes(rows))
  return dy === undefined ? names : new Map([...names, [dy, 'dy']])
}

const layerOf = (program: Program, programs: Programs): Layer | undefined => {
  const calls = callsOf(program.outputs)
  const backward = mostCalled(calls, '.backward')
  const forwardCall = backward && forwardOf(calls.get(backward)![0]!)
  const forward = forwardCall && bodyOf(forwardCall)
  if (!backward || !forward || !forwardCall) return undefined
  const call = calls.get(backward)![0]!
  const paths = blockNames(forward, calls.get(forward) ?? [forwardCall], programs.names)
  const layer = commonPath([...paths.values()])
  const short = (names: Names): Names =>
    new Map([...names].map(([n, name]) => [n, layer === '' ? name : name.replaceAll(`${layer}.`, '')]))
  const inForward: Names = new Map([...short(paths), [forward.parameters[0]!, 'x']])
  const given = short(blockNames(backward, calls.get(backward)!, programs.names))
  const names: Names = new Map(
    backward.parameters.map((p, i) => {
      const passed = call.inputs[i]!
      const same = forwardCall.inputs.indexOf(passed)
      const known = given.get(p) ?? (same < 0 ? undefined : inForward.get(forward.parameters[same]!))
      if (known !== undefined) return [p, known]
      if (same >= 0) return [p, describe(forward.parameters[same]!, inForward)]
      if (is(passed, resultOp) && passed.inputs[0] === forwardCall)
        return [p, describe(forward.outputs[passed.attributes.index]!, inForward)]
      return [p, is(passed, placeholderOp) ? describe(p, given) : 'dy']
    }),
  )
  const gradients = program.outputs.slice(program.outputs.length - programs.trained.length).map(withoutReshapes)
  const leafOf = (path: string): string =>
    path.startsWith(`${layer}.`) ? path.slice(layer.length + 1) : layerPath(path).replace(`${layer}.`, '')
  const places = gradients.flatMap((n, k) =>
    is(n, resultOp) && n.inputs[0] === call ? [[leafOf(programs.trained[k]!.path), n.attributes.index] as const] : [],
  )
  return {
    backward,
    names,
    rows: forward.parameters[0]!.shape[0],
    layer,
    layers: calls.get(backward)!.length,
    text: `${blockText(forward, inForward)}\n\n${blockText(backward, names)}`,
    places: new Map(places),
  }
}

/** The forward call most of whose results a backward call reads: another one is that of the layer before. */
const forwardOf = (call: Node): Node | undefined => {
  const read = call.inputs
    .flatMap(input => (is(input, resultOp) ? [input.inputs[0]!] : []))
    .filter(source => bodyOf(source)?.name.endsWith('.forward'))
  const times = (source: Node): number => read.filter(other => other === source).length
  return read.reduce<Node | undefined>((most, one) => (most && times(most) >= times(one) ? most : one), undefined)
}

/** The depth to which a gradient is written out. */
const deepest = 4

/** The rules that give a step its form. */
const forming: readonly Rule[] = [...takeRules, ...weightRules]
const formingNames = forming.map(({ name }) => name)

/**
 * The expressions of a layer's two passes without the rules that give a step its form, and with them; `undefined` if
 * the model has no layers.
 */
export const equationsOf = (programs: (without: readonly string[]) => Programs, size: Size): Equations | undefined => {
  const [before, after] = [programs(formingNames), programs([])]
  const first = layerOf(before.gradients(size), before)
  const second = layerOf(after.gradients(size), after)
  if (!first || !second) return undefined
  const said = ({ backward, names, rows }: Layer, place: number): string => {
    const root = backward.outputs[place]!
    return describe(root, withCotangent(root, rows, names), deepest)
  }
  const isTaken = ({ backward }: Layer, place: number): boolean => is(withoutReshapes(backward.outputs[place]!), takeOp)
  return {
    layer: second.layer,
    layers: second.layers,
    gradients: [...second.places].flatMap(([leaf, place]) => {
      const old = first.places.get(leaf)
      return old === undefined
        ? []
        : [
            {
              leaf,
              before: said(first, old),
              after: said(second, place),
              inward: isTaken(first, old) && !isTaken(second, place),
            },
          ]
    }),
    before: first.text,
    after: second.text,
  }
}
