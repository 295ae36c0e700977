import { bindDims, given, sizing, type Step } from '../compile/index.ts'
import { ShapeMismatch, type DType, type Node, type Shape, type Value } from '../tensor/index.ts'
import { placesOf, tensorsOf, unflatten, type Focus, type Values } from '../tune/index.ts'
import { decoderOn } from './decoder.ts'
import { SessionError, type Buffer } from './device.ts'
import { dimsChecker } from './dim-names.ts'
import {
  refusal,
  type BufferValues,
  type Engine,
  type EngineDecoder,
  type FedBatch,
  type Loading,
  type Stepped,
  type Sums,
} from './engine.ts'
import { feeding, type Feed } from './feeding.ts'
import { queueOf } from './queue.ts'
import { changedSettings } from './settings.ts'
import type { Dims, Evaluated, Session, StepResult } from './session.ts'
import { heldBuffers } from './buffers.ts'
import { readSaved, savedSession } from './saved.ts'
import { copied, valueFor, valuesFor } from './values.ts'
import type { Assigned } from './weights.ts'
import type { Awaitable } from './work.ts'

const valuesOf = (nodes: readonly Node[], buffers: readonly Buffer[]): readonly Value<Shape, DType>[] =>
  // a buffer's data has the type of its dtype
  buffers.map((buffer, i) => ({ ...buffer, shape: nodes[i]!.shape }) as Value<Shape, DType>)

const checked = <R extends Sums & Partial<Stepped>>(result: R): R => {
  const reason = refusal(result)
  if (reason !== undefined) throw new SessionError(reason)
  return result
}

interface GivenLeaf {
  readonly leaf: Node
  readonly value: Buffer
}
/** The given values of leaves, and for the others those that are read: at once if all are given. */
const completed = (
  leaves: readonly Node[],
  found: readonly GivenLeaf[],
  read: () => Promise<readonly Buffer[]>,
): Awaitable<readonly Buffer[]> => {
  if (found.length === leaves.length) return found.map(({ value }) => value)
  const values = new Map(found.map(({ leaf, value }) => [leaf, value]))
  return read().then(before => before.map((value, i) => values.get(leaves[i]!) ?? value))
}

/** The given leaves of the focus, of the state and of the buffers. */
type Written = readonly [focus: readonly GivenLeaf[], state: readonly GivenLeaf[], buffers: readonly GivenLeaf[]]

const isList = (buffers: Awaitable<readonly Buffer[]>): buffers is readonly Buffer[] => Array.isArray(buffers)

const isIterable = (given: unknown): given is Iterable<unknown> | AsyncIterable<unknown> =>
  typeof given === 'object' && given !== null && (Symbol.iterator in given || Symbol.asyncIterator in given)

/** The requests of a session on a started engine: checks and copies arguments, and sends one after the other. */
export const sessionOn = <P, Q, M, S, B, O, K extends string, U>(
  step: Step<P, Q, M, S, B, O, K, U>,
  { programs }: Loading,
  engine: Engine,
  { sources, selection }: Assigned,
  { dims, first: firstValues }: { readonly dims: Dims; readonly first: BufferValues },
): Session<P, Q, M, S, B, O, K, U> => {
  const own = bindDims([...sources, ...given('dims', dims)])
  const size = sizing(own)
  const parts = programs.trained.map(({ part }) => part)
  const states = programs.state.map(([, leaf]) => leaf)
  const { tuned } = step
  const { model } = tuned
  const { loss, outputs, outputLeaves, metrics } = programs.declared
  // the programs were traced with the weights of this model
  const weights = programs.declared.weights as P
  const held = heldBuffers(firstValues)
  const kept = programs.buffers.map(([, leaf]) => leaf)
  const fedBuffers = new Set(kept)
  const queue = queueOf()
  const decoders = new Set<EngineDecoder>()
  let ending: Promise<void> | undefined
  let draws = 0
  let version = 0
  const checkOpen = (): void => {
    if (ending) throw new SessionError('the session is disposed')
  }
  /**
   * Sends a request to the engine when its turn comes. The arguments are checked and copied at the time of the call.
   */
  const asked = async <G, A>(take: () => G, ask: (taken: G) => Promise<A>): Promise<A> => {
    checkOpen()
    const taken = take()
    return queue.run(() => ask(taken))
  }
  const { dims: fixed = {}, capacities = {}, decode } = model
  const checkDims = dimsChecker(programs, [
    ...Object.keys(fixed),
    ...Object.keys(capacities),
    ...Object.values(capacities).flat().map(String),
    ...(decode ? ['capacity'] : []),
  ])
  checkDims(dims)
  const known = {
    keys: programs.keys,
    declared: model.batch,
    capacities: model.capacities,
    batch: programs.batch.filter(([, leaf]) => !fedBuffers.has(leaf)),
    sources,
    dims,
    checkDims,
  }
  const feedLoss = feeding(known, programs.declaredLoss)
  const predicted = outputLeaves.map(([, output]) => output)
  const feedPrediction = feeding(known, predicted, 'what it needs')
  const feedEach = loss?.each && feeding(known, [loss.each], 'what it needs')
  const fed = (batch: unknown, overrides: Dims, draw = draws): FedBatch => {
    if (loss === undefined) throw new SessionError('the model has no loss: it can predict')
    return feedLoss(batch, overrides, draw)
  }
  /** Refuses batches of different sizes if only the mean of each is known. */
  const checkAlike = (first: FedBatch, other: FedBatch): void => {
    const whole = loss?.wholeBatch === true ? 'the loss' : metrics.find(([, { wholeBatch }]) => wholeBatch)?.[0]
    if (whole !== undefined && JSON.stringify(first.sizes) !== JSON.stringify(other.sizes))
      throw new SessionError(
        `${whole} is one number for a whole batch, and the batches have different sizes: return one number for each example, or { mean, over: 'batch' }`,
      )
  }
  /** A tree with the structure of the focus. */
  const focusTree = (buffers: readonly Buffer[]) => programs.focusTree(valuesOf(parts, buffers)) as Values<Focus<Q, M>>
  const buffersTree = () => unflatten(model.buffers, valuesOf(kept, held.read())) as Values<U>
  const meanTree = (sums: readonly Buffer[], tokens: number) =>
    focusTree(sums.map(sum => ({ ...sum, data: (sum.data as Float32Array).map(x => x / tokens) })))
  /** The data for leaves whose sizes the session knows; without `all`, for those that are given. */
  const saved = (what: string, declared: unknown, data: unknown, all = true): readonly GivenLeaf[] =>
    valuesFor(
      what,
      declared,
      data,
      place => ({ leaf: place.leaf, value: valueFor({ ...place, expected: place.leaf.shape.map(size) }) }),
      all ? undefined : new Set(),
    )
  /** The data for leaves of the focus, of the state and of the buffers; without `all`, for those that are given. */
  const written = (focus: unknown, state: unknown, buffers: unknown, all: boolean): Written => {
    const found: Written = [
      saved('saved focus', programs.focusTree(parts), focus, all),
      saved('saved state', unflatten(step.state, states), state, all),
      saved('saved buffers', model.buffers, buffers, all),
    ]
    const copies = (leaves: readonly GivenLeaf[]) => leaves.map(({ leaf, value }) => ({ leaf, value: copied(value) }))
    // if the engine is idle, it has read them when this returns; copying all weights would mean a second model
    return queue.idle() ? found : [copies(found[0]), copies(found[1]), copies(found[2])]
  }
  const replaceWith = async ([focus, state, buffers]: Written): Promise<void> => {
    version += 1
    const next = new Map(buffers.map(({ leaf, value }) => [leaf, copied(value)]))
    const [newParts, newState] = [completed(parts, focus, engine.parts), completed(states, state, engine.state)]
    await (isList(newParts) && isList(newState)
      ? engine.write(newParts, newState)
      : engine.write(await newParts, await newState))
    held.replace(new Map([...held.present()].map(([path, value], i) => [path, next.get(kept[i]!) ?? value])))
  }
  /** The values of the focus, of the state, and of the buffers of a model that has any. */
  const present = async () => ({
    focus: focusTree(await engine.parts()),
    state: unflatten(step.state, valuesOf(states, await engine.state())) as Values<S>,
    ...(kept.length === 0 ? {} : { buffers: buffersTree() }),
  })
  const drawing = { selection, keys: programs.keys }
  const partBuffers = (what: string, focus: unknown): readonly Buffer[] =>
    saved(what, programs.focusTree(parts), focus).map(({ value }) => value)
  /** The values of nodes, for a batch with the leaves that they read. */
  const computed = async (nodes: readonly Node[], feed: FedBatch): Promise<readonly Value<Shape, DType>[]> =>
    valuesOf(nodes, await engine.compute(nodes, held.beside(feed)))

  /** The expressions of functions that were computed before, with what feeds them. */
  const expressions = new WeakMap<
    object,
    { readonly tree: unknown; readonly nodes: readonly Node[]; readonly feed: Feed }
  >()
  const expressionOf = (of: (params: P, batch: B, buffers: U) => unknown) => {
    if (typeof of !== 'function') throw new SessionError('compute takes a function of the parameters and the batch')
    const before = expressions.get(of)
    if (before !== undefined) return before
    // a model without buffers has an undefined tree of them
    const tree = of(weights, model.batch, model.buffers as U)
    const nodes = tensorsOf(tree).map(([, node]) => node)
    if (nodes.length === 0)
      throw new ShapeMismatch('compute takes a function that gives a tensor, or a tree of tensors')
    const made = { tree, nodes, feed: feeding(known, nodes, 'what it needs') }
    expressions.set(of, made)
    return made
  }
  /** One batch: what is no sequence of batches. A batch may be declared as a list, too. */
  const isOneBatch = (batches: unknown): boolean =>
    !isIterable(batches) ||
    (Array.isArray(model.batch) &&
      Array.isArray(batches) &&
      placesOf(model.batch, batches).places.every(({ found }) => !Array.isArray(found)))

  const session: Session<P, Q, M, S, B, O, K, U> = {
    target: engine.name,
    limit: engine.limit,
    selection,
    step: (batches, overrides = {}) =>
      asked(
        () => {
          const list: readonly unknown[] = isOneBatch(batches) ? [batches] : Array.isArray(batches) ? batches : []
          if (list.length === 0) throw new SessionError('a step takes a batch, or a list of at least one micro-batch')
          const all = list.map((batch, i) => fed(batch, overrides, draws + i))
          all.forEach(one => {
            checkAlike(all[0]!, one)
          })
          draws += all.length
          return all
        },
        async (all): Promise<StepResult> => {
          const { loss, tokens, gradNorm, buffers } = checked(await engine.step(all.map(held.beside)))
          held.replace(buffers)
          version += 1
          return { loss: loss / tokens, gradNorm, tokens }
        },
      ),
    steps: async function* (batches, { signal } = {}) {
      if (!isIterable(batches))
        throw new SessionError('steps takes what yields batches, or lists of micro-batches, one for each step')
      for await (const batch of batches) {
        if (signal?.aborted === true) return
        yield await session.step(batch)
      }
    },
    evaluate: async (batches, overrides = {}) => {
      let first: FedBatch | undefined
      const sums = [[0, 0], ...metrics.map(() => [0, 0])] as [number, number][]
      const add = async (batch: unknown): Promise<void> =>
        asked(
          () => {
            const one = fed(batch, overrides)
            checkAlike((first ??= one), one)
            return one
          },
          async one => {
            const { loss, tokens, metrics: found } = await engine.evaluate(held.beside(one))
            ;[[loss, tokens] as const, ...found].forEach(([sum, count], i) => {
              sums[i]![0] += sum
              sums[i]![1] += count
            })
          },
        )
      if (isOneBatch(batches)) await add(batches)
      else for await (const batch of batches as Iterable<unknown>) await add(batch)
      if (first === undefined) throw new SessionError('there is no batch to evaluate')
      const [[sum, count], ...others] = sums as [[number, number], ...[number, number][]]
      // a metric has a mean for each of the declared names
      const means = Object.fromEntries(
        metrics.map(([name], i) => [name, others[i]![0] / others[i]![1]]),
      ) as Evaluated<K>['metrics']
      return { loss: sum / count, sum, count, metrics: means }
    },
    predict: (batch, overrides = {}) =>
      asked(
        () => feedPrediction(batch, overrides, draws),
        async one => unflatten(outputs, valuesOf(predicted, await engine.predict(held.beside(one)))) as Values<O>,
      ),
    perExample: (batch, overrides = {}) =>
      asked(
        () => {
          const each = loss?.each
          if (each === undefined || feedEach === undefined)
            throw new SessionError('the loss of the model is no number for each example: return a tensor of them')
          return [each, feedEach(batch, overrides, draws)] as const
        },
        // a loss is float32
        async ([each, one]) => (await computed([each], one))[0] as Value<Shape>,
      ),
    compute: (expression, batch, overrides = {}) =>
      asked(
        () => {
          const { tree, nodes, feed } = expressionOf(expression)
          return { tree, nodes, one: feed(batch ?? {}, overrides, draws) }
        },
        // the tree of an expression's data has its structure
        async ({ tree, nodes, one }) => unflatten(tree, await computed(nodes, one)) as never,
      ),
    params: () =>
      asked(
        () => undefined,
        async () => {
          const values: Value<Shape, DType>[] = []
          // one after the other, so that the target holds one of them more
          for (const [, node] of tensorsOf(weights))
            values.push(...(await computed([node], { values: new Map(), sizes: own })))
          return unflatten(weights, values) as Values<P>
        },
      ),
    buffers: () =>
      asked(
        () => undefined,
        async () => buffersTree(),
      ),
    gradients: (batch, overrides = {}) =>
      asked(
        () => fed(batch, overrides),
        async one => {
          const { sums, tokens } = checked(await engine.gradients(held.beside(one)))
          return meanTree(sums, tokens)
        },
      ),
    hvp: (batch, tangent, overrides = {}) =>
      asked(
        () => [fed(batch, overrides), partBuffers('tangent', tangent).map(copied)] as const,
        async ([one, along]) => {
          const { products, tokens } = checked(await engine.hvp(held.beside(one), along))
          return meanTree(products, tokens)
        },
      ),
    decoder: options => {
      checkOpen()
      if ((options as unknown) === undefined) throw new SessionError('a decoder takes { batch, capacity }')
      if (programs.decode === undefined) throw new SessionError('the model does not say how it generates')
      const own = engine.decoder()
      const bound = (sizes: Dims) => bindDims([...sources, ...given('dims', sizes)])
      decoders.add(own)
      return decoderOn(
        {
          queue,
          checkOpen,
          engine: {
            ...own,
            dispose: () => {
              decoders.delete(own)
              own.dispose()
            },
          },
          bound,
          version: () => version,
          buffers: held.present,
        },
        options,
      )
    },
    read: () =>
      asked(
        () => undefined,
        // a model without buffers has an undefined tree of them
        async () => (await present()) as Awaited<ReturnType<typeof session.read>>,
      ),
    write: given =>
      asked(() => {
        if (typeof given !== 'object' || (given as unknown) === null)
          throw new SessionError('write takes { focus, state, buffers }, or parts of them')
        const { focus = {}, state = {}, buffers = {} } = given
        return written(focus, state, buffers, false)
      }, replaceWith),
    set: settings =>
      asked(() => written({}, changedSettings(step.state, settings, step.check), {}, false), replaceWith),
    checkpoint: () =>
      asked(
        () => draws,
        async made => savedSession(await present(), drawing, made),
      ),
    restore: from =>
      asked(() => {
        const { trees, draws: made } = readSaved(from, drawing)
        const found = written(trees.focus, trees.state, trees.buffers, true)
        draws = made
        return found
      }, replaceWith),
    certificate: batchDims => {
      checkOpen()
      checkDims(batchDims)
      return engine.certificate(bindDims([...sources, ...given('dims', { ...dims, ...batchDims })]))
    },
    bytes: engine.bytes,
    [Symbol.asyncDispose]: () =>
      (ending ??= queue.run(async () => {
        for (const decoder of decoders) decoder.dispose()
        await engine.dispose()
      })),
  }
  return session
}
