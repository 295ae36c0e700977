import type { Node } from '../../tensor/index.ts'
import { defineAccess, defineCommit, defineRead, defineStart } from './access.ts'
import type { Ref } from './body.ts'
import { emptyEntry, type Entry } from './entry.ts'
import { emptyLibrary } from './library.ts'
import { write } from './program.ts'
import { defineReserve } from './reserve.ts'
import { materialised, type Writing } from './scope.ts'
import {
  answered,
  asF32,
  averageName,
  batchInputs,
  fedBatch,
  inputOf,
  outputName,
  predictedFrom,
  type Source,
} from './source.ts'
import { defineSteps } from './step.ts'

/** A whole session as one graph: what it holds, and all the questions that it answers. */
export const graphOf = (source: Source): Entry => {
  const { programs, whole, holdings, precision } = source
  const library = emptyLibrary()
  const writing: Writing = { ...source.writing, library, resourceOf: holdings.of }
  const entry = emptyEntry(library, writing)
  const { define, defineMove } = entry
  const kinds = [holdings.params, holdings.parts, holdings.state]
  const batch = batchInputs(programs)
  for (const held of kinds.flat()) defineAccess(defineMove, held, programs, holdings)
  // tangents of Hessian-vector products use the variables in which gradients are summed
  for (const held of holdings.gradients)
    if (whole.hvp) defineAccess(defineMove, held, programs, holdings)
    else defineRead(defineMove, held)
  for (const held of holdings.parts) defineCommit(defineMove, held, programs, holdings)
  defineReserve(defineMove)
  defineStart({ define, library, writing }, source)
  defineSteps({ define, library, writing }, source)
  define('evaluate', batch, precision, (scope, given) => {
    const found = write(scope, whole.evaluate(), fedBatch(scope.body, programs, given))
    return Object.fromEntries(found.map((x, i) => [averageName(i), asF32(scope.body, x)]))
  })
  const read = predictedFrom(programs)
  define('predict', batchInputs(read), precision, (scope, given) => {
    const found = write(scope, whole.predict(), fedBatch(scope.body, read, given))
    return Object.fromEntries(found.map((x, i) => [outputName(i), answered(scope.body, materialised(scope, x))]))
  })
  if (whole.decode) {
    const { logits, caches, tokens, position, buffers } = whole.decode()
    const held = { batch: buffers }
    const inputs = {
      ...Object.fromEntries(caches.map(([{ name, node }]) => [name, inputOf(node)] as const)),
      ...batchInputs(held),
    }
    define('decode', { tokens: inputOf(tokens), position: inputOf(position), ...inputs }, precision, (scope, given) => {
      const cacheRefs = caches.map(([variable]): readonly [Node, Ref] => [variable.node, given[variable.name]!])
      const [scores, ...next] = write(
        scope,
        [logits, ...caches.map(([, node]) => node)],
        new Map([
          [tokens, given['tokens']!],
          [position, given['position']!],
          ...cacheRefs,
          ...fedBatch(scope.body, held, given),
        ]),
      )
      return {
        logits: asF32(scope.body, scores!),
        ...Object.fromEntries(caches.map(([{ name }], i) => [name, asF32(scope.body, materialised(scope, next[i]!))])),
      }
    })
  }
  return entry
}
