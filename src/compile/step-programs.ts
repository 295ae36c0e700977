import {
  div,
  expressionKeys,
  f32,
  factors,
  placeholder,
  scalar,
  topological,
  u,
  type BuffersGiven,
  type Dim,
  type Node,
} from '../tensor/index.ts'
import {
  declaredLeaves,
  globalNorm,
  isTensor,
  lensOf,
  mapTree,
  maskedLeaves,
  tensorsOf,
  unflatten,
  type Focus,
  type Lens,
} from '../tune/index.ts'
import { bufferPath, declaredOf, lossOrNothing, type Traced } from './declared.ts'
import { compileProgram, fitted, refreshed, type CompilerOptions, type Program, type Traits } from './pipeline.ts'
import { preparedKeys, type Prepared, type Preparations } from './prepare.ts'
import { checkDeclared, onceEach } from './leaves.ts'
import type { Step } from './step.ts'
import { fedKeys, trainingStreams, type FedKey, type Streams } from './training-dropout.ts'

/** A trained leaf of the parameter tree: its path, and its trained part. */
export interface Trained {
  readonly path: string
  readonly leaf: Node
  readonly lens: Lens
  readonly part: Node
}

/** Every program of a step, made on demand. Programs are pure; the session that runs them owns the buffers. */
export interface Programs {
  /** The names of leaves and indices, for reports. */
  readonly names: ReadonlyMap<Node, string>
  /** The paths of the leaves whose columns or entries an index selects. */
  readonly selected: ReadonlyMap<Node, string>
  /** The leaves of the parameter tree. */
  readonly params: readonly (readonly [path: string, leaf: Node])[]
  /** The leaves of the model itself, in whatever form a method stores them. */
  readonly base: readonly (readonly [path: string, leaf: Node])[]
  readonly trained: readonly Trained[]
  /** The leaves of the optimizer's state. */
  readonly state: readonly (readonly [path: string, leaf: Node])[]
  /** The leaves that are fed with every batch: the batch itself, the buffers of the model, and random keys. */
  readonly batch: readonly (readonly [path: string, leaf: Node])[]
  /** The buffers of the model, at their paths among the leaves that are fed. */
  readonly buffers: readonly (readonly [path: string, leaf: Node])[]
  /** The indices of selected columns or entries, at the paths of their leaves. */
  readonly indices: readonly (readonly [path: string, index: Node])[]
  /** The caches of generation, if the model defines it. */
  readonly caches: readonly (readonly [path: string, leaf: Node])[]
  /** Sums of gradients, in the order of `trained`, and their divisor. */
  readonly gradient: readonly Node[]
  readonly count: Node
  /** The sum of losses, which an update may read too. */
  readonly loss: Node
  /** The model's outputs, loss and metrics as it declares them. */
  readonly declared: Traced
  /** (loss sum, count, sum and count of each metric) as the model declares them. */
  readonly declaredLoss: readonly Node[]
  /** The streams of what the loss drops out during training: leaves that the session numbers. */
  readonly streams: Streams
  /** The keys that the session feeds with every batch. */
  readonly keys: readonly FedKey[]
  /** A tree with the structure of the focus, from replacements of its leaves in the order of `trained`. */
  readonly focusTree: (leaves: readonly unknown[]) => unknown
  /** () => the first state */
  readonly initial: (size: Size) => Program
  /**
   * (params, batch) => (loss sum, count, ...next buffers, ...gradient sums). `recompute` replaces the option of the
   * compiler.
   */
  readonly gradients: (size: Size, recompute?: CompilerOptions['recompute']) => Program
  /**
   * (params, batch, tangents in the place of gradient sums) => (loss sum, count, ...Hessian of the loss sum times the
   * tangents, inside the trained part)
   */
  readonly hvp: (size: Size) => Program
  /** (params, batch) => (loss sum, count, sum and count of each metric) */
  readonly evaluate: (size: Size) => Program
  /** (params, batch) => the leaves of the outputs */
  readonly predict: (size: Size) => Program
  /** (params, batch) => expressions of them */
  readonly compute: (expressions: readonly Node[]) => (size: Size) => Program
  /** (gradient sums, more gradient sums) => their sums */
  readonly accumulate: (size: Size) => Program & { readonly more: readonly Node[] }
  /** (gradient sums, count) => the norm of the gradient */
  readonly norm: (size: Size) => Program
  /**
   * (gradient sums, count, loss sum, state, params, prepared) => replacements of params, prepared values and state. All
   * inputs but count and loss are donated. `follow` are the prepared values that it replaces (default: all that depend
   * on trained leaves).
   */
  readonly update: (size: Size, follow?: readonly Prepared[]) => Replacing
  /**
   * The same after the norm of the gradient, as one program: the norm, then the replacements of params, separately held
   * parts, and state.
   */
  readonly apply: (size: Size) => Replacing
  /** (new parts, params, prepared) => replacements of params and prepared values. All are donated. */
  readonly commit: (size: Size, follow?: readonly Prepared[]) => Replacing
  /** Tests for a prepared value that depends on trained leaves: an update replaces it too, or it is prepared again. */
  readonly isStale: (prepared: Prepared) => boolean
  /** params => the trained parts */
  readonly focus: (size: Size) => Program
  readonly decode:
    | ((size: Size) => Program & {
        readonly cache: readonly Node[]
        readonly tokens: Node
        readonly position: Node
        /** The buffers that it reads, at their paths. */
        readonly buffers: Programs['buffers']
      })
    | undefined
  /** The values that are computed once from the weights, for all programs made so far. */
  readonly prepared: () => readonly Prepared[]
  /** The values that must be prepared before a program runs, each after those that it depends on. */
  readonly preparedFor: (program: Program) => readonly Prepared[]
  /** Forgets prepared values: programs that are made later prepare their own. */
  readonly forget: (isForgotten: (prepared: Prepared) => boolean) => void
  readonly prepare: (prepared: Prepared) => Program
}
export type Size = (dim: Dim) => number
/** A program with the input that each of its outputs replaces. */
export interface Replacing extends Program {
  readonly replaced: readonly Node[]
}

/** Builds the programs of a step, independently of what runs them. */
export const programsOf = <P, Q, M, S, B, O, K extends string, U>(
  { tuned, state, update, seed }: Step<P, Q, M, S, B, O, K, U>,
  options: Traits & CompilerOptions,
): Programs => {
  const { model, weight, random } = tuned
  const named = declaredLeaves('parameters', tuned.params)
  const declared = declaredOf(tuned)
  const loss = lossOrNothing(declared)
  const streams = trainingStreams([loss.sum, loss.count, ...declared.buffers])
  const keys = fedKeys(random, streams, seed)
  // a leaf at several places, such as an index that modules share, is one leaf
  const params = onceEach([...named, ...streams])
  const ofBatch = declaredLeaves('leaves of the batch', model.batch)
  const buffers = declaredLeaves('buffers', model.buffers).map(([path, leaf]) => [bufferPath(path), leaf] as const)
  const batch = onceEach([...ofBatch, ...buffers, ...keys.map(({ path, key }) => [path, key] as const)])
  checkDeclared(declaredLeaves('parameters', model.params), ofBatch, buffers)
  const trained = maskedLeaves(tuned.params, tuned.mask).flatMap(({ path, leaf, mask }): readonly Trained[] => {
    const lens = lensOf(mask, leaf)
    return lens ? [{ path, leaf, lens, part: parameterLike(lens.get(leaf)) }] : []
  })
  // the state is declared with placeholders that have the shapes of its symbolic zeros
  const initial = declaredLeaves('leaves of the state', state)
  const stateLeaves = initial.map(([path, leaf]): readonly [string, Node] => [path, parameterLike(leaf)])
  const gradient = trained.map(({ part }) => parameterLike(part))
  const count = f32()
  const lossSum = f32()
  const trainedLeaves = new Set(trained.map(({ leaf }) => leaf))
  const preparations: Preparations = new Map()
  const structureOf = expressionKeys()
  const leaves = new Set(params.map(([, leaf]) => leaf))
  // the names of sizes that the session knows before any batch
  const own = new Set([
    ...Object.keys(model.dims ?? {}),
    ...[...named, ...tensorsOf(model.params)].flatMap(([, { shape }]) => shape.flatMap(factors)),
  ])
  const isOwnDim = (dim: Dim): boolean => factors(dim).every(factor => typeof factor === 'number' || own.has(factor))
  const compiler = (size: Size) => ({
    ...options,
    size,
    isOwnDim,
    isStaticLeaf: (n: Node) => leaves.has(n),
    isTrainedLeaf: (n: Node) => trainedLeaves.has(n),
    keyOf: preparedKeys(structureOf, size),
    preparations,
  })
  const declaredLoss = [loss, ...declared.metrics.map(([, metric]) => metric)].flatMap(({ sum, count }) => [sum, count])
  const outputs = declared.outputLeaves.map(([, output]) => output)
  // an index that the method stores in the tree is a parameter; one that several leaves share is held once
  const indices = tuned.selections.flatMap(({ path, index }, i, all): readonly (readonly [string, Node])[] =>
    leaves.has(index) || all.findIndex(other => other.index === index) < i ? [] : [[path, index]],
  )
  const means = gradient.map(g => u.div(g, count))
  const wanted = trained.map(({ leaf, lens }) => lens.wanted(leaf))
  const focusTree = (parts: readonly unknown[]): unknown => {
    const at = new Map(trained.map(({ path }, i) => [path, parts[i]]))
    return mapTree(tuned.params, isTensor, (_, path) => at.get(path))
  }
  // `Focus` computes the same structure from the mask
  const focused = (parts: readonly Node[]) => focusTree(parts) as Focus<Q, M>
  const isStale = ({ expression }: Prepared): boolean => dependsOn(expression, trainedLeaves)
  const stale = (): readonly Prepared[] => [...preparations.values()].filter(isStale)
  /** Tests for a trained part that the target holds separately from its leaf. */
  const isApart = ({ lens }: Trained): boolean => options.holdsParts === true && lens.index.length > 0
  /** Writes new parts back: the new values of the leaves, and of the values prepared from them. */
  const replacing = (parts: readonly Node[], size: Size, follow: readonly Prepared[]) => {
    const changes = new Map(trained.map(({ leaf, lens }, i) => [leaf, lens.put(leaf, parts[i]!)]))
    return {
      replaced: [...changes.keys(), ...follow.map(({ placeholder }) => placeholder)],
      outputs: [...changes.values(), ...follow.map(({ expression }) => refreshed(expression, changes, compiler(size)))],
    }
  }
  /** The optimizer's update: the replaced nodes and their new values. */
  const updating = (size: Size, follow = stale()) => {
    const parts = trained.map(t => (isApart(t) ? t.part : t.lens.get(t.leaf)))
    const [updates, next] = update(
      focused(means),
      unflatten(
        state,
        stateLeaves.map(([, leaf]) => leaf),
      ) as S,
      focused(parts),
      div(lossSum, count),
    )
    const changed = tensorsOf(updates).map(([, update], i) => u.add(parts[i]!, update))
    const { outputs, replaced } = replacing(changed, size, follow)
    const apart = trained.flatMap((t, i) => (isApart(t) ? [[t.part, changed[i]!] as const] : []))
    const states = stateLeaves.map(([, leaf]) => leaf)
    return {
      replaced: [...replaced, ...apart.map(([part]) => part), ...states],
      outputs: [...outputs, ...apart.map(([, next]) => next), ...tensorsOf(next).map(([, leaf]) => leaf)],
    }
  }
  const donating = (outputs: readonly Node[], size: Size, donated: readonly Node[]): Program =>
    fitted(outputs, compiler(size), new Set(donated))
  /** The compiler for programs that replace the leaves: only constants are prepared. */
  const changing = (size: Size) => ({ ...compiler(size), isStaticLeaf: () => false, inOrder: true })

  return {
    selected: new Map(tuned.selections.map(({ path, index }) => [index, path])),
    names: new Map(
      [...params, ...batch, ...tuned.selections.map(({ path, index }) => [`columns(${path})`, index] as const)].map(
        ([path, leaf]) => [leaf, path],
      ),
    ),
    params,
    base: tensorsOf(model.params),
    trained,
    state: stateLeaves,
    batch,
    buffers,
    gradient,
    count,
    loss: lossSum,
    indices,
    caches: model.decode ? tensorsOf(model.decode.cache) : [],
    initial: size =>
      fitted(
        initial.map(([, leaf]) => leaf),
        compiler(size),
      ),
    declared,
    declaredLoss,
    streams,
    keys,
    focusTree,
    gradients: (size, recompute = options.recompute) =>
      compileProgram(
        [loss.sum, loss.count, ...declared.buffers],
        { ...compiler(size), recompute },
        {
          wanted,
          cotangents: [scalar(1)],
          training: wanted.length > 0 || buffers.length > 0,
          inPieces: true,
          keptFrom: 2,
        },
      ),
    hvp: size =>
      compileProgram([loss.sum, loss.count], compiler(size), {
        wanted,
        cotangents: [scalar(1)],
        tangents: gradient,
        inPieces: true,
      }),
    evaluate: size => compileProgram(declaredLoss, compiler(size), { inPieces: true }),
    predict: size => compileProgram(outputs, compiler(size)),
    compute: expressions => size => compileProgram(expressions, compiler(size)),
    accumulate: size => {
      const more = gradient.map(parameterLike)
      return {
        ...donating(
          gradient.map((g, i) => u.add(g, more[i]!)),
          size,
          [...gradient, ...more],
        ),
        more,
      }
    },
    norm: size => fitted([globalNorm(means)], compiler(size)),
    update: (size, follow) => {
      const { outputs, replaced } = updating(size, follow)
      return withReplaced(
        compileProgram(outputs, changing(size), { donated: new Set([...gradient, ...replaced]) }),
        replaced,
      )
    },
    apply: size => {
      const { outputs, replaced } = updating(size)
      return withReplaced(compileProgram([globalNorm(means), ...outputs], changing(size)), replaced)
    },
    commit: (size, follow = stale()) => {
      const parts = trained.map(({ part }) => part)
      const { outputs, replaced } = replacing(parts, size, follow)
      return withReplaced(donating(outputs, size, [...replaced, ...parts]), replaced)
    },
    isStale,
    focus: size =>
      fitted(
        trained.map(({ lens, leaf }) => lens.get(leaf)),
        compiler(size),
      ),
    decode:
      model.decode &&
      (size => {
        const {
          cache,
          batch: { input_ids: tokens, position },
          step,
        } = model.decode!
        const past = tensorsOf(cache).map(([, leaf]) => leaf)
        // `tsc` does not decide for a type parameter if it is undefined
        const given = (model.buffers === undefined ? [] : [model.buffers]) as unknown as BuffersGiven<U>
        const next = step(weight(tuned.params), ...given)
        const program = compileProgram(
          [next.logits, ...tensorsOf(next.cache).map(([, leaf]) => leaf)],
          compiler(size),
          { donated: new Set(past) },
        )
        const { inputs, outputs, limits } = program
        return {
          inputs,
          outputs,
          limits,
          get plan() {
            return program.plan
          },
          cache: past,
          tokens,
          position,
          buffers: buffers.filter(([, leaf]) => inputs.includes(leaf)),
        }
      }),
    prepared: () => [...preparations.values()],
    preparedFor: ({ inputs }) => {
      const known = new Map([...preparations.values()].map(prepared => [prepared.placeholder, prepared]))
      const found = new Set<Prepared>()
      const visit = (n: Node): void => {
        const prepared = known.get(n)
        if (prepared === undefined || found.has(prepared)) return
        topological([prepared.expression]).forEach(visit)
        found.add(prepared)
      }
      inputs.forEach(visit)
      return [...found]
    },
    forget: isForgotten => {
      for (const [key, prepared] of preparations) if (isForgotten(prepared)) preparations.delete(key)
    },
    prepare: ({ expression, size }) => fitted([expression], compiler(size)),
  }
}

/** A program with the inputs that its outputs replace; its plan is still made only when it is read. */
const withReplaced = (program: Program, replaced: readonly Node[]): Replacing => ({
  inputs: program.inputs,
  outputs: program.outputs,
  limits: program.limits,
  get plan() {
    return program.plan
  },
  replaced,
})

const dependsOn = (expression: Node, leaves: ReadonlySet<Node>): boolean =>
  topological([expression]).some(n => leaves.has(n))
const parameterLike = ({ shape, dtype }: Node): Node => placeholder(shape, dtype)
